"""The trainer: exact resumption, the gradient audit, the history, divergence."""

import pytest
import torch
from safetensors.torch import load_file
from transformers import TrainerCallback, TrainingArguments
from unit.specs import TRAINING, KillAt, Killed, encoder_spec, encoder_trainer

from nli.base.errors import StudyError
from nli.models.checkpoints import last_checkpoint
from nli.models.training import run_training, trained_tensors, training_arguments


@pytest.mark.parametrize(
    "experiment", [encoder_spec("full"), encoder_spec("prompt_tuning", trainable="word_embeddings")]
)
def test_killed_training_resumes_to_the_same_weights(encoder_folder, rows, tmp_path, experiment):
    whole = encoder_trainer(encoder_folder, rows, tmp_path / "whole", experiment)
    run_training(whole, tmp_path / "whole")
    expected = trained_tensors(whole.model)

    killed = encoder_trainer(encoder_folder, rows, tmp_path / "killed", experiment)
    killed.add_callback(KillAt(6))
    with pytest.raises(Killed):
        run_training(killed, tmp_path / "killed")
    assert last_checkpoint(tmp_path / "killed").name == "checkpoint-4"
    resumed = encoder_trainer(encoder_folder, rows, tmp_path / "killed", experiment)
    history, _ = run_training(resumed, tmp_path / "killed")

    assert history["train"]["steps"] == 12
    found = trained_tensors(resumed.model)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_history_holds_steps_epochs_and_totals(encoder_folder, rows, tmp_path):
    trainer = encoder_trainer(encoder_folder, rows, tmp_path)
    history, _ = run_training(trainer, tmp_path)
    assert [entry["step"] for entry in history["steps"]] == [1, 2, 4, 6, 8, 10, 12]
    assert [entry["epoch"] for entry in history["epochs"]] == [1.0, 2.0]
    assert history["epochs"][1]["training_loss"] == history["steps"][-1]["loss"]
    assert history["train"]["examples"] == 2 * len(rows)
    tokens = sum(len(ids) for ids in trainer.train_dataset["input_ids"])
    assert history["train"]["tokens"] == 2 * tokens  # padding does not count


def test_audit_names_the_tensors_that_got_a_gradient(encoder_folder, rows, tmp_path):
    trainer = encoder_trainer(encoder_folder, rows, tmp_path / "lora", encoder_spec("lora"))
    _, audit = run_training(trainer, tmp_path / "lora")
    assert audit.names == {n for n, p in trainer.model.named_parameters() if p.requires_grad}
    reported = encoder_spec("prompt_tuning", trainable="word_embeddings")
    _, audit = run_training(encoder_trainer(encoder_folder, rows, tmp_path / "p", reported), tmp_path / "p")
    assert [name.rsplit(".", 2)[1] for name in audit.names] == ["word_embeddings"]


def test_diverged_training_is_one_clear_error(encoder_folder, rows, tmp_path):
    trainer = encoder_trainer(encoder_folder, rows, tmp_path, learning_rate=1e30, max_grad_norm=1e30)
    with pytest.raises(StudyError, match=r"training diverged: .*lower training.learning_rate"):
        run_training(trainer, tmp_path)


class Infect(TrainerCallback):
    """Makes a weight NaN after a step, as an update with an infinite gradient does."""

    def __init__(self, model, step):
        self.model, self.step = model, step

    def on_optimizer_step(self, args, state, control, **kwargs):
        if state.global_step + 1 == self.step:
            with torch.no_grad():
                next(p for p in self.model.parameters() if p.requires_grad).fill_(float("nan"))


@pytest.mark.parametrize(
    ("step", "logging_steps", "found", "kept"),
    [
        (6, 2, "the validation loss is nan at step 6", 4),  # at an epoch's end
        (8, 2, "is no longer finite at step 8", 4),  # a checkpoint's step, whose loss is from before
        (7, 100, "the loss is nan at step 8", 4),  # before a checkpoint, and not logged
        (7, 2, "the loss is nan at step 8", 4),
        (12, 2, "the validation loss is nan at step 12", 8),
    ],
)
def test_diverged_training_keeps_the_last_good_checkpoint(
    encoder_folder, rows, tmp_path, step, logging_steps, found, kept
):
    trainer = encoder_trainer(encoder_folder, rows, tmp_path, logging_steps=logging_steps)
    trainer.add_callback(Infect(trainer.model, step))
    with pytest.raises(StudyError, match=f"training diverged: .*{found}; lower .*checkpoint-{kept} is kept$"):
        run_training(trainer, tmp_path)
    saved = load_file(last_checkpoint(tmp_path) / "model.safetensors")
    assert all(tensor.isfinite().all() for tensor in saved.values())


def test_weights_that_the_last_step_spoils_are_an_error(encoder_folder, rows, tmp_path):
    trainer = encoder_trainer(encoder_folder, rows, tmp_path, epochs=None, max_steps=5)
    trainer.args.eval_strategy = "no"
    trainer.add_callback(Infect(trainer.model, 5))
    with pytest.raises(StudyError, match=r"no longer finite at step 5; lower .*checkpoint-4 is kept$"):
        run_training(trainer, tmp_path)


def test_arguments_pin_what_the_report_had(tmp_path):
    arguments = TrainingArguments(**training_arguments(TRAINING, tmp_path, seed=1))
    assert (arguments.fp16, arguments.bf16) == (False, False)
    assert arguments.optim == "adamw_torch"
    assert arguments.train_sampling_strategy == "random"
    assert arguments.warmup_steps == 0
