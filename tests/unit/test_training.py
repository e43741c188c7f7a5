"""The trainer: exact resumption, the gradient audit, the history, divergence."""

import pytest
import torch
from transformers import TrainerCallback, TrainingArguments
from unit.test_encoder import TOKENIZATION, spec

from nli import encoder, runtime
from nli.encoder import build_encoder, load_tokenizer, tokenize_pairs
from nli.errors import StudyError
from nli.training import last_checkpoint, run_training, trained_tensors, training_arguments

TRAINING = {
    "learning_rate": 1e-3,
    "batch_size": 8,
    "gradient_accumulation": 1,
    "epochs": 2.0,
    "max_steps": None,
    "weight_decay": 0.01,
    "optimizer": "adamw_torch",
    "schedule": "linear",
    "warmup_steps": 0,
    "max_grad_norm": 1.0,
    "mixed_precision": "none",
    "group_by_length": False,
    "gradient_checkpointing": False,
    "logging_steps": 2,
    "checkpoint_steps": 4,
}


class Killed(Exception):
    """Stands for the signal that ends a job."""


class KillAt(TrainerCallback):
    def __init__(self, step):
        self.step = step

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == self.step:
            raise Killed


def make_trainer(folder, rows, checkpoints, experiment=None, seed=3, **changes):
    runtime.start(seed, threads=1)
    tokenizer = load_tokenizer(folder)
    dataset = tokenize_pairs(rows, tokenizer, TOKENIZATION)
    model = build_encoder(folder, experiment or spec("full"))
    training = {**TRAINING, "eval_batch_size": 8, **changes}
    return encoder.make_trainer(model, tokenizer, dataset, dataset, training, checkpoints, seed)


@pytest.mark.parametrize("experiment", [spec("full"), spec("prompt_tuning", trainable="word_embeddings")])
def test_killed_training_resumes_to_the_same_weights(encoder_folder, rows, tmp_path, experiment):
    whole = make_trainer(encoder_folder, rows, tmp_path / "whole", experiment)
    run_training(whole, tmp_path / "whole")
    expected = trained_tensors(whole.model)

    killed = make_trainer(encoder_folder, rows, tmp_path / "killed", experiment)
    killed.add_callback(KillAt(6))
    with pytest.raises(Killed):
        run_training(killed, tmp_path / "killed")
    assert last_checkpoint(tmp_path / "killed").endswith("checkpoint-4")
    resumed = make_trainer(encoder_folder, rows, tmp_path / "killed", experiment)
    history, _ = run_training(resumed, tmp_path / "killed")

    assert history["train"]["steps"] == 12
    found = trained_tensors(resumed.model)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_checkpoint_of_a_job_killed_while_saving_is_not_resumed(encoder_folder, rows, tmp_path):
    trainer = make_trainer(encoder_folder, rows, tmp_path)
    trainer.add_callback(KillAt(6))
    with pytest.raises(Killed):
        run_training(trainer, tmp_path)
    whole, half, cut = (tmp_path / f"checkpoint-{step}" for step in (4, 8, 12))
    half.mkdir()
    (half / "model.safetensors").write_text("")
    cut.mkdir()
    (cut / "trainer_state.json").write_text((whole / "trainer_state.json").read_text()[:-9])
    assert last_checkpoint(tmp_path) == str(whole)
    assert last_checkpoint(tmp_path / "missing") is None


def test_history_holds_steps_epochs_and_totals(encoder_folder, rows, tmp_path):
    trainer = make_trainer(encoder_folder, rows, tmp_path)
    history, _ = run_training(trainer, tmp_path)
    assert [entry["step"] for entry in history["steps"]] == [1, 2, 4, 6, 8, 10, 12]
    assert [entry["epoch"] for entry in history["epochs"]] == [1.0, 2.0]
    assert history["epochs"][1]["training_loss"] == history["steps"][-1]["loss"]
    assert history["train"]["examples"] == 2 * len(rows)
    tokens = sum(len(ids) for ids in trainer.train_dataset["input_ids"])
    assert history["train"]["tokens"] == 2 * tokens  # padding does not count


def test_audit_names_the_tensors_that_got_a_gradient(encoder_folder, rows, tmp_path):
    trainer = make_trainer(encoder_folder, rows, tmp_path / "lora", spec("lora"))
    _, audit = run_training(trainer, tmp_path / "lora")
    assert audit.names == {n for n, p in trainer.model.named_parameters() if p.requires_grad}
    reported = spec("prompt_tuning", trainable="word_embeddings")
    _, audit = run_training(make_trainer(encoder_folder, rows, tmp_path / "p", reported), tmp_path / "p")
    assert [name.rsplit(".", 2)[1] for name in audit.names] == ["word_embeddings"]


def test_diverged_training_is_one_clear_error(encoder_folder, rows, tmp_path):
    trainer = make_trainer(encoder_folder, rows, tmp_path, learning_rate=1e30, max_grad_norm=1e30)
    with pytest.raises(StudyError, match=r"training diverged: .*lower training.learning_rate"):
        run_training(trainer, tmp_path)


def test_arguments_pin_what_the_report_had(tmp_path):
    arguments = TrainingArguments(**training_arguments(TRAINING, tmp_path, seed=1))
    assert (arguments.fp16, arguments.bf16) == (False, False)
    assert arguments.optim == "adamw_torch"
    assert arguments.train_sampling_strategy == "random"
    assert arguments.warmup_steps == 0
