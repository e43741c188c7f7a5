"""Answers of an encoder to one of several tasks."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
from torch import nn
from transformers import DataCollatorWithPadding, PreTrainedTokenizerBase

from nli.answering.classify import classify
from nli.jobs.families import FAMILIES


def class_of_each(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    rows: pd.DataFrame,
    spec: dict[str, Any],
    classes: Sequence[str],
) -> list[str]:
    """The most probable of the task's classes for each row; heads may have more outputs, for tasks of more classes."""
    dataset = FAMILIES["roberta"].dataset(rows, tokenizer, spec)
    collate, batch_size = DataCollatorWithPadding(tokenizer), spec["training"]["eval_batch_size"]
    scores = classify(model, dataset, collate, batch_size)[:, : len(classes)]
    return [classes[code] for code in scores.argmax(axis=1)]
