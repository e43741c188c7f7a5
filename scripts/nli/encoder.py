"""The encoder's methods: full fine-tuning, the top layers, the head alone, LoRA and prompt tuning.

Each method is one function from a classifier to a classifier with the right parameters trainable; `METHODS` is the
table of them. A new method is one function and one entry.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from datasets import Dataset
from peft import PromptTuningConfig, TaskType, get_peft_model
from torch import nn
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from nli.adapters import lora_config
from nli.errors import StudyError
from nli.labels import LABELS
from nli.training import mark_pretrained

Method = Callable[[PreTrainedModel, dict[str, Any]], nn.Module]


def build_encoder(folder: Path | str, spec: dict[str, Any]) -> nn.Module:
    """The base encoder with a new three-class head, prepared for the spec's method.

    Args:
        folder: a `from_pretrained` folder.
        spec: the experiment, resolved.

    The head and whatever the method adds are drawn from torch's global generator: seed it first.
    """
    model, info = AutoModelForSequenceClassification.from_pretrained(
        folder,
        num_labels=len(LABELS),
        id2label=dict(enumerate(LABELS)),
        label2id={label: index for index, label in enumerate(LABELS)},
        dtype=torch.float32,  # transformers 5 would take the files' own type
        output_loading_info=True,
    )
    mark_pretrained(model, set(info["missing_keys"]))
    model = METHODS[spec["method"]](model, spec)
    if spec["trainable"] == "word_embeddings":
        train_word_embeddings_only(model)
    return model


def tune_everything(model: PreTrainedModel, spec: dict[str, Any]) -> nn.Module:
    """Full fine-tuning: every parameter trains."""
    return model


def tune_head(model: PreTrainedModel, spec: dict[str, Any]) -> nn.Module:
    """The classification head alone trains."""
    model.base_model.requires_grad_(False)
    return model


def tune_top_layers(model: PreTrainedModel, spec: dict[str, Any]) -> nn.Module:
    """The head and the last `layers` transformer layers train."""
    blocks = model.base_model.encoder.layer
    if spec["layers"] > len(blocks):
        raise StudyError(
            f"experiments.roberta/{spec['name']}.layers: {spec['layers']} asked for, "
            f"the encoder has {len(blocks)}; lower it"
        )
    model.base_model.requires_grad_(False)
    blocks[-spec["layers"] :].requires_grad_(True)
    return model


def tune_lora(model: PreTrainedModel, spec: dict[str, Any]) -> nn.Module:
    """Low-rank updates of the attention's projections (Hu et al. 2021), with a trainable head."""
    return get_peft_model(model, lora_config(spec["lora"], TaskType.SEQ_CLS))


def tune_prompt(model: PreTrainedModel, spec: dict[str, Any]) -> nn.Module:
    """Virtual tokens before the input (Lester et al. 2021), with a trainable head.

    PEFT puts the virtual tokens first, so RoBERTa's head, which reads position 0, reads a virtual token. Pooling
    `sentence_start` makes it read `<s>`, the first token behind them.
    """
    length = spec["prompt"]["num_virtual_tokens"]
    if spec["pooling"] == "sentence_start":
        if not hasattr(model, "classifier") or not hasattr(model.classifier, "dense"):
            raise StudyError(
                f"experiments.roberta/{spec['name']}.pooling: 'sentence_start' takes a RoBERTa-like head, "
                f"{type(model).__name__} has another; use 'first'"
            )
        model.classifier.register_forward_pre_hook(SkipPositions(length))
    config = PromptTuningConfig(task_type=TaskType.SEQ_CLS, num_virtual_tokens=length)
    return get_peft_model(model, config)


class SkipPositions:
    """Forward pre-hook that hides the first `length` positions of (batch, positions, size) from a head."""

    def __init__(self, length: int) -> None:
        self.length = length

    def __call__(self, module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        return (inputs[0][:, self.length :], *inputs[1:])


def train_word_embeddings_only(model: nn.Module) -> None:
    """The report's freezing: everything, then the word-embedding table is unfrozen.

    It freezes the prompt and the head, which are what prompt tuning trains.
    """
    model.requires_grad_(False)
    model.get_input_embeddings().requires_grad_(True)


METHODS: dict[str, Method] = {
    "full": tune_everything,
    "lora": tune_lora,
    "prompt_tuning": tune_prompt,
    "top_layers": tune_top_layers,
    "head_only": tune_head,
}


def load_tokenizer(folder: Path | str) -> PreTrainedTokenizerBase:
    """The encoder's tokenizer."""
    return AutoTokenizer.from_pretrained(folder)


def tokenize_pairs(rows: pd.DataFrame, tokenizer: PreTrainedTokenizerBase, tokenization: dict[str, Any]) -> Dataset:
    """Rows as `<s> premise </s></s> hypothesis </s>`, cut to `max_length`, with integer labels.

    Padded here only for padding `max_length`; `longest` is left to the collator.
    """
    encoded = tokenizer(
        rows["premise"].tolist(),
        rows["hypothesis"].tolist(),
        truncation=True,
        max_length=tokenization["max_length"],
        padding="max_length" if tokenization["padding"] == "max_length" else False,
    )
    return Dataset.from_dict({**encoded, "labels": rows["label"].astype(int).tolist()})


def accuracy(prediction: tuple[np.ndarray, np.ndarray]) -> dict[str, float]:
    """Trainer's `compute_metrics`: share of rows whose largest logit is the label's."""
    logits, labels = prediction
    return {"accuracy": float((logits.argmax(axis=-1) == labels).mean())}
