"""A classifier on one hidden state of the decoder: a linear layer over a QLoRA-tuned base (the report's attempt 4)."""

from pathlib import Path
from typing import Any

import pandas as pd
import torch
from datasets import Dataset
from torch import nn
from transformers import PreTrainedTokenizerBase
from transformers.modeling_outputs import SequenceClassifierOutput

from nli.decoder import add_adapter, load_decoder
from nli.labels import LABELS
from nli.prompts import fill


class LinearHeadClassifier(nn.Module):
    """Dropout and a linear layer on the hidden state of one position of a decoder.

    In a causal model position 0 sees the begin token alone, so its hidden state is the same for every input and a
    head that reads it (`position` "first", as reported) can only answer one class. "last" reads the last real token,
    which sees the whole text.

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
        self.classifier = nn.Linear(decoder.config.hidden_size, len(LABELS))
        self.classifier.to(next(decoder.parameters()).device)

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        labels: torch.Tensor | None = None,
    ) -> SequenceClassifierOutput:
        """Logits (batch, 3), and the mean cross-entropy if labels (batch,) are given.

        It takes no further keywords: Trainer would pass the number of items and leave the mean over gradient
        accumulation to the model.
        """
        hidden = self.hidden_states(input_ids, attention_mask)
        chosen = read_position(hidden, attention_mask, self.position)
        logits = self.classifier(self.dropout(chosen.to(self.classifier.weight.dtype)))
        loss = None if labels is None else nn.functional.cross_entropy(logits, labels)
        return SequenceClassifierOutput(loss=loss, logits=logits)

    def hidden_states(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """The decoder's last hidden states, (batch, length, hidden_size), without the language-model head."""
        base = self.decoder.get_base_model() if hasattr(self.decoder, "get_base_model") else self.decoder
        return base.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state


def read_position(hidden: torch.Tensor, attention_mask: torch.Tensor, position: str) -> torch.Tensor:
    """The hidden state of the first or of the last real token, wherever the padding stands.

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


def build_classifier(folder: Path | str, spec: dict[str, Any]) -> LinearHeadClassifier:
    """The 4-bit decoder with a fresh adapter and a fresh head, from torch's global generator."""
    decoder = add_adapter(load_decoder(folder, spec["quantization"]), spec)
    return LinearHeadClassifier(decoder, spec["position"], spec["head_dropout"])


def tokenize_texts(rows: pd.DataFrame, tokenizer: PreTrainedTokenizerBase, spec: dict[str, Any]) -> Dataset:
    """The experiment's text for every row, cut to `max_length`, with integer labels."""
    texts = [fill(spec["text"], {"premise": row.premise, "hypothesis": row.hypothesis}) for row in rows.itertuples()]
    tokenization = spec["tokenization"]
    encoded = tokenizer(
        texts,
        truncation=True,
        max_length=tokenization["max_length"],
        padding="max_length" if tokenization["padding"] == "max_length" else False,
    )
    return Dataset.from_dict(
        {
            "input_ids": encoded["input_ids"],
            "attention_mask": encoded["attention_mask"],
            "labels": rows["label"].astype(int).tolist(),
        }
    )
