"""The encoder's methods: full fine-tuning, the top layers, the head alone, LoRA, soft and hard prompts.

Each method is one function from a classifier to a classifier with the right parameters trainable; `METHODS` is the
table of them. A new method is one function and one entry.
"""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from datasets import Dataset
from peft import PrefixTuningConfig, PromptEncoderConfig, PromptTuningConfig, TaskType, get_peft_model
from torch import nn
from transformers import (
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Trainer,
    TrainingArguments,
)

from nli.adapters import lora_config
from nli.architecture import head_modules, load_config, transformer_blocks
from nli.base_weights import require_weights
from nli.cloze import ask_mask, fill_cloze
from nli.errors import StudyError
from nli.labels import LABEL_NAMES, LABELS
from nli.training import StudyTrainer, mark_pretrained, training_arguments

SPECIAL_TOKENS = 4  # RoBERTa's vocabulary starts with <s>, <pad>, </s>, <unk>
Method = Callable[[PreTrainedModel, dict[str, Any]], nn.Module]


def build_encoder(folder: Path | str, spec: dict[str, Any]) -> nn.Module:
    """The base encoder with a new three-class head, prepared for the spec's method.

    Args:
        folder: a `from_pretrained` folder.
        spec: the experiment, resolved.

    The head and whatever the method adds are drawn from torch's global generator: seed it first.
    """
    tokenizer = load_tokenizer(folder) if spec["method"] == "cloze" else None
    return prepare_encoder(load_encoder(folder, spec["dtype"], encoder_class(spec)), spec, tokenizer)


def encoder_class(spec: dict[str, Any]) -> type:
    """The transformers class that an experiment's encoder loads as."""
    return AutoModelForMaskedLM if spec["method"] == "cloze" else AutoModelForSequenceClassification


def load_encoder(
    folder: Path | str, dtype: str, auto_class: type = AutoModelForSequenceClassification
) -> PreTrainedModel:
    """The base encoder, its weights as `dtype`, with a new three-class head or as the masked language model it was."""
    head = {"num_labels": len(LABELS), **LABEL_NAMES} if auto_class is AutoModelForSequenceClassification else {}
    model, info = auto_class.from_pretrained(folder, **head, dtype=getattr(torch, dtype), output_loading_info=True)
    require_weights(model, info["missing_keys"], folder, "encoder")
    return mark_pretrained(model, set(info["missing_keys"]))


def prepare_encoder(
    model: PreTrainedModel, spec: dict[str, Any], tokenizer: PreTrainedTokenizerBase | None = None
) -> nn.Module:
    """The classifier with the parameters trainable that the spec's method trains.

    Without a tokenizer (where parameters are counted) a cloze stays the masked language model that it asks.
    """
    check_method(model, spec)
    if spec["method"] == "cloze":
        return ask_mask(model, tokenizer, spec) if tokenizer else model
    model = METHODS[spec["method"]](model, spec)
    if spec["trainable"] == "word_embeddings":
        train_word_embeddings_only(model)
    return model


def check_method(model: PreTrainedModel, spec: dict[str, Any]) -> None:
    """Raise StudyError where the encoder cannot do what the spec's method asks of its transformer layers."""
    where, kind = f"experiments.roberta/{spec['name']}", type(model).__name__
    top, pooled = spec["method"] == "top_layers", spec["pooling"] == "sentence_start"
    blocks = transformer_blocks(model) if top or pooled else None
    if (top or pooled) and blocks is None:
        key = "method: 'top_layers'" if top else "pooling: 'sentence_start'"
        raise StudyError(f"{where}.{key} takes an encoder with a list of layers, {kind} has none; choose another")
    if top and spec["layers"] > len(blocks):
        raise StudyError(f"{where}.layers: {spec['layers']} asked for, the encoder has {len(blocks)}; lower it")
    if pooled and getattr(model.config, "classifier_pooling", "cls") != "cls":
        raise StudyError(
            f"{where}.pooling: 'sentence_start' takes a head that reads the first position, {kind} reads the "
            f"{model.config.classifier_pooling} of all; use 'first'"
        )


def tune_everything(model: PreTrainedModel, spec: dict[str, Any]) -> nn.Module:
    """Full fine-tuning: every parameter trains."""
    return model


def tune_head(model: PreTrainedModel, spec: dict[str, Any]) -> nn.Module:
    """The classification head alone trains."""
    model.requires_grad_(False)
    for module in head_modules(model).values():
        module.requires_grad_(True)
    return model


def tune_top_layers(model: PreTrainedModel, spec: dict[str, Any]) -> nn.Module:
    """The head and the last `layers` transformer layers train."""
    tune_head(model, spec)
    transformer_blocks(model)[-spec["layers"] :].requires_grad_(True)
    return model


def tune_lora(model: PreTrainedModel, spec: dict[str, Any]) -> nn.Module:
    """Low-rank updates of the attention's projections (Hu et al. 2021), with a trainable head."""
    config = lora_config(spec["lora"], TaskType.SEQ_CLS)
    config.modules_to_save = list(head_modules(model))  # PEFT knows "classifier" and "score" alone
    return get_peft_model(model, config)


def tune_prompt(model: PreTrainedModel, spec: dict[str, Any]) -> nn.Module:
    """Virtual tokens before the input (Lester et al. 2021), with a trainable head.

    PEFT puts the virtual tokens first, so a head that reads position 0 reads a virtual token. Pooling
    `sentence_start` makes it read `<s>`, the first token behind them: what leaves the last transformer layer has lost
    the virtual positions, so it holds for a pooler within the encoder (BERT) as well as for a head above it.
    """
    words = model.get_input_embeddings()
    tuned = add_soft_prompt(model, spec, PromptTuningConfig, words.embedding_dim)
    if spec["prompt"]["init"] == "vocabulary":
        start_from_vocabulary(tuned.prompt_encoder["default"].embedding, words)
    return tuned


