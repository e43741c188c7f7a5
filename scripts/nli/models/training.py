"""One way to train for all families: transformers' Trainer with small exact checkpoints and a gradient audit.

Whatever a method leaves untouched is in the base model's files already, so a checkpoint and a saved model hold
only the tensors that training may change or that were made at random (adapters, prompts, heads).
"""

import json
import math
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import Trainer, TrainerCallback, TrainerState

from nli.base.errors import StudyError
from nli.models.cloze import ClozeClassifier
from nli.models.sessions import SavedCallback, Sessions

TENSORS = "model.safetensors"
AUDITED_STEPS = 5  # LoRA's A has no gradient until B, which starts at zero, has moved


def mark_pretrained(model: nn.Module, missing: set[str] | frozenset[str] = frozenset()) -> nn.Module:
    """Note on each parameter that it came from the base model's files, save those named in `missing`.

    Copies that PEFT makes later (a trainable head, say) do not carry the note and so count as fresh.
    """
    for name, parameter in model.named_parameters():
        parameter.pretrained = name not in missing
    return model


def core(model: nn.Module) -> nn.Module:
    """The model that has files of its own: of a cloze the masked language model that it asks."""
    return model.model if isinstance(model, ClozeClassifier) else model


def trained_tensors(model: nn.Module) -> dict[str, torch.Tensor]:
    """The tensors that cannot be had from the base model: trainable ones and those made at random.

    Returns:
        name -> contiguous CPU tensor, each parameter once, in the model's order.
    """
    return {
        name: parameter.detach().cpu().contiguous().clone()
        for name, parameter in model.named_parameters()
        if parameter.requires_grad or not getattr(parameter, "pretrained", False)
    }


def save_trained(model: nn.Module, folder: Path | str) -> None:
    """Write `trained_tensors` to `folder/model.safetensors`."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    save_file(trained_tensors(core(model)), Path(folder) / TENSORS, metadata={"format": "pt"})


def load_trained(model: nn.Module, folder: Path | str) -> None:
    """Put saved tensors into a model built from the same spec; the file may hold others, which the base has too.

    Raises:
        StudyError: the file lacks tensors that this model needs, or has them in another shape: another spec's.
    """
    path = Path(folder) / TENSORS
    saved = load_file(path)
    needed = {
        name: parameter
        for name, parameter in core(model).named_parameters()
        if parameter.requires_grad or not getattr(parameter, "pretrained", False)
    }
    if not needed.keys() <= saved.keys() or any(saved[n].shape != p.shape for n, p in needed.items()):
        raise StudyError(f"{path}: not the tensors of this spec's model; delete the folder and train again")
    with torch.no_grad():
        for name, parameter in needed.items():
            parameter.copy_(saved[name])


class TrainedTensors:
    """Mixin for Trainer: a checkpoint's weights are `trained_tensors`, whatever wraps the model.

    PEFT's own checkpoints would drop a word-embedding table that trains beside a prompt, and those of a plain
    module would hold the whole quantized base.
    """

    def _save(self, output_dir: str | None = None, state_dict: dict | None = None) -> None:
        save_trained(self.model, output_dir or self.args.output_dir)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        load_trained(model or self.model, resume_from_checkpoint)


class StudyTrainer(TrainedTensors, Trainer):
    """transformers' Trainer, saving only what training changes."""


class GradientAudit(SavedCallback):
    """Record which trainable tensors ever got a non-zero gradient in the first steps, whichever session made them.

    `names` is the answer; a tensor that trains in name only never enters it.
    """

    def __init__(self, model: nn.Module, steps: int = AUDITED_STEPS) -> None:
        self.model = model
        self.steps = steps
        self.names: set[str] = set()

    def on_pre_optimizer_step(self, args, state, control, **kwargs) -> None:
        """Look at the gradients after clipping, before they are used."""
        if state.global_step >= self.steps:
            return
        for name, parameter in self.model.named_parameters():
            if parameter.grad is not None and bool(parameter.grad.any()):
                self.names.add(name)

    def remember(self) -> dict[str, Any]:
        """The names so far."""
        return {"names": sorted(self.names)}

    def recall(self, saved: dict[str, Any]) -> None:
        """Take an earlier session's names."""
        self.names = set(saved["names"])


