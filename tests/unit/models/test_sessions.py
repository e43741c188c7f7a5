"""A killed and resumed training gives the same weights and records as an uninterrupted one."""

import json

import pytest
import torch
from transformers import PrinterCallback, TrainerCallback
from transformers.utils import logging
from unit.specs import HEAD, QLORA_SPEC, QUANTIZATION, KillAt, Killed, dataset_of, encoder_spec, encoder_trainer

from nli import runtime
from nli.jobs.records import training_record
from nli.models import linear_head, qlora
from nli.models.checkpoints import last_checkpoint
from nli.models.decoder import add_adapter, load_decoder, load_tokenizer
from nli.models.sessions import Sessions, highest
from nli.models.training import run_training, trained_tensors

LOADING = 7.0  # seconds before training, by the clock below


class Clock(TrainerCallback):
    """A clock that advances only at training steps, by one second each."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def on_step_end(self, args, state, control, **kwargs):
        self.now += 1.0


class Meter:
    """A GPU that uses one kWh per second."""

    watts = 3.6e6

    def __init__(self, interval):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass


@pytest.fixture(autouse=True)
def meter(monkeypatch):
    monkeypatch.setattr("nli.models.sessions.PowerMeter", Meter)


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr("nli.models.sessions.perf_counter", clock)
    return clock


def session(make, checkpoints, clock, kill_at=None):
    """One session of the training that `make` builds: its trained tensors, history.json and training.json."""
    sessions = Sessions()
    clock.now += LOADING
    trainer = make(checkpoints)
    for callback in [clock, *([KillAt(kill_at)] if kill_at else [])]:
        trainer.add_callback(callback)
    history, audit = run_training(trainer, checkpoints, sessions)
    record = training_record(trainer.model, history, audit, sessions, {"seed": 3})
    return trained_tensors(trainer.model), json.loads(json.dumps(history)), json.loads(json.dumps(record))


def killed_and_resumed(make, checkpoints, clock, *kills):
    """Sessions killed at each step of `kills`, and the results of the last one."""
    for step in kills:
        with pytest.raises(Killed):
            session(make, checkpoints, clock, step)
    return session(make, checkpoints, clock)


def assert_same_training(found, expected):
    """Weights and records are equal, except for what must differ after several sessions."""
    (weights, history, record), (whole_weights, whole_history, whole_record) = found, expected
    assert weights.keys() == whole_weights.keys()
    assert [name for name in weights if not torch.equal(weights[name], whole_weights[name])] == []
    assert history == whole_history  # the clock counts steps, so even its seconds are equal
    measured = ("sessions", "peak_memory_gib")
    walls = [r["seconds"].pop("wall") for r in (record, whole_record)]
    kept, whole = ({k: v for k, v in r.items() if k not in measured} for r in (record, whole_record))
    assert kept == whole
    assert walls == [LOADING * record["sessions"] + history["train"]["steps"], LOADING + history["train"]["steps"]]


@pytest.mark.parametrize(
    ("checkpoint_steps", "kills", "sessions"),
    [
        (5, [6], 2),  # resumed in the middle of an epoch of 6 steps, between two logs
        (4, [10], 2),  # in the second epoch
        (6, [7], 2),  # at an epoch's end
        (3, [7, 8, 10], 3),  # the session killed at 8 made no checkpoint, so none of it counts
        (2, [3], 2),  # while the gradients are audited
    ],
)
@pytest.mark.parametrize("grouped", [False, True])
def test_encoder_killed_and_resumed_is_as_if_undisturbed(
    encoder_folder, rows, tmp_path, clock, checkpoint_steps, kills, sessions, grouped
):
    def make(checkpoints):
        changes = {"checkpoint_steps": checkpoint_steps, "group_by_length": grouped}
        return encoder_trainer(encoder_folder, rows, checkpoints, encoder_spec("lora"), **changes)

    whole = session(make, tmp_path / "whole", clock)
    resumed = killed_and_resumed(make, tmp_path / "killed", clock, *kills)
    assert (whole[2]["sessions"], resumed[2]["sessions"]) == (1, sessions)
    assert resumed[1]["train"]["seconds"] == 12.0
    assert resumed[2]["energy_kwh"] == {"train": 12.0}
    assert [epoch["epoch"] for epoch in resumed[1]["epochs"]] == [1.0, 2.0]
    assert_same_training(resumed, whole)


def qlora_run(decoder_folder, rows, trainer):
    """Eight steps of QLoRA, three per epoch, with micro-batches and batches of similar length."""
    experiment = {**QLORA_SPEC, "trainer": trainer, "lora": {**QLORA_SPEC["lora"], "dropout": 0.1}}
    changes = {"max_steps": 8, "gradient_accumulation": 2, "checkpoint_steps": 2, "logging_steps": 3}
    experiment["training"] = {**QLORA_SPEC["training"], **changes}

    def make(checkpoints):
        runtime.start(3, threads=1)
        tokenizer = load_tokenizer(decoder_folder)
        model = add_adapter(load_decoder(decoder_folder, QUANTIZATION), experiment)
        dataset = dataset_of(rows, tokenizer, experiment)
        return qlora.make_trainer(model, tokenizer, dataset, experiment, checkpoints, seed=3)

    return make


def linear_head_run(decoder_folder, rows):
    """Eight steps of the linear head, three per epoch."""
    experiment = {**HEAD, "lora": {**QLORA_SPEC["lora"], "dropout": 0.1}}
    changes = {"max_steps": 8, "gradient_accumulation": 2, "checkpoint_steps": 2, "logging_steps": 3}
    experiment["training"] = {**HEAD["training"], **changes}

    def make(checkpoints):
        runtime.start(3, threads=1)
        tokenizer = load_tokenizer(decoder_folder)
        model = linear_head.build_classifier(decoder_folder, experiment)
        dataset = linear_head.tokenize_texts(rows, tokenizer, experiment)
        return linear_head.make_trainer(model, tokenizer, dataset, experiment, checkpoints, seed=3)

    return make


@pytest.mark.parametrize("family", ["transformers", "trl", "linear_head"])
def test_decoder_killed_and_resumed_is_as_if_undisturbed(decoder_folder, rows, tmp_path, clock, family):
    linear = family == "linear_head"
    make = linear_head_run(decoder_folder, rows) if linear else qlora_run(decoder_folder, rows, family)
    whole = session(make, tmp_path / "whole", clock)
    resumed = killed_and_resumed(make, tmp_path / "killed", clock, 5, 7)  # in the second epoch, and at its end
    assert resumed[2]["sessions"] == 3
    assert_same_training(resumed, whole)


def test_mean_loss_and_audit_are_those_of_every_step(encoder_folder, rows, tmp_path):
    """The loss of an uninterrupted run is Trainer's own; that of its logged windows would differ."""
    trainer = encoder_trainer(encoder_folder, rows, tmp_path, logging_steps=5)
    own = []

    class Own(TrainerCallback):
        def on_log(self, args, state, control, logs=None, **kwargs):
            own.append((logs or {}).get("train_loss"))

    trainer.add_callback(Own())
    history, _ = run_training(trainer, tmp_path)
    assert [entry["step"] for entry in history["steps"]] == [1, 5, 10]  # 12 steps: two are never logged
    assert history["train"]["loss"] == pytest.approx(own[-1], rel=1e-12)
    one, five, ten = (entry["loss"] for entry in history["steps"])
    assert history["epochs"][0]["mean_training_loss"] == pytest.approx((one + 4 * five) / 5)
    assert history["epochs"][1]["mean_training_loss"] == pytest.approx(ten)
    assert history["epochs"][1]["training_loss"] == ten


