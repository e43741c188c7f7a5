"""Training for all families: transformers' Trainer with small exact checkpoints and a gradient audit.

Tensors that a method does not change are already in the base model's files, so a checkpoint and a saved model have only
the tensors that training may change or that start at random (adapters, prompts, heads).
"""

import math
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import Trainer, TrainerCallback, TrainerState

from nli.base.errors import StudyError
from nli.base.progress import Progress
from nli.models.checkpoints import by_step, delete_oldest, last_checkpoint, seal
from nli.models.cloze import ClozeClassifier
from nli.models.sessions import SavedCallback, Sessions

TENSORS = "model.safetensors"
FUSED = {"adamw_torch": "adamw_torch_fused"}  # optimizer -> the same in one kernel
AUDITED_STEPS = 5  # LoRA's A has no gradient until B, which starts at zero, has moved


def mark_pretrained(model: nn.Module, missing: set[str] | frozenset[str] = frozenset()) -> nn.Module:
    """Mark each parameter as coming from the base model's files, except those in `missing`.

    Copies that PEFT makes later (such as a trainable head) are not marked and so count as new.
    """
    for name, parameter in model.named_parameters():
        parameter.pretrained = name not in missing
    return model


def core(model: nn.Module) -> nn.Module:
    """The model that has files of its own: of a cloze the masked language model that it asks."""
    return model.model if isinstance(model, ClozeClassifier) else model


def trained_tensors(model: nn.Module) -> dict[str, torch.Tensor]:
    """The tensors that are not in the base model: trainable ones and those that started at random.

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
    """Mixin for Trainer: a checkpoint is whole, finite, and its weights are `trained_tensors`, for any wrapped model.

    PEFT's own checkpoints would drop a word-embedding table that trains next to a prompt, and those of a plain module
    would contain the whole quantized base.
    """

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        require_finite(self)
        super()._save_checkpoint(model, trial)
        seal(Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}")
        delete_oldest(self.args.output_dir)

    def _save(self, output_dir: str | None = None, state_dict: dict | None = None) -> None:
        save_trained(self.model, output_dir or self.args.output_dir)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        load_trained(model or self.model, resume_from_checkpoint)


class StudyTrainer(TrainedTensors, Trainer):
    """transformers' Trainer, saving only what training changes."""


class GradientAudit(SavedCallback):
    """Records which trainable tensors got a non-zero gradient in the first steps, over all sessions.

    `names` has these tensors; one that is trainable but never gets a gradient is not among them.
    """

    def __init__(self, model: nn.Module, steps: int = AUDITED_STEPS) -> None:
        self.model = model
        self.steps = steps
        self.names: set[str] = set()

    def on_pre_optimizer_step(self, args, state, control, **kwargs) -> None:
        """Check the gradients after clipping, before the optimizer uses them."""
        if state.global_step >= self.steps:
            return
        for name, parameter in self.model.named_parameters():
            if parameter.grad is not None and bool(parameter.grad.any()):
                self.names.add(name)

    def remember(self) -> dict[str, Any]:
        """The names so far."""
        return {"names": sorted(self.names)}

    def recall(self, saved: dict[str, Any]) -> None:
        """Restore an earlier session's names."""
        self.names = set(saved["names"])