class ExactResumption(SavedCallback):
    """Make a resumed training the same as one that nobody stopped, where Trainer's own checkpoints fall short.

    - A checkpoint that is due at an epoch's last step waits for that epoch's evaluation. Trainer saves before it
      evaluates and does not evaluate on resumption: the history would lack the evaluation, and the random numbers that
      it draws would be drawn by the next epoch's dropout.
    - No checkpoint is made at the last step of all. The outputs follow at once, and Trainer would resume from it by
      training one step more.
    - The loss that is not logged yet is saved, else the first window logged after resumption would lack its first
      steps.
    - The generator's state at the epoch's start is saved: batches of like length are drawn from it.
    """

    def __init__(self, trainer: Trainer) -> None:
        self.trainer = trainer
        self.due = False
        self.epoch_start = torch.get_rng_state()
        self.resumed = False

    def on_epoch_begin(self, args, state, control, **kwargs) -> None:
        """Draw a resumed epoch's batches as the session that began it did; Trainer then sets the checkpoint's state."""
        if self.resumed:
            torch.set_rng_state(self.epoch_start)
            self.resumed = False
        else:
            self.epoch_start = torch.get_rng_state()

    def on_step_end(self, args, state, control, **kwargs) -> None:
        """Put off a checkpoint that is due at an epoch's last step; drop the one of the last step."""
        if state.global_step >= state.max_steps:
            control.should_save = False
        elif control.should_save and at_epoch_end(state):
            control.should_save, self.due = False, True

    def on_epoch_end(self, args, state, control, **kwargs) -> None:
        """Ask for the checkpoint that was put off: Trainer evaluates first."""
        control.should_save, self.due = self.due, False

    def remember(self) -> dict[str, Any]:
        """The summed loss since the last log and, in hexadecimal, the generator's state at the start of the epoch.

        At an epoch's end that is the next epoch, which starts from the present state.
        """
        start = torch.get_rng_state() if at_epoch_end(self.trainer.state) else self.epoch_start
        return {"unlogged_loss": unlogged_loss(self.trainer), "epoch_start": start.numpy().tobytes().hex()}

    def recall(self, saved: dict[str, Any]) -> None:
        """Give both back, and count the steps of the first window from the last log."""
        self.trainer._tr_loss += saved["unlogged_loss"]
        self.trainer._globalstep_last_logged = max(entry["step"] for entry in loss_entries(self.trainer))
        self.epoch_start = torch.frombuffer(bytearray.fromhex(saved["epoch_start"]), dtype=torch.uint8)
        self.resumed = True


def at_epoch_end(state: TrainerState) -> bool:
    """Whether the last step was its epoch's last; Trainer then counts a whole number of epochs."""
    return float(state.epoch).is_integer()


class StopWhenDiverged(TrainerCallback):
    """End the training with a StudyError as soon as a logged loss is NaN or infinite."""

    def on_log(self, args, state, control, logs=None, **kwargs) -> None:
        """Look at the loss of the last steps, and at the mean over all of them in the end."""
        for key in ("loss", "train_loss"):
            loss = (logs or {}).get(key, 0.0)
            if not math.isfinite(loss):
                raise StudyError(
                    f"training diverged: the loss is {loss} at step {state.global_step}; lower training.learning_rate"
                )


def training_arguments(training: dict[str, Any], checkpoints: Path | str, seed: int) -> dict[str, Any]:
    """Keyword arguments of TrainingArguments (and TRL's SFTConfig) for a spec's `training` section.

    Everything whose default changed since the report is set here: precision (TRL now turns bf16 on), the fused
    optimizer, gradient checkpointing.
    """
    sampling = "group_by_length" if training["group_by_length"] else "random"
    return {
        "output_dir": str(checkpoints),
        "seed": seed,
        "learning_rate": training["learning_rate"],
        "per_device_train_batch_size": training["batch_size"],
        "gradient_accumulation_steps": training["gradient_accumulation"],
        "num_train_epochs": training["epochs"] or 1,
        "max_steps": training["max_steps"] or -1,
        "weight_decay": training["weight_decay"],
        "optim": training["optimizer"],
        "lr_scheduler_type": training["schedule"],
        "warmup_steps": training["warmup_steps"],
        "max_grad_norm": training["max_grad_norm"],
        "train_sampling_strategy": sampling,
        "gradient_checkpointing": training["gradient_checkpointing"],
        "logging_steps": training["logging_steps"],
        "logging_first_step": True,
        "logging_nan_inf_filter": False,  # else a NaN is logged as the mean of the steps before
        "save_strategy": "steps",
        "save_steps": training["checkpoint_steps"],
        "save_total_limit": 1,
        "fp16": training["mixed_precision"] == "fp16",
        "bf16": training["mixed_precision"] == "bf16",
        "include_num_input_tokens_seen": "non_padding",
        "report_to": "none",
        "dataloader_pin_memory": torch.cuda.is_available(),
    }


