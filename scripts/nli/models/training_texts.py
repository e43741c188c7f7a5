"""Training texts for the decoder: their tokens, and which of them count in the loss."""

from dataclasses import dataclass
from typing import Any

import pandas as pd
from datasets import Dataset
from transformers import DataCollatorForSeq2Seq, PreTrainedTokenizerBase

from nli.base.labels import LABELS
from nli.models.tokenization import first_tokens
from nli.texts import asked_template, evaluation_template, fill

IGNORED = -100  # the label that cross-entropy ignores


@dataclass(frozen=True)
class EncodedTexts:
    """Token ids of training texts, and where their labels begin and end.

    Of each only the first `max_length` tokens and one more are kept, which shows that a text is too long.

    Attributes:
        prompts: each row's text up to the label.
        texts: each row's whole text, with the end token if the spec appends one.
        label_ends: number of tokens of each row's text up to the end of its label.
    """

    prompts: list[list[int]]
    texts: list[list[int]]
    label_ends: list[int]


def encode_texts(rows: pd.DataFrame, tokenizer: PreTrainedTokenizerBase, spec: dict[str, Any]) -> EncodedTexts:
    """The experiment's text for every row, as token ids, with the end token if the spec appends one."""
    text = spec["text"]
    labelled = text[: text.index("{label}")] + "{label}"
    kept = spec["tokenization"]["max_length"] + 1
    ids = first_tokens(tokenizer, fill_rows(text, rows, spec), kept)
    up_to_label = ids if labelled == text else first_tokens(tokenizer, fill_rows(labelled, rows, spec), kept)
    end = [tokenizer.eos_token_id] if spec["append_eos"] else []
    return EncodedTexts(
        prompts=first_tokens(tokenizer, fill_rows(evaluation_template(text), rows, spec), kept),
        texts=[[*tokens, *end] for tokens in ids],
        label_ends=[len(tokens) for tokens in up_to_label],
    )


def fill_rows(template: str, rows: pd.DataFrame, spec: dict[str, Any]) -> list[str]:
    """A template filled with each row's premise, hypothesis and, if it has {label}, label word."""
    words = spec["label_words"]
    shown = [{"label": words[LABELS[label]]} for label in rows["label"]] if "{label}" in template else [{}] * len(rows)
    pairs = zip(rows["premise"], rows["hypothesis"], shown, strict=True)
    return [fill(template, {"premise": p, "hypothesis": h, **label}) for p, h, label in pairs]


def count_lost_labels(encoded: EncodedTexts, max_length: int) -> int:
    """The number of texts whose label is partly or wholly cut off by `max_length`."""
    return sum(end > max_length for end in encoded.label_ends)


def training_dataset(encoded: EncodedTexts, spec: dict[str, Any], tokenizer: PreTrainedTokenizerBase) -> Dataset:
    """The texts cut on the right to `max_length`, as in the original.

    With `loss_on` "label" only the label and what ends it (a line break, an end token) are learned. Otherwise every
    token is.

    For Trainer the original tokenized with padding, so all rows have one length and `group_by_length` has no effect.
    SFTTrainer tokenizes without padding, so its rows keep their lengths.

    Returns:
        input_ids, attention_mask and labels, of one length in each row.
    """
    limit, padding = spec["tokenization"]["max_length"], spec["tokenization"]["padding"]
    padded = spec["trainer"] == "transformers" and padding == "max_length"
    inputs, masks, labels = [], [], []
    for prompt_ids, ids in zip(encoded.prompts, encoded.texts, strict=True):
        kept = ids[:limit]
        ignored = min(len(prompt_ids), len(kept)) if spec["loss_on"] == "label" else 0
        missing = limit - len(kept) if padded else 0
        inputs.append(kept + [tokenizer.pad_token_id] * missing)
        masks.append([1] * len(kept) + [0] * missing)
        labels.append([IGNORED] * ignored + kept[ignored:] + [IGNORED] * missing)
    return Dataset.from_dict({"input_ids": inputs, "attention_mask": masks, "labels": labels})


def evaluation_prompts(rows: pd.DataFrame, spec: dict[str, Any]) -> list[str]:
    """The prompt for answering, for every row."""
    return fill_rows(asked_template(spec), rows, spec)


class PadTexts:
    """Collator that pads inputs and labels on the right, to the batch's longest text or to `max_length`."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, spec: dict[str, Any]) -> None:
        fixed = spec["tokenization"]["padding"] == "max_length"
        self.padding = {
            "padding": "max_length" if fixed else True,
            "max_length": spec["tokenization"]["max_length"] if fixed else None,
        }
        self.tokenizer = tokenizer
        self.masks_pad_token = spec["mask_end_token"]
        self.learns_padding = spec["loss_on"] == "padded"

    def __call__(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        """One batch of tensors: input_ids, attention_mask, labels, each (batch, length).

        Padding does not count in the loss, unless `loss_on` is "padded": then every position does, as with a collator
        that masks nothing. With `mask_end_token` every token equal to the padding token is left out of the loss, as
        with the original's `DataCollatorForLanguageModeling`, so an end token that is also the padding is never
        learned.
        """
        collate = DataCollatorForSeq2Seq(self.tokenizer, **self.padding)
        keys = ("input_ids", "attention_mask", "labels")
        # SFTTrainer drops the column of masks; its rows have no padding, so `collate` makes the same ones
        batch = collate([{key: example[key] for key in keys if key in example} for example in examples])
        if self.learns_padding:
            batch["labels"] = batch["input_ids"].clone()
        elif self.masks_pad_token:
            batch["labels"][batch["input_ids"] == self.tokenizer.pad_token_id] = IGNORED
        return batch