class ExactResumption(SavedCallback):
    """Makes a resumed training identical to an uninterrupted one, which Trainer's own checkpoints do not ensure.

    - A checkpoint at an epoch's last step waits for that epoch's evaluation. Trainer saves before it evaluates and does
      not evaluate on resumption, so the history would lack the evaluation, and the next epoch's dropout would use the
      random numbers that the evaluation draws.
    - No checkpoint is made at the very last step. The outputs follow at once, and Trainer would resume from it by
      training one more step.
    - The loss since the last log is saved, or the first window logged after resumption would lack its first steps.
    - The generator's state at the epoch's start is saved, because batches of similar length are drawn from it.
    """

    def __init__(self, trainer: Trainer) -> None:
        self.trainer = trainer
        self.due = False
        self.epoch_start = torch.get_rng_state()
        self.resumed = False

    def on_epoch_begin(self, args, state, control, **kwargs) -> None:
        """Draw a resumed epoch's batches as in the session that began it; Trainer then sets the checkpoint's state."""
        if self.resumed:
            torch.set_rng_state(self.epoch_start)
            self.resumed = False
        else:
            self.epoch_start = torch.get_rng_state()

    def on_step_end(self, args, state, control, **kwargs) -> None:
        """Postpone a checkpoint at an epoch's last step; drop the one at the very last step."""
        if state.global_step >= state.max_steps:
            control.should_save = False
        elif control.should_save and at_epoch_end(state):
            control.should_save, self.due = False, True

    def on_epoch_end(self, args, state, control, **kwargs) -> None:
        """Request the postponed checkpoint; Trainer evaluates first."""
        control.should_save, self.due = self.due, False

    def remember(self) -> dict[str, Any]:
        """The summed loss since the last log and, in hexadecimal, the generator's state at the start of the epoch.

        At an epoch's end this is the next epoch, which starts from the current state.
        """
        start = torch.get_rng_state() if at_epoch_end(self.trainer.state) else self.epoch_start
        return {"unlogged_loss": unlogged_loss(self.trainer), "epoch_start": start.numpy().tobytes().hex()}

    def recall(self, saved: dict[str, Any]) -> None:
        """Restore both, and count the steps of the first window from the last log."""
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
        """Check the loss of the last steps, that of an evaluation, and at the end the mean over all steps."""
        for key, name in (("loss", "loss"), ("eval_loss", "validation loss"), ("train_loss", "mean loss")):
            loss = (logs or {}).get(key, 0.0)
            if not math.isfinite(loss):
                raise diverged(f"the {name} is {loss}", state.global_step, args.output_dir)


class ShowProgress(TrainerCallback):
    """Tells `make status` how far the training is."""

    def __init__(self, checkpoints: Path | str) -> None:
        self.progress = Progress(checkpoints)

    def on_train_begin(self, args, state, control, **kwargs) -> None:
        """Start the clock, at the checkpoint's step if there is one."""
        self.progress.begin(state.global_step, state.max_steps)

    def on_step_end(self, args, state, control, **kwargs) -> None:
        """Say so, if the last time is long enough ago."""
        self.progress.advance(state.global_step, state.max_steps)


def require_finite(trainer: Trainer) -> None:
    """Raise StudyError if a trainable tensor, or the loss since the last log, is NaN or infinite."""
    step, folder = trainer.state.global_step, trainer.args.output_dir
    if not math.isfinite(loss := unlogged_loss(trainer)):
        raise diverged(f"the loss is {loss}", step, folder)
    for name, parameter in trainer.model.named_parameters():
        if parameter.requires_grad and not bool(parameter.isfinite().all()):
            raise diverged(f"{name} is no longer finite", step, folder)


def diverged(what: str, step: int, checkpoints: Path | str) -> StudyError:
    """The error of a training that diverged; it names the last checkpoint, which is from before."""
    kept = "".join(f"; {path} is kept" for path in by_step(checkpoints)[:1])
    return StudyError(f"training diverged: {what} at step {step}; lower training.learning_rate{kept}")