def test_no_checkpoint_is_made_at_the_last_step(encoder_folder, rows, tmp_path):
    """Trainer would resume from it by training one more step."""
    run_training(encoder_trainer(encoder_folder, rows, tmp_path, epochs=None, max_steps=8), tmp_path)
    assert last_checkpoint(tmp_path).name == "checkpoint-4"


def test_record_says_how_many_steps_were_audited(encoder_folder, rows, tmp_path):
    for steps, audited in ((3, 3), (8, 5)):
        trainer = encoder_trainer(encoder_folder, rows, tmp_path / str(steps), epochs=None, max_steps=steps)
        sessions = Sessions()
        history, audit = run_training(trainer, tmp_path / str(steps), sessions)
        record = training_record(trainer.model, history, audit, sessions, {})
        assert record["parameters"]["audited_steps"] == audited


def test_energy_is_unknown_where_one_session_could_not_read_it(monkeypatch):
    known, unknown = Sessions(), Sessions()
    unknown.recall({**known.used(), "energy_kwh": {"train": None}})
    assert known.used()["energy_kwh"] == {"train": 0.0}
    assert unknown.used()["energy_kwh"] == {"train": None}
    monkeypatch.setattr(Meter, "watts", None)
    assert known.used()["energy_kwh"] == {"train": None}


def test_peak_memory_is_the_highest_of_the_sessions():
    assert highest({"process": 3.0, "device": None}, {"process": 2.0, "device": 5.0}) == {"process": 3.0, "device": 5.0}
    assert highest({}, {"process": 2.0, "device": None}) == {"process": 2.0, "device": None}
    sessions = Sessions()
    sessions.recall({**sessions.used(), "peak_memory_gib": {"process": 1e6, "device": 80.0}})
    assert sessions.used()["peak_memory_gib"] == {"process": 1e6, "device": 80.0}


@pytest.fixture
def quiet():
    """transformers as with TRANSFORMERS_VERBOSITY=error."""
    before = logging.get_verbosity()
    logging.set_verbosity_error()
    yield
    logging.set_verbosity(before)


def test_quiet_training_counts_its_operations(encoder_folder, rows, tmp_path, quiet):
    """Without a progress bar Trainer prints its metrics, and its printer removes `total_flos` from them."""
    trainer = encoder_trainer(encoder_folder, rows, tmp_path)
    assert any(isinstance(callback, PrinterCallback) for callback in trainer.callback_handler.callbacks)
    history, _ = run_training(trainer, tmp_path)
    least = 6 * history["train"]["tokens"] * trainer.model.num_parameters(exclude_embeddings=True)
    assert least <= history["train"]["total_flops"] <= 1.5 * least
