"""A classifier on one hidden state of the decoder: a linear layer on a QLoRA-tuned base (the original's attempt 4)."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from datasets import Dataset
from peft import PeftModel, TaskType
from torch import nn
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    DataCollatorWithPadding,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Trainer,
    TrainingArguments,
)
from transformers.modeling_outputs import SequenceClassifierOutput

from nli.base.labels import LABEL_NAMES, LABELS
from nli.models.decoder import add_adapter, load_quantized, load_tokenizer
from nli.models.tokenization import tokenize
from nli.models.training import StudyTrainer, training_arguments
from nli.texts import fill


class LinearHeadClassifier(nn.Module):
    """Dropout and a linear layer on the hidden state of one position of a decoder.

    In a causal model position 0 sees only the begin token, so its hidden state is the same for every input and a
    head that reads it (`position` "first", as reported) can only answer one class. "last" reads the last real token,
    which sees the whole text.

    Without a begin token (Qwen, GPT-2) "first" reads the text's first token, which is also the same for every input if
    the experiment's text starts with the same word in every row.

    Args:
        decoder: a causal language model, with or without an adapter.
        position: "first" or "last".
        dropout: probability, in training.
    """

    def __init__(self, decoder: nn.Module, position: str, dropout: float) -> None:
        super().__init__()
        self.decoder = decoder
        self.position = position
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(decoder.config.get_text_config().hidden_size, len(LABELS))
        self.classifier.to(next(decoder.parameters()).device)

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        labels: torch.Tensor | None = None,
    ) -> SequenceClassifierOutput:
        """Logits (batch, 3), and the mean cross-entropy if labels (batch,) are given.

        It takes no further keywords, or Trainer would pass the number of items and leave the mean over gradient
        accumulation to the model.
        """
        hidden = self.hidden_states(input_ids, attention_mask)
        chosen = read_position(hidden, attention_mask, self.position)
        logits = self.classifier(self.dropout(chosen.to(self.classifier.weight.dtype)))
        loss = None if labels is None else nn.functional.cross_entropy(logits, labels)
        return SequenceClassifierOutput(loss=loss, logits=logits)

    def activation_checkpointing_enable(self, **kwargs: Any) -> None:
        """Recompute the decoder's activations in the backward pass; Trainer calls this on the model that it trains."""
        self.decoder.activation_checkpointing_enable(**kwargs)

    def hidden_states(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """The decoder's last hidden states, (batch, length, hidden_size), without the language-model head."""
        model = self.decoder.get_base_model() if isinstance(self.decoder, PeftModel) else self.decoder
        return model.base_model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state


def read_position(hidden: torch.Tensor, attention_mask: torch.Tensor, position: str) -> torch.Tensor:
    """The hidden state of the first or the last real token, with padding on either side.

    Args:
        hidden: (batch, length, size).
        attention_mask: (batch, length), 1 at real tokens.
        position: "first" or "last".

    Returns:
        (batch, size).
    """
    places = torch.arange(attention_mask.shape[1], device=attention_mask.device)
    index = attention_mask.argmax(dim=1) if position == "first" else (places * attention_mask).argmax(dim=1)
    return hidden[torch.arange(hidden.shape[0], device=hidden.device), index]


class StatesRead:
    """Collects how much the hidden states that a head reads differ between examples while it answers.

    Differences are from the first example's state, in float64, so equal states have a variance of exactly 0.
    """

    def __init__(self, model: LinearHeadClassifier) -> None:
        self.count, self.squares = 0, 0.0
        self.first = self.shift_sum = self.shift_squares = torch.zeros(())
        model.classifier.register_forward_pre_hook(self.add)

    def add(self, module: nn.Module, inputs: tuple[torch.Tensor]) -> None:
        """Add the states of a batch, (batch, size)."""
        states = inputs[0].detach().to("cpu", torch.float64)
        if not self.count:
            self.first = states[0]
        shifts = states - self.first
        self.count += len(states)
        self.squares += states.square().mean(dim=1).sum().item()
        self.shift_sum = self.shift_sum + shifts.sum(dim=0)
        self.shift_squares = self.shift_squares + shifts.square().sum(dim=0)

    def figures(self) -> dict[str, float]:
        """examples, their number; variance over them and mean square, both averaged over the state's dimensions."""
        variance = self.shift_squares / self.count - (self.shift_sum / self.count).square()
        return {
            "examples": self.count,
            "variance": variance.clamp(min=0).mean().item(),
            "mean_square": self.squares / self.count,
        }


def build_classifier(folder: Path | str, spec: dict[str, Any]) -> nn.Module:
    """The 4-bit decoder with a new adapter and a new head, from torch's global generator.

    The library's head finds the last real token by the padding token's id, so it gets the tokenizer's id.
    """
    auto_class = decoder_class(spec)
    settings = {"num_labels": len(LABELS), **LABEL_NAMES} if auto_class is not AutoModelForCausalLM else {}
    decoder = load_quantized(auto_class, folder, spec["quantization"], **settings)
    decoder.config.get_text_config().pad_token_id = load_tokenizer(folder).pad_token_id
    return add_head(decoder, spec)


def add_head(decoder: PreTrainedModel, spec: dict[str, Any]) -> nn.Module:
    """A quantized decoder with a new adapter and a trainable head, the original's or the library's."""
    return HEADS[spec["head"]](decoder, spec)


def linear_head(decoder: PreTrainedModel, spec: dict[str, Any]) -> LinearHeadClassifier:
    """The original's head on a causal language model."""
    return LinearHeadClassifier(add_adapter(decoder, spec), spec["position"], spec["head_dropout"])


def library_head(decoder: PreTrainedModel, spec: dict[str, Any]) -> PeftModel:
    """transformers' head on the last real token, `score`, which PEFT trains next to the adapter (task SEQ_CLS)."""
    return add_adapter(decoder, spec, TaskType.SEQ_CLS)


HEADS: dict[str, Callable[[PreTrainedModel, dict[str, Any]], nn.Module]] = {
    "linear": linear_head,
    "library": library_head,
}


def decoder_class(spec: dict[str, Any]) -> type:
    """The transformers class that an experiment's decoder loads as."""
    return AutoModelForSequenceClassification if spec.get("head") == "library" else AutoModelForCausalLM


def tokenize_texts(rows: pd.DataFrame, tokenizer: PreTrainedTokenizerBase, spec: dict[str, Any]) -> Dataset:
    """The experiment's text for every row, cut to `max_length`, with integer labels."""
    texts = [fill(spec["text"], {"premise": row.premise, "hypothesis": row.hypothesis}) for row in rows.itertuples()]
    dataset = tokenize(tokenizer, [texts], rows["label"].astype(int).tolist(), spec["tokenization"])
    return dataset.select_columns(["input_ids", "attention_mask", "labels"])


def make_trainer(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    dataset: Dataset,
    spec: dict[str, Any],
    checkpoints: Path | str,
    seed: int,
) -> Trainer:
    """The trainer of a linear head's `training` section, over tokenized texts."""
    training = spec["training"]
    return HeadRateTrainer(
        model=model,
        args=TrainingArguments(**training_arguments(training, checkpoints, seed)),
        train_dataset=dataset,
        data_collator=DataCollatorWithPadding(tokenizer),
        head_learning_rate=training["head_learning_rate"],
    )


class HeadRateTrainer(StudyTrainer):
    """The study's trainer with a separate learning rate for the head; None means the adapter's.

    The head starts at random and the adapter at zero, so a rate that suits one need not suit the other.
    """

    def __init__(self, *args: Any, head_learning_rate: float | None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.head_learning_rate = head_learning_rate

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """Move the head's parameters from the optimizer's groups into groups with their own learning rate."""
        optimizer = super().create_optimizer(model)
        if self.head_learning_rate is None:
            return optimizer
        head = {id(p) for name, p in (model or self.model).named_parameters() if is_head(name)}
        for group in list(optimizer.param_groups):
            parameters = group["params"]
            group["params"] = [p for p in parameters if id(p) not in head]
            moved = [p for p in parameters if id(p) in head]
            if moved:
                shared = {key: value for key, value in group.items() if key not in ("params", "initial_lr")}
                optimizer.add_param_group({**shared, "params": moved, "lr": self.head_learning_rate})
        return optimizer


def is_head(name: str) -> bool:
    """Whether a parameter belongs to a head: `classifier` is ours, `score` the library's."""
    return bool({"classifier", "score"} & set(name.split(".")))