def training_arguments(
    training: dict[str, Any], checkpoints: Path | str, seed: int, speed: str = "plain"
) -> dict[str, Any]:
    """Keyword arguments of TrainingArguments (and TRL's SFTConfig) for a spec's `training` section.

    Sets everything whose default has changed since the original: precision (TRL now turns on bf16), the optimizer's
    kernel, gradient checkpointing. With `speed` fast, AdamW is one kernel for all of an update.
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
        "optim": FUSED.get(training["optimizer"], training["optimizer"]) if speed == "fast" else training["optimizer"],
        "lr_scheduler_type": training["schedule"],
        "warmup_steps": training["warmup_steps"],
        "max_grad_norm": training["max_grad_norm"],
        "train_sampling_strategy": sampling,
        "gradient_checkpointing": training["gradient_checkpointing"],
        "logging_steps": training["logging_steps"],
        "logging_first_step": True,
        "logging_nan_inf_filter": False,  # or a NaN would be logged as the mean of the steps before
        "save_strategy": "steps",
        "save_steps": training["checkpoint_steps"],
        "save_total_limit": None,  # `delete_oldest` decides
        "fp16": training["mixed_precision"] == "fp16",
        "bf16": training["mixed_precision"] == "bf16",
        "use_cpu": not torch.cuda.is_available(),  # or bf16 is refused without a GPU
        "include_num_input_tokens_seen": "non_padding",
        "report_to": "none",
        "dataloader_pin_memory": torch.cuda.is_available(),
    }


def run_training(
    trainer: Trainer, checkpoints: Path | str, sessions: Sessions | None = None
) -> tuple[dict[str, Any], GradientAudit]:
    """Train, resuming from the last whole checkpoint.

    The caller deletes the checkpoints once its outputs are written.

    Args:
        sessions: the job's record of its time and memory; a new one if None.

    Returns:
        the history (see `history`) and the gradient audit, both over all sessions.

    Raises:
        StudyError: the loss or a weight became NaN or infinite.
    """
    sessions = sessions or Sessions()
    audit = GradientAudit(trainer.model)
    for callback in (audit, ExactResumption(trainer), sessions, StopWhenDiverged(), ShowProgress(checkpoints)):
        trainer.add_callback(callback)
    resume = last_checkpoint(checkpoints)
    if resume:
        print(f"resuming from {resume}", flush=True)
    else:
        shutil.rmtree(checkpoints, ignore_errors=True)
    with sessions.meter:
        trainer.train(resume_from_checkpoint=str(resume) if resume else None)
    require_finite(trainer)
    return history(trainer, sessions.used()["seconds"]["train"]), audit


def history(trainer: Trainer, seconds: float) -> dict[str, Any]:
    """What training logged: every logging step, every evaluated epoch, and the totals.

    An epoch's `training_loss` is the last one logged before its evaluation, as notebooks print it;
    `mean_training_loss` is over the epoch's logged steps.

    Args:
        trainer: after training. The totals come from its state, because its returned metrics cover only the last
            session and its callbacks remove entries from them.
        seconds: duration of the training, over all sessions.
    """
    state = trainer.state
    examples = round(state.epoch * len(trainer.train_dataset))
    steps = [
        {key: finite(entry.get(key)) for key in ("step", "epoch", "loss", "learning_rate", "grad_norm")}
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


def finite(value: float | None) -> float | None:
    """The value; None if it is NaN or infinite, as a gradient's norm in fp16 is where its step is skipped."""
    return value if value is not None and math.isfinite(value) else None


def loss_entries(trainer: Trainer) -> list[dict[str, Any]]:
    """The log's entries with a training loss, which is the mean over the steps since the previous entry."""
    return [entry for entry in trainer.state.log_history if "loss" in entry]


def logged_loss(entries: Sequence[dict[str, Any]], start: int = 0) -> float:
    """The summed loss of all logged steps after step `start`; each entry counts with the steps of its window."""
    before = [start, *(entry["step"] for entry in entries)]
    return sum(entry["loss"] * (entry["step"] - step) for step, entry in zip(before, entries, strict=False))


def unlogged_loss(trainer: Trainer) -> float:
    """The summed loss of the steps since the last log; 0 before training. Reads a private attribute of Trainer."""
    return trainer._tr_loss.item() if trainer.state.global_step else 0.0


def evaluated_epochs(log: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row for each evaluation in Trainer's log; see `history`."""
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