def last_checkpoint(checkpoints: Path | str) -> str | None:
    """The newest checkpoint that was written to its end; None if there is none.

    Trainer writes trainer_state.json last, so a checkpoint that lacks it or has a part of it belongs to a job killed
    while saving.

    Raises:
        StudyError: the checkpoint was made by an earlier version of this code, which saved less.
    """
    found = [
        (int(match[1]), path, state)
        for path in Path(checkpoints).glob("checkpoint-*")
        if (match := re.fullmatch(r"checkpoint-(\d+)", path.name)) and (state := checkpoint_state(path)) is not None
    ]
    if not found:
        return None
    _, path, state = max(found, key=lambda checkpoint: checkpoint[0])
    saved = state.get("stateful_callbacks") or {}
    if any(kind.__name__ not in saved for kind in (GradientAudit, ExactResumption, Sessions)):
        raise StudyError(
            f"{path}: an earlier version of the study made this checkpoint, without the times and the gradient audit "
            f"of its steps; delete {path.parent} to train from the start, or finish the run with that version"
        )
    return str(path)


def checkpoint_state(checkpoint: Path) -> dict[str, Any] | None:
    """What Trainer saved of its own state in a checkpoint; None if it is missing or cut off."""
    try:
        return json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None


def run_training(
    trainer: Trainer, checkpoints: Path | str, sessions: Sessions | None = None
) -> tuple[dict[str, Any], GradientAudit]:
    """Train, resuming from the last whole checkpoint.

    The caller deletes the checkpoints once its outputs are written.

    Args:
        sessions: the job's account of its time and memory; a new one if None.

    Returns:
        the history (see `history`) and the gradient audit, both of all sessions.

    Raises:
        StudyError: the loss became NaN or infinite, or the checkpoint is of an earlier version.
    """
    sessions = sessions or Sessions()
    audit = GradientAudit(trainer.model)
    for callback in (audit, ExactResumption(trainer), sessions, StopWhenDiverged()):
        trainer.add_callback(callback)
    resume = last_checkpoint(checkpoints)
    if resume:
        print(f"resuming from {resume}", flush=True)
    else:
        shutil.rmtree(checkpoints, ignore_errors=True)  # half a checkpoint is worth nothing
    with sessions.meter:
        trainer.train(resume_from_checkpoint=resume)
    return history(trainer, sessions.used()["seconds"]["train"]), audit


def history(trainer: Trainer, seconds: float) -> dict[str, Any]:
    """What training logged: every logging step, every epoch that was evaluated, and the totals.

    An epoch's `training_loss` is the last one logged before its evaluation, as notebooks print it;
    `mean_training_loss` is over the epoch's logged steps.

    Args:
        trainer: after training. The totals are read from its state: the metrics that it returns are of the last
            session alone, and its callbacks take entries out of them.
        seconds: the training's, over all sessions.
    """
    state = trainer.state
    examples = round(state.epoch * len(trainer.train_dataset))
    steps = [
        {key: entry.get(key) for key in ("step", "epoch", "loss", "learning_rate", "grad_norm")}
        for entry in loss_entries(trainer)
    ]
    return {
        "steps": steps,
        "epochs": evaluated_epochs(state.log_history),
        "train": {
            "loss": (logged_loss(steps) + unlogged_loss(trainer)) / state.global_step,
            "seconds": seconds,
            "samples_per_second": examples / seconds,
            "steps_per_second": state.global_step / seconds,
            "total_flops": state.total_flos,
            "epoch": state.epoch,
            "steps": state.global_step,
            "examples": examples,
            "tokens": int(state.num_input_tokens_seen),
        },
    }


def loss_entries(trainer: Trainer) -> list[dict[str, Any]]:
    """The entries of the log that hold a training loss, the mean over the steps since the entry before."""
    return [entry for entry in trainer.state.log_history if "loss" in entry]


def logged_loss(entries: Sequence[dict[str, Any]], start: int = 0) -> float:
    """The losses of all logged steps after step `start`, summed; each entry counts with the steps of its window."""
    before = [start, *(entry["step"] for entry in entries)]
    return sum(entry["loss"] * (entry["step"] - step) for step, entry in zip(before, entries, strict=False))


def unlogged_loss(trainer: Trainer) -> float:
    """The losses of the steps since the last log, summed; 0 before training. Trainer keeps the sum to itself."""
    return trainer._tr_loss.item() if trainer.state.global_step else 0.0


def evaluated_epochs(log: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row for each evaluation in Trainer's log, see `history`."""
    epochs, window, start = [], [], 0
    for entry in log:
        if "loss" in entry:
            window.append(entry)
        elif "eval_loss" in entry:
            steps = window[-1]["step"] - start if window else 0
            epochs.append(
                {
                    "epoch": entry["epoch"],
                    "training_loss": window[-1]["loss"] if window else None,
                    "mean_training_loss": logged_loss(window, start) / steps if window else None,
                    "validation_loss": entry["eval_loss"],
                    "accuracy": entry["eval_accuracy"],
                }
            )
            start += steps
            window = []
    return epochs
