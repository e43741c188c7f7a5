"""Worked examples for a prompt, drawn from the training split: one of each class in turn."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from nli.base.errors import StudyError
from nli.base.labels import LABELS
from nli.texts import fill


def draw_examples(rows: pd.DataFrame, shots: int, order: int, seed: int, draw: int = 0) -> list[dict[str, str]]:
    """`shots` pairs with their classes, cycling from class `order`: three shots have each class once.

    A class has the same pair in every order, so two orders differ only in the order. Two draws share no pair and differ
    only in the pairs.

    Args:
        rows: the training split, so that a validation pair is never an example.
        order: 0, 1 or 2.
        seed: for all draws.
        draw: 0, 1, ...: each takes the next pairs of each class.

    Raises:
        StudyError: the split lacks a class.
    """
    shuffled = rows.iloc[np.random.default_rng(seed).permutation(len(rows))]
    per_class = -(-shots // len(LABELS))
    examples = []
    for shot in range(shots):
        label = (order + shot) % len(LABELS)
        of_class = shuffled[shuffled["label"] == label]
        place = draw * per_class + shot // len(LABELS)
        if place >= len(of_class):
            raise StudyError(
                f"the training split has too few pairs of the class {LABELS[label]} for {shots} shots"
                + (f" in draw {draw + 1}" if draw else "")
            )
        row = of_class.iloc[place]
        examples.append({"premise": row.premise, "hypothesis": row.hypothesis, "label": LABELS[label]})
    return examples


def demonstrations(prompt: Mapping[str, Any], rows: pd.DataFrame | None, order: int, seed: int, draw: int = 0) -> str:
    """The text of the drawn examples before a pair; "" for a prompt that draws none."""
    if not prompt.get("drawn"):
        return ""
    if rows is None:
        raise StudyError(f"prompts.{prompt['name']}: 'drawn' examples need the training split (--examples)")
    words = {label: word for word, label in reversed(list(prompt["answers"].items()))}
    return "".join(
        fill(prompt["drawn"], {**example, "answer": words[example["label"]]})
        for example in draw_examples(rows, prompt["shots"], order, seed, draw)
    )


def worked_examples(spec: Mapping[str, Any], rows: pd.DataFrame | None, seed: int) -> list[dict[str, str]]:
    """The pairs that an experiment's prompt shows, its fixed one or those of all draws; [] for a prompt without."""
    prompt = spec["prompt"]
    if prompt.get("example"):
        return [prompt["example"]]
    if not prompt.get("drawn") or rows is None:
        return []
    draws = range(spec.get("draws", 1))
    return [pair for draw in draws for pair in draw_examples(rows, prompt["shots"], spec["order"], seed, draw)]
