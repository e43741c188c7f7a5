"""Training texts for the decoder: what is a token of the input, and which tokens carry the loss."""

from dataclasses import dataclass
from typing import Any

import pandas as pd
from datasets import Dataset
from transformers import DataCollatorForSeq2Seq, PreTrainedTokenizerBase

from nli.labels import LABELS
from nli.prompts import evaluation_template, fill

IGNORED = -100  # the label that cross-entropy leaves out


@dataclass(frozen=True)
class EncodedTexts:
    """Token ids of training texts, uncut: each row's evaluation text (`prompts`) and whole text (`texts`)."""

    prompts: list[list[int]]
    texts: list[list[int]]
    end_tokens: int = 0  # at the end of every text, behind the label


def encode_texts(rows: pd.DataFrame, tokenizer: PreTrainedTokenizerBase, spec: dict[str, Any]) -> EncodedTexts:
    """The experiment's text for every row, as token ids, with the end token where the spec appends one."""
    texts = [
        fill(
            spec["text"],
            {
                "premise": row.premise,
                "hypothesis": row.hypothesis,
                "label": spec["label_words"][LABELS[row.label]],
            },
        )
        for row in rows.itertuples()
    ]
    end = [tokenizer.eos_token_id] if spec["append_eos"] else []
    return EncodedTexts(
        prompts=tokenizer(evaluation_prompts(rows, spec))["input_ids"],
        texts=[[*ids, *end] for ids in tokenizer(texts)["input_ids"]],
        end_tokens=len(end),
    )


def count_lost_labels(encoded: EncodedTexts, max_length: int) -> int:
    """How many texts lose part of their label, which stands at the end or before the end token, to `max_length`."""
    return sum(len(ids) - encoded.end_tokens > max_length for ids in encoded.texts)


def training_dataset(encoded: EncodedTexts, max_length: int, loss_on: str) -> Dataset:
    """The texts cut at the right to `max_length`, as the report cut them.

    With `loss_on` "label" only what stands behind the evaluation text is a label: the label's tokens and the end
    token, if one was appended. With "all" every token is.

    Returns:
        input_ids and labels, of one length in each row.
    """
    inputs, labels = [], []
    for prompt_ids, ids in zip(encoded.prompts, encoded.texts, strict=True):
        kept = ids[:max_length]
        ignored = min(len(prompt_ids), len(kept)) if loss_on == "label" else 0
        inputs.append(kept)
        labels.append([IGNORED] * ignored + kept[ignored:])
    return Dataset.from_dict({"input_ids": inputs, "labels": labels})


def evaluation_prompts(rows: pd.DataFrame, spec: dict[str, Any]) -> list[str]:
    """The evaluation text of every row."""
    template = evaluation_template(spec["text"])
    return [fill(template, {"premise": row.premise, "hypothesis": row.hypothesis}) for row in rows.itertuples()]


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

    def __call__(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        """One batch of tensors: input_ids, attention_mask, labels, each (batch, length); padding carries no loss.

        With `mask_end_token` every token equal to the padding token is left out of the loss, as the report's
        `DataCollatorForLanguageModeling` does, so that an end token that doubles as padding is never learned.
        """
        collate = DataCollatorForSeq2Seq(self.tokenizer, **self.padding)
        batch = collate([{key: example[key] for key in ("input_ids", "labels")} for example in examples])
        if self.masks_pad_token:
            batch["labels"][batch["input_ids"] == self.tokenizer.pad_token_id] = IGNORED
        return batch
