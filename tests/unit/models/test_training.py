"""The trainer: exact resumption, the gradient audit, the history, divergence."""

import pytest
import torch
from transformers import TrainingArguments
from unit.specs import TRAINING, KillAt, Killed, encoder_spec, encoder_trainer

from nli.base.errors import StudyError
from nli.models.training import last_checkpoint, run_training, trained_tensors, training_arguments


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
    assert last_checkpoint(tmp_path / "killed").endswith("checkpoint-4")
    resumed = encoder_trainer(encoder_folder, rows, tmp_path / "killed", experiment)
    history, _ = run_training(resumed, tmp_path / "killed")

    assert history["train"]["steps"] == 12
    found = trained_tensors(resumed.model)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_checkpoint_of_a_job_killed_while_saving_is_not_resumed(encoder_folder, rows, tmp_path):
    trainer = encoder_trainer(encoder_folder, rows, tmp_path)
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


def test_arguments_pin_what_the_report_had(tmp_path):
    arguments = TrainingArguments(**training_arguments(TRAINING, tmp_path, seed=1))
    assert (arguments.fp16, arguments.bf16) == (False, False)
    assert arguments.optim == "adamw_torch"
    assert arguments.train_sampling_strategy == "random"
    assert arguments.warmup_steps == 0
