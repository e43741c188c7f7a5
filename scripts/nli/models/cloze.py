"""A hard prompt: label words at the encoder's own mask (Schick and Schütze 2021), without new parameters."""

import string
from typing import Any

import pandas as pd
import torch
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.modeling_outputs import SequenceClassifierOutput

from nli.base.errors import StudyError
from nli.base.labels import LABELS
from nli.texts import fill


class ClozeClassifier(nn.Module):
    """A masked language model as a classifier: the label words' scores at the mask are the classes' logits.

    Args:
        model: a masked language model.
        mask_token_id: id of the mask; each row of the input has one, and the first counts.
        word_ids: the label words' token ids, in the order of `LABELS`.
    """

    def __init__(self, model: PreTrainedModel, mask_token_id: int, word_ids: list[int]) -> None:
        super().__init__()
        self.model = model
        self.config = model.config
        self.mask_token_id = mask_token_id
        self.word_ids = word_ids

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, labels: torch.Tensor | None = None
    ) -> SequenceClassifierOutput:
        """Logits (batch, 3), and the mean cross-entropy if labels (batch,) are given."""
        scores = self.model(input_ids=input_ids, attention_mask=attention_mask).logits
        place = (input_ids == self.mask_token_id).long().argmax(dim=1)
        logits = scores[torch.arange(len(scores), device=scores.device), place][:, self.word_ids]
        loss = None if labels is None else nn.functional.cross_entropy(logits, labels)
        return SequenceClassifierOutput(loss=loss, logits=logits)


def ask_mask(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, spec: dict[str, Any]) -> ClozeClassifier:
    """The masked language model as a classifier with the spec's label words; every parameter trains."""
    return ClozeClassifier(model, tokenizer.mask_token_id, label_word_ids(tokenizer, spec))


def label_word_ids(tokenizer: PreTrainedTokenizerBase, spec: dict[str, Any]) -> list[int]:
    """The token of each class's word as in the spec, with its leading space.

    Raises:
        StudyError: the tokenizer has no mask, or a word is not a single token.
    """
    where = f"experiments.roberta/{spec['name']}"
    if tokenizer.mask_token is None:
        raise StudyError(f"{where}.method: 'cloze' needs an encoder with a mask token; choose another encoder")
    words = [spec["cloze"]["words"][label] for label in LABELS]
    encoded = [tokenizer(word, add_special_tokens=False)["input_ids"] for word in words]
    for word, ids in zip(words, encoded, strict=True):
        if len(ids) != 1 or ids[0] == tokenizer.unk_token_id or encoded.count(ids) > 1:
            pieces = ", ".join(map(repr, tokenizer.convert_ids_to_tokens(ids)))
            raise StudyError(
                f"{where}.cloze.words: '{word}' is {pieces} to the encoder's tokenizer; choose a word of one token"
            )
    return [ids[0] for ids in encoded]


def fill_cloze(
    rows: pd.DataFrame, tokenizer: PreTrainedTokenizerBase, cloze: dict[str, Any]
) -> tuple[list[str], list[str]]:
    """The two segments of `cloze`, filled, for every row."""
    fields = [
        {
            "premise": row.premise,
            "premise_unpunctuated": without_final_punctuation(row.premise),
            "hypothesis": row.hypothesis,
            "mask": tokenizer.mask_token,
        }
        for row in rows.itertuples()
    ]
    first, second = ([fill(cloze[side], values) for values in fields] for side in ("first", "second"))
    return first, second


def without_final_punctuation(text: str) -> str:
    """The text without final ASCII punctuation, as in the premises of Schick and Schütze's MNLI patterns."""
    return text.rstrip(string.punctuation)
