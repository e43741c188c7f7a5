"""One way to train for all families: transformers' Trainer with small exact checkpoints and a gradient audit.

Whatever a method leaves untouched is in the base model's files already, so a checkpoint and a saved model hold
only the tensors that training may change or that were made at random (adapters, prompts, heads).
"""

import math
import re
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import Trainer, TrainerCallback

from nli.errors import StudyError

TENSORS = "model.safetensors"
AUDITED_STEPS = 5  # LoRA's A has no gradient until B, which starts at zero, has moved


def mark_pretrained(model: nn.Module, missing: set[str] | frozenset[str] = frozenset()) -> nn.Module:
    """Note on each parameter that it came from the base model's files, save those named in `missing`.

    Copies that PEFT makes later (a trainable head, say) do not carry the note and so count as fresh.
    """
    for name, parameter in model.named_parameters():
        parameter.pretrained = name not in missing
    return model


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
    save_file(trained_tensors(model), Path(folder) / TENSORS, metadata={"format": "pt"})


def load_trained(model: nn.Module, folder: Path | str) -> None:
    """Put saved tensors into a model built from the same spec.

    Raises:
        StudyError: the file's tensors are not the ones that this model needs (built from another spec).
    """
    path = Path(folder) / TENSORS
    saved = load_file(path)
    needed = {
        name: parameter
        for name, parameter in model.named_parameters()
        if parameter.requires_grad or not getattr(parameter, "pretrained", False)
    }
    if saved.keys() != needed.keys() or any(saved[n].shape != p.shape for n, p in needed.items()):
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


class GradientAudit(TrainerCallback):
    """Record which trainable tensors ever got a non-zero gradient in the first steps.

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

    Trainer writes trainer_state.json last, so a checkpoint without it belongs to a job killed while saving.
    """
    found = [
        (int(match[1]), str(path))
        for path in Path(checkpoints).glob("checkpoint-*")
        if (match := re.fullmatch(r"checkpoint-(\d+)", path.name)) and (path / "trainer_state.json").exists()
    ]
    return max(found)[1] if found else None


def run_training(trainer: Trainer, checkpoints: Path | str) -> tuple[dict[str, Any], GradientAudit]:
    """Train, resuming from the last whole checkpoint.

    The caller deletes the checkpoints once its outputs are written.

    Returns:
        the history (see `history`) and the gradient audit.

    Raises:
        StudyError: the loss became NaN or infinite.
    """
    audit = GradientAudit(trainer.model)
    trainer.add_callback(audit)
    trainer.add_callback(StopWhenDiverged())
    resume = last_checkpoint(checkpoints)
    if resume:
        print(f"resuming from {resume}", flush=True)
    else:
        shutil.rmtree(checkpoints, ignore_errors=True)  # half a checkpoint is worth nothing
    output = trainer.train(resume_from_checkpoint=resume)
    return history(trainer, output.metrics), audit


def history(trainer: Trainer, metrics: dict[str, float]) -> dict[str, Any]:
    """What training logged: every logging step, every epoch that was evaluated, and the totals.

    An epoch's `training_loss` is the last one logged before its evaluation, as notebooks print it;
    `mean_training_loss` is over the epoch's logged steps.
    """
    steps, epochs, window = [], [], []
    for entry in trainer.state.log_history:
        if "loss" in entry:
            steps.append({key: entry.get(key) for key in ("step", "epoch", "loss", "learning_rate", "grad_norm")})
            window.append(entry["loss"])
        elif "eval_loss" in entry:
            epochs.append(
                {
                    "epoch": entry["epoch"],
                    "training_loss": window[-1] if window else None,
                    "mean_training_loss": sum(window) / len(window) if window else None,
                    "validation_loss": entry["eval_loss"],
                    "accuracy": entry["eval_accuracy"],
                }
            )
            window = []
    return {
        "steps": steps,
        "epochs": epochs,
        "train": {
            "loss": metrics["train_loss"],
            "seconds": metrics["train_runtime"],
            "samples_per_second": metrics["train_samples_per_second"],
            "steps_per_second": metrics["train_steps_per_second"],
            "total_flops": metrics["total_flos"],
            "epoch": metrics["epoch"],
            "steps": trainer.state.global_step,
            "examples": round(metrics["epoch"] * len(trainer.train_dataset)),
            "tokens": int(trainer.state.num_input_tokens_seen),
        },
    }