def start_from_vocabulary(prompt: nn.Embedding, words: nn.Embedding) -> None:
    """Start each virtual token as the embedding of a frequent word (Lester et al. 2021: of the 5,000 most common).

    BPE vocabularies are ordered by frequency, RoBERTa's by that of its tokens, others' by that of their merges. PEFT's
    own start is a normal distribution of variance 1, tens of times as large as an embedding.
    """
    frequent = range(SPECIAL_TOKENS, min(SPECIAL_TOKENS + 5000, words.num_embeddings))
    chosen = torch.randperm(len(frequent), device="cpu")[: prompt.num_embeddings] + frequent.start
    with torch.no_grad():
        prompt.weight.copy_(words.weight[chosen.to(words.weight.device)])


def tune_p(model: PreTrainedModel, spec: dict[str, Any]) -> nn.Module:
    """Virtual tokens that a small bidirectional LSTM makes (P-tuning, Liu et al. 2021), with a trainable head."""
    size = model.get_input_embeddings().embedding_dim
    return add_soft_prompt(
        model, spec, PromptEncoderConfig, size, encoder_reparameterization_type="LSTM", encoder_hidden_size=size
    )


def tune_prefix(model: PreTrainedModel, spec: dict[str, Any]) -> nn.Module:
    """Keys and values before those of every layer, made by a small network (Li and Liang 2021), and a trainable head.

    The prefix is no part of the hidden states, so that position 0 is `<s>`.
    """
    size = model.config.hidden_size
    return add_soft_prompt(model, spec, PrefixTuningConfig, size, prefix_projection=True, encoder_hidden_size=size)


def add_soft_prompt(
    model: PreTrainedModel, spec: dict[str, Any], config_class: type, token_dim: int, **settings: Any
) -> nn.Module:
    """The classifier with what PEFT puts before its input, and a trainable head."""
    length = spec["prompt"]["num_virtual_tokens"]
    if spec["pooling"] == "sentence_start":
        transformer_blocks(model)[-1].register_forward_hook(SkipPositions(length))
    config = config_class(
        task_type=TaskType.SEQ_CLS,
        num_virtual_tokens=length,
        token_dim=token_dim,  # PEFT takes hidden_size, which ELECTRA projects to
        num_attention_heads=model.config.num_attention_heads,  # PEFT asks DistilBERT for it in vain
        modules_to_save=list(head_modules(model)),
        **settings,
    )
    return get_peft_model(model, config)


class SkipPositions:
    """Forward hook that takes the first `length` positions off a layer's hidden states, (batch, positions, size)."""

    def __init__(self, length: int) -> None:
        self.length = length

    def __call__(self, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> Any:
        if isinstance(output, tuple):
            return (output[0][:, self.length :], *output[1:])
        return output[:, self.length :]


def train_word_embeddings_only(model: nn.Module) -> None:
    """The report's freezing: everything, then the word-embedding table is unfrozen.

    It freezes the prompt and the head, which are what prompt tuning trains.
    """
    model.requires_grad_(False)
    model.get_input_embeddings().requires_grad_(True)


# A cloze has no entry: it is another model, see nli.cloze.
METHODS: dict[str, Method] = {
    "full": tune_everything,
    "lora": tune_lora,
    "prompt_tuning": tune_prompt,
    "p_tuning": tune_p,
    "prefix_tuning": tune_prefix,
    "top_layers": tune_top_layers,
    "head_only": tune_head,
}


def load_tokenizer(folder: Path | str) -> PreTrainedTokenizerBase:
    """The encoder's tokenizer, with a padding token, giving the model what it takes and no more.

    Without a padding token the separator or the end token stands in. Token types are left out for a model that has
    none (DistilBERT) or one only (RoBERTa).

    Raises:
        StudyError: no token to pad with.
    """
    tokenizer = AutoTokenizer.from_pretrained(folder)
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

    With a `cloze` the segments are those that it fills. Padded here only for padding `max_length`; `longest` is left to
    the collator.
    """
    first, second = fill_cloze(rows, tokenizer, cloze) if cloze else (rows["premise"], rows["hypothesis"])
    encoded = tokenizer(
        list(first),
        list(second),
        truncation=True,
        max_length=tokenization["max_length"],
        padding="max_length" if tokenization["padding"] == "max_length" else False,
    )
    return Dataset.from_dict({**encoded, "labels": rows["label"].astype(int).tolist()})


def make_trainer(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    train: Dataset,
    validation: Dataset | None,
    training: dict[str, Any],
    checkpoints: Path | str,
    seed: int,
) -> Trainer:
    """The trainer of an encoder's `training` section; with a validation set it is evaluated after each epoch."""
    return StudyTrainer(
        model=model,
        args=TrainingArguments(
            **training_arguments(training, checkpoints, seed),
            eval_strategy="no" if validation is None else "epoch",
            per_device_eval_batch_size=training["eval_batch_size"],
        ),
        train_dataset=train,
        eval_dataset=validation,
        data_collator=DataCollatorWithPadding(tokenizer),
        compute_metrics=accuracy,
    )


def accuracy(prediction: tuple[np.ndarray, np.ndarray]) -> dict[str, float]:
    """Trainer's `compute_metrics`: share of rows whose largest logit is the label's."""
    logits, labels = prediction
    return {"accuracy": float((logits.argmax(axis=-1) == labels).mean())}
