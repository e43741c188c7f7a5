"""Training texts for the decoder: what is a token of the input, and which tokens carry the loss."""

from dataclasses import dataclass
from typing import Any

import pandas as pd
from datasets import Dataset
from transformers import DataCollatorForSeq2Seq, PreTrainedTokenizerBase

from nli.base.labels import LABELS
from nli.texts import asked_template, evaluation_template, fill

IGNORED = -100  # the label that cross-entropy leaves out


@dataclass(frozen=True)
class EncodedTexts:
    """Token ids of training texts, uncut, with what stands before the label and what ends with it.

    Attributes:
        prompts: each row's text up to the label.
        texts: each row's whole text, with the end token where the spec appends one.
        label_ends: tokens of each row's text up to the end of its label.
    """

    prompts: list[list[int]]
    texts: list[list[int]]
    label_ends: list[int]


def encode_texts(rows: pd.DataFrame, tokenizer: PreTrainedTokenizerBase, spec: dict[str, Any]) -> EncodedTexts:
    """The experiment's text for every row, as token ids, with the end token where the spec appends one."""
    text = spec["text"]
    labelled = text[: text.index("{label}")] + "{label}"
    ids = tokenizer(fill_rows(text, rows, spec))["input_ids"]
    up_to_label = ids if labelled == text else tokenizer(fill_rows(labelled, rows, spec))["input_ids"]
    end = [tokenizer.eos_token_id] if spec["append_eos"] else []
    return EncodedTexts(
        prompts=tokenizer(fill_rows(evaluation_template(text), rows, spec))["input_ids"],
        texts=[[*tokens, *end] for tokens in ids],
        label_ends=[len(tokens) for tokens in up_to_label],
    )


def fill_rows(template: str, rows: pd.DataFrame, spec: dict[str, Any]) -> list[str]:
    """A template filled with each row's premise and hypothesis and, where it has the place, the word of its label."""
    words = spec["label_words"]
    shown = [{"label": words[LABELS[label]]} for label in rows["label"]] if "{label}" in template else [{}] * len(rows)
    pairs = zip(rows["premise"], rows["hypothesis"], shown, strict=True)
    return [fill(template, {"premise": p, "hypothesis": h, **label}) for p, h, label in pairs]


def count_lost_labels(encoded: EncodedTexts, max_length: int) -> int:
    """How many texts lose part of their label to `max_length`."""
    return sum(end > max_length for end in encoded.label_ends)


def training_dataset(encoded: EncodedTexts, spec: dict[str, Any], tokenizer: PreTrainedTokenizerBase) -> Dataset:
    """The texts cut at the right to `max_length`, as the report cut them.

    With `loss_on` "label" only what follows the text up to the label is learned: the label and what ends it (a line
    break, an end token). Otherwise every token is.

    The original tokenized for the Trainer itself, with the padding: all rows then have one length, and
    `group_by_length` groups nothing. SFTTrainer tokenizes without padding, so that its rows keep their lengths.

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
    """The text that the model is asked with, for every row."""
    return fill_rows(asked_template(spec), rows, spec)


class PadTexts:
    """Collator: pad input and labels at the right, to the batch's longest text or to `max_length`."""

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

        Padding carries no loss, unless `loss_on` is "padded": then every position does, as with a collator that
        masks nothing. With `mask_end_token` every token equal to the padding token is left out of the loss, as the
        original's `DataCollatorForLanguageModeling` does, so an end token that doubles as padding is never learned.
        """
        collate = DataCollatorForSeq2Seq(self.tokenizer, **self.padding)
        keys = ("input_ids", "attention_mask", "labels")
        # SFTTrainer drops the column of masks: its rows hold no padding, so that `collate` makes the same ones
        batch = collate([{key: example[key] for key in keys if key in example} for example in examples])
        if self.learns_padding:
            batch["labels"] = batch["input_ids"].clone()
        elif self.masks_pad_token:
            batch["labels"][batch["input_ids"] == self.tokenizer.pad_token_id] = IGNORED
        return batch
