"""The QLoRA attempts: their trainers and their final losses."""

import math
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import PeftModel
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase, Trainer, TrainingArguments
from trl import SFTConfig, SFTTrainer

from nli.models import output_loss
from nli.models.architecture import STANDARD_DECODERS
from nli.models.packing import texts_on_lines, worth_packing
from nli.models.training import StudyTrainer, TrainedTensors, training_arguments
from nli.models.training_texts import IGNORED, EncodedTexts, PadTexts


class FastLoss:
    """Mixin for a Trainer over texts: skips padding and the logits that count in no loss; the mean loss is the same.

    With a loss on the label alone one position in some forty needs the vocabulary. Padding is left out by
    `texts_on_lines`; where that does not pay, `without_empty_columns` drops the columns that are padding in every row.
    Many logits of a large vocabulary are computed a part at a time (`output_loss`).

    Attributes:
        fast: whether a training batch's loss is `fast_loss`; else it is the plain one.
        tokens_worth: number of padding tokens from which texts share lines.
    """

    fast = False
    tokens_worth = math.inf

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """The loss of a batch, with the model's outputs if `return_outputs`."""
        if self.fast and not return_outputs:
            return self.fast_loss(model, inputs, num_items_in_batch)
        return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)

    def fast_loss(
        self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: torch.Tensor | int | None
    ) -> torch.Tensor:
        """The mean over the batch's labels, or their sum over `num_items_in_batch` if the model takes that."""
        batch = with_next_labels(inputs)
        texts = texts_on_lines(batch, self.tokens_worth) or without_empty_columns(batch)
        labels = texts.pop("next_labels")
        columns = (labels != IGNORED).any(dim=0).nonzero().flatten()
        labels = labels[:, columns]
        # With a cache the texts of a line would see each other.
        texts |= {"use_cache": False, "logits_to_keep": columns}
        number = {}
        if num_items_in_batch is not None and self.model_accepts_loss_kwargs:
            number = {"num_items_in_batch": num_items_in_batch}
        if self.in_parts(model, labels):
            total, counted = self.loss_in_parts(model, texts, labels)
            return total / number.get("num_items_in_batch", counted)
        return model(**texts, labels=labels, shift_labels=labels, **number).loss

    def in_parts(self, model: nn.Module, labels: torch.Tensor) -> bool:
        """Whether the loss of these labels is computed a part of their logits at a time."""
        return output_loss.is_worth_it(self.decoder(model), int((labels != IGNORED).sum()))

    def loss_in_parts(
        self, model: nn.Module, texts: dict[str, Any], labels: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The summed loss of the labels (rows, columns), and how many of them count."""
        counted = labels != IGNORED
        with output_loss.hidden_states_for_logits(self.decoder(model)) as head:
            hidden = model(**texts).logits
        with self.accelerator.autocast():
            return output_loss.summed_loss(hidden[counted], head, labels[counted]), counted.sum()

    def decoder(self, model: nn.Module) -> PreTrainedModel:
        """The decoder inside the adapter and what Accelerate wraps around it."""
        return self.accelerator.unwrap_model(model).get_base_model()


def with_next_labels(inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A collated batch with the label of each position's next token in place of its own."""
    next_labels = nn.functional.pad(inputs["labels"], (0, 1), value=IGNORED)[:, 1:]
    return {key: inputs[key] for key in ("input_ids", "attention_mask")} | {"next_labels": next_labels}


def without_empty_columns(batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The batch without the columns at its end that are padding in every row and count in no loss."""
    used = (batch["attention_mask"].bool() | (batch["next_labels"] != IGNORED)).any(dim=0)
    width = int(used.nonzero().max()) + 1
    return {key: values[:, :width] for key, values in batch.items()}


class TextTrainer(FastLoss, StudyTrainer):
    """The study's trainer over texts."""


class StudySFTTrainer(FastLoss, TrainedTensors, SFTTrainer):
    """TRL's SFTTrainer, saving only what training changes.

    TRL's loss, too, holds a part of the logits at a time, but it computes them twice and, without Triton, for every
    position. So `fast_loss` is for a loss on the label alone and for large vocabularies. Other texts keep TRL's loss,
    on lines where that pays.
    """

    label_alone = False

    def fast_loss(
        self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: torch.Tensor | int | None
    ) -> torch.Tensor:
        """The loss of a batch, as `FastLoss` has it or as TRL has it; TRL's is 0 if no label of the batch counts."""
        batch = with_next_labels(inputs)
        counts = bool((batch["next_labels"] != IGNORED).any())
        if counts and (self.label_alone or self.in_parts(model, batch["next_labels"])):
            return super().fast_loss(model, inputs, num_items_in_batch)
        texts = texts_on_lines(batch, self.tokens_worth)
        if texts:
            inputs = {"shift_labels": texts.pop("next_labels"), **texts}
        return SFTTrainer.compute_loss(self, model, inputs, num_items_in_batch=num_items_in_batch)


def make_trainer(
    model: PeftModel,
    tokenizer: PreTrainedTokenizerBase,
    dataset: Dataset,
    spec: dict[str, Any],
    checkpoints: Path,
    seed: int,
) -> Trainer:
    """The trainer that the experiment names, over tokenized texts.

    SFTTrainer gets tokenized texts, because it would append an end token to raw ones, and its cast of the adapter to
    bfloat16 is undone unless the spec requests it. The original's version did neither.
    """
    arguments = training_arguments(spec["training"], checkpoints, seed)
    shared = {
        "model": model,
        "train_dataset": dataset,
        "data_collator": PadTexts(tokenizer, spec),
        "processing_class": tokenizer,
    }
    if spec["trainer"] == "transformers":
        trainer: Trainer = TextTrainer(args=TrainingArguments(**arguments), **shared)
    else:
        limit = spec["tokenization"]["max_length"]
        trainer = StudySFTTrainer(args=SFTConfig(**arguments, max_length=limit, packing=False), **shared)
        trainer.label_alone = spec["loss_on"] == "label"
    trainer.fast = spec.get("speed") == "fast" and model.config.model_type in STANDARD_DECODERS
    trainer.tokens_worth = worth_packing(model)
    average_micro_batches(trainer, spec["training"]["accumulation"] == "micro_batches")
    cast_trainable(model, getattr(torch, spec["adapter_dtype"]))
    return trainer


def average_micro_batches(trainer: Trainer, wanted: bool) -> None:
    """Make a step's loss the mean of its batches' means if `wanted`, as in June 2024, else the mean over all tokens.

    Since transformers 4.46 Trainer passes the number of tokens of the whole step to a model that accepts it, so every
    token has the same weight. Before, every batch had the same weight, and tokens of a short batch weighed more.
    """
    if wanted:
        trainer.model_accepts_loss_kwargs = False


def cast_trainable(model: nn.Module, dtype: torch.dtype) -> None:
    """Cast every trainable parameter to `dtype`, in place."""
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.to(dtype)


@torch.no_grad()
def closing_losses(
    model: nn.Module, tokenizer: PreTrainedTokenizerBase, encoded: EncodedTexts, spec: dict[str, Any], rows: int = 64
) -> dict[str, float]:
    """The trained model's mean loss on the first training texts, over two sets of tokens.

    Returns:
        texts, their number; tokens, their mean length after the cut; loss_on_text, in nats, over their own tokens, and
        loss_on_padded, over all positions up to `max_length`, padding included.
    """
    model.eval()
    limit = spec["tokenization"]["max_length"]
    padded = {"tokenization": {"max_length": limit, "padding": "max_length"}, "loss_on": "padded"}
    collate = PadTexts(tokenizer, {**spec, **padded})
    texts = [ids[:limit] for ids in encoded.texts[:rows]]
    own, every = [], []
    for ids in texts:  # one at a time, because the logits of several would not fit next to a large model
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
