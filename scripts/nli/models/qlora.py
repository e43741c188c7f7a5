"""The QLoRA attempts: by which trainer they train, and the sample pair before and after."""

from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import PeftModel
from torch import nn
from transformers import PreTrainedTokenizerBase, Trainer, TrainingArguments
from trl import SFTConfig, SFTTrainer

from nli.models.training import StudyTrainer, TrainedTensors, training_arguments
from nli.models.training_texts import EncodedTexts, PadTexts


class StudySFTTrainer(TrainedTensors, SFTTrainer):
    """TRL's SFTTrainer, saving only what training changes."""


def make_trainer(
    model: PeftModel,
    tokenizer: PreTrainedTokenizerBase,
    dataset: Dataset,
    spec: dict[str, Any],
    checkpoints: Path,
    seed: int,
) -> Trainer:
    """The trainer that the experiment names, over tokenized texts.

    SFTTrainer gets texts that are tokenized already, because it would append an end token to raw ones, and its cast
    of the adapter to bfloat16 is undone unless the spec asks for it: the report's version did neither.
    """
    arguments = training_arguments(spec["training"], checkpoints, seed)
    shared = {
        "model": model,
        "train_dataset": dataset,
        "data_collator": PadTexts(tokenizer, spec),
        "processing_class": tokenizer,
    }
    if spec["trainer"] == "transformers":
        trainer: Trainer = StudyTrainer(args=TrainingArguments(**arguments), **shared)
    else:
        limit = spec["tokenization"]["max_length"]
        trainer = StudySFTTrainer(args=SFTConfig(**arguments, max_length=limit, packing=False), **shared)
    average_micro_batches(trainer, spec["training"]["accumulation"] == "micro_batches")
    cast_trainable(model, getattr(torch, spec["adapter_dtype"]))
    return trainer


def average_micro_batches(trainer: Trainer, wanted: bool) -> None:
    """Make the loss of a step the mean of its batches' means, as it was in June 2024, in place; else over all tokens.

    Since transformers 4.46 Trainer counts the tokens of the whole step for a model that can be told of them, so that
    every token weighs the same; before, each batch weighed the same, and the tokens of a short one more.
    """
    if wanted:
        trainer.model_accepts_loss_kwargs = False


def cast_trainable(model: nn.Module, dtype: torch.dtype) -> None:
    """Give every trainable parameter the type `dtype`, in place."""
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.to(dtype)


@torch.no_grad()
def closing_losses(
    model: nn.Module, tokenizer: PreTrainedTokenizerBase, encoded: EncodedTexts, spec: dict[str, Any], rows: int = 64
) -> dict[str, float]:
    """What the trained model loses on the first training texts, by which tokens one takes the mean over.

    Returns:
        texts, their number; tokens, their mean length after the cut; loss_on_text, in nats over their own tokens, and
        loss_on_padded, over all positions up to `max_length`, the padding's too.
    """
    model.eval()
    limit = spec["tokenization"]["max_length"]
    padded = {"tokenization": {"max_length": limit, "padding": "max_length"}, "loss_on": "padded"}
    collate = PadTexts(tokenizer, {**spec, **padded})
    texts = [ids[:limit] for ids in encoded.texts[:rows]]
    own, every = [], []
    for ids in texts:  # one at a time: a vocabulary's logits over several would not fit beside a large model
        batch = collate([{"input_ids": ids, "labels": ids}]).to(next(model.parameters()).device)
        logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits[0, :-1].float()
        losses = nn.functional.cross_entropy(logits, batch["labels"][0, 1:], reduction="none").cpu()
        every.append(losses)
        own.append(losses[: len(ids) - 1])
    return {
        "texts": len(texts),
        "tokens": sum(map(len, texts)) / len(texts),
        "loss_on_text": torch.cat(own).mean().item(),
        "loss_on_padded": torch.cat(every).mean().item(),
    }
