"""Worked examples for a prompt, drawn from the training split: one of each class in turn."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from nli.errors import StudyError
from nli.labels import LABELS
from nli.prompts import fill


def draw_examples(rows: pd.DataFrame, shots: int, order: int, seed: int) -> list[dict[str, str]]:
    """`shots` pairs with their classes, starting with class `order` and going round: three shots hold each class once.

    The pair of a class is the same in every order, so that two orders differ in nothing but the order.

    Args:
        rows: the training split; a validation pair never serves as an example.
        order: 0, 1 or 2.
        seed: of the draw.

    Raises:
        StudyError: the split lacks a class.
    """
    shuffled = rows.iloc[np.random.default_rng(seed).permutation(len(rows))]
    examples = []
    for shot in range(shots):
        label = (order + shot) % len(LABELS)
        of_class = shuffled[shuffled["label"] == label]
        if len(of_class) <= shot // len(LABELS):
            raise StudyError(f"the training split has too few pairs of the class {LABELS[label]} for {shots} shots")
        row = of_class.iloc[shot // len(LABELS)]
        examples.append({"premise": row.premise, "hypothesis": row.hypothesis, "label": LABELS[label]})
    return examples


def demonstrations(prompt: Mapping[str, Any], rows: pd.DataFrame | None, order: int, seed: int) -> str:
    """The text of the drawn examples that stand before a pair; "" for a prompt that draws none."""
    if not prompt.get("drawn"):
        return ""
    if rows is None:
        raise StudyError(f"prompts.{prompt['name']}: 'drawn' examples need the training split (--examples)")
    words = {label: word for word, label in reversed(list(prompt["answers"].items()))}
    return "".join(
        fill(prompt["drawn"], {**example, "answer": words[example["label"]]})
        for example in draw_examples(rows, prompt["shots"], order, seed)
    )
