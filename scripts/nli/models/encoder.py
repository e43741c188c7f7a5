"""The encoder, loaded for an experiment's method, its tokenizer and its trainer. The methods are in `methods`."""

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from datasets import Dataset
from torch import nn
from transformers import (
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    DataCollatorWithPadding,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Trainer,
    TrainingArguments,
)

from nli.base.errors import StudyError
from nli.base.labels import LABEL_NAMES, LABELS
from nli.models import methods
from nli.models.architecture import NO_FOREIGN_CODE, load_config, load_tokenizer_files, transformer_blocks
from nli.models.base_weights import require_weights
from nli.models.cloze import fill_cloze
from nli.models.packing import pack_rows
from nli.models.tokenization import tokenize
from nli.models.training import StudyTrainer, mark_pretrained, training_arguments
from nli.study.methods import METHODS


def build_encoder(folder: Path | str, spec: dict[str, Any], outputs: int | None = None) -> nn.Module:
    """The base encoder with a new head, prepared for the spec's method.

    Args:
        folder: a `from_pretrained` folder.
        spec: the experiment, resolved.
        outputs: of the head; None: one for each label.

    The head and the method's new parameters are drawn from torch's global generator; seed it first.
    """
    tokenizer = load_tokenizer(folder) if METHODS[spec["method"]].masked else None
    return prepare_encoder(load_encoder(folder, spec["dtype"], encoder_class(spec), outputs), spec, tokenizer)


def encoder_class(spec: dict[str, Any]) -> type:
    """The transformers class that an experiment's encoder loads as."""
    return AutoModelForMaskedLM if METHODS[spec["method"]].masked else AutoModelForSequenceClassification


def load_encoder(
    folder: Path | str,
    dtype: str,
    auto_class: type = AutoModelForSequenceClassification,
    outputs: int | None = None,
) -> PreTrainedModel:
    """The base encoder with weights of type `dtype` and a new head, or as a masked language model.

    Args:
        outputs: of the head; None: one for each label, with its name.
    """
    head = {"num_labels": outputs} if outputs else {"num_labels": len(LABELS), **LABEL_NAMES}
    head = head if auto_class is AutoModelForSequenceClassification else {}
    settings = {**head, **NO_FOREIGN_CODE, "dtype": getattr(torch, dtype)}
    model, info = auto_class.from_pretrained(folder, output_loading_info=True, **settings)
    require_weights(model, info["missing_keys"], folder, "encoder")
    return mark_pretrained(model, set(info["missing_keys"]))


def prepare_encoder(
    model: PreTrainedModel, spec: dict[str, Any], tokenizer: PreTrainedTokenizerBase | None = None
) -> nn.Module:
    """The classifier, with exactly those parameters trainable that the spec's method trains.

    Without a tokenizer (when parameters are counted) a cloze remains a masked language model.
    """
    check_method(model, spec)
    model = getattr(methods, spec["method"])(model, spec, tokenizer)
    if spec["trainable"] == "word_embeddings":
        methods.train_word_embeddings_only(model)
    return model


def check_method(model: PreTrainedModel, spec: dict[str, Any]) -> None:
    """Raise StudyError if the encoder's transformer layers do not suit the spec's method."""
    where, kind = f"experiments.roberta/{spec['name']}", type(model).__name__
    top, pooled = METHODS[spec["method"]].section == "layers", spec["pooling"] == "sentence_start"
    blocks = transformer_blocks(model) if top or pooled else None
    if (top or pooled) and blocks is None:
        key = f"method: '{spec['method']}'" if top else "pooling: 'sentence_start'"
        raise StudyError(f"{where}.{key} needs an encoder with a list of layers, {kind} has none; choose another")
    if top and spec["layers"] > len(blocks):
        raise StudyError(f"{where}.layers: {spec['layers']} layers, but the encoder has {len(blocks)}; lower it")
    if pooled and getattr(model.config, "classifier_pooling", "cls") != "cls":
        raise StudyError(
            f"{where}.pooling: 'sentence_start' needs a head that reads the first position, {kind} reads the "
            f"{model.config.classifier_pooling} of all; use 'first'"
        )


def load_tokenizer(folder: Path | str) -> PreTrainedTokenizerBase:
    """The encoder's tokenizer, with a padding token and only the outputs that the model takes.

    Without a padding token the separator or the end token pads. Token types are left out for a model that has none
    (DistilBERT) or only one (RoBERTa).

    Raises:
        StudyError: no token to pad with.
    """
    tokenizer = load_tokenizer_files(folder, "encoder")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.sep_token or tokenizer.eos_token
    if tokenizer.pad_token is None:
        raise StudyError(
            f"models.encoder.name: the tokenizer in {folder} has no padding, separator or end token to pad with; "
            "add a pad_token to its tokenizer_config.json or choose another"
        )
    config = load_config(folder, "encoder")
    classifier = MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING.get(type(config), None)
    takes_types = classifier is not None and "token_type_ids" in inspect.signature(classifier.forward).parameters
    if not takes_types or getattr(config, "type_vocab_size", 0) < 2:
        tokenizer.model_input_names = [name for name in tokenizer.model_input_names if name != "token_type_ids"]
    return tokenizer


def tokenize_pairs(
    rows: pd.DataFrame,
    tokenizer: PreTrainedTokenizerBase,
    tokenization: dict[str, Any],
    cloze: dict[str, Any] | None = None,
) -> Dataset:
    """Rows as pairs (RoBERTa's: `<s> premise </s></s> hypothesis </s>`), cut to `max_length`, with integer labels.

    With a `cloze` the segments are its filled ones. Only padding `max_length` is applied here; the collator pads to the
    `longest`.
    """
    first, second = fill_cloze(rows, tokenizer, cloze) if cloze else (rows["premise"], rows["hypothesis"])
    return tokenize(tokenizer, [list(first), list(second)], rows["label"].astype(int).tolist(), tokenization)


def make_trainer(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    dataset: Dataset,
    spec: dict[str, Any],
    checkpoints: Path | str,
    seed: int,
    validation: Dataset | None = None,
) -> Trainer:
    """The trainer of an encoder's `training` section; with a validation set it is evaluated after each epoch."""
    training, speed = spec["training"], spec.get("speed", "plain")
    trainer = StudyTrainer(
        model=model,
        args=TrainingArguments(
            **training_arguments(training, checkpoints, seed, speed),
            eval_strategy="no" if validation is None else "epoch",
            per_device_eval_batch_size=training["eval_batch_size"],
        ),
        train_dataset=dataset,
        eval_dataset=validation,
        data_collator=DataCollatorWithPadding(tokenizer),
        compute_metrics=accuracy,
    )
    if speed == "fast" and trainer.args.device.type == "cpu":
        pack_rows(model)
    return trainer


def accuracy(prediction: tuple[np.ndarray, np.ndarray]) -> dict[str, float]:
    """Trainer's `compute_metrics`: share of rows whose largest logit is the label's."""
    logits, labels = prediction
    return {"accuracy": float((logits.argmax(axis=-1) == labels).mean())}
