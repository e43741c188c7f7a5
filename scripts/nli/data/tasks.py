"""The classes of further tasks on the same pairs: their genre, a negation, or the overlap of their words."""

import re
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from nli.base.labels import LABELS

NEGATION = re.compile(
    r"\b(?:no|not|never|none|nobody|nothing|nowhere|neither|nor|without|cannot)\b|n't\b", re.IGNORECASE
)


Coder = Callable[[pd.DataFrame], np.ndarray]  # rows -> the class of each, (rows,) int; -1: of none


def possible_tasks(kinds: Mapping[str, str], train: pd.DataFrame) -> dict[str, tuple[list[str], Coder]]:
    """The classes of each task, and the function that gives the class of each row.

    A task in which all training pairs have the same class is left out: pairs without genres, for example.

    Args:
        kinds: task -> its `label` in the config.
        train: the training pairs, which decide the classes.
    """
    found = {}
    for name, kind in kinds.items():
        classes, codes = TASKS[kind](train)
        if len(set(codes(train)) - {-1}) > 1:
            found[name] = classes, codes
    return found


def by_label(train: pd.DataFrame) -> tuple[list[str], Coder]:
    return list(LABELS), lambda rows: rows["label"].to_numpy(dtype=int)


def by_genre(train: pd.DataFrame) -> tuple[list[str], Coder]:
    """The genres of the training pairs; a pair of another genre is of no class."""
    genres = sorted(set(train["genre"]) - {""})
    return genres, lambda rows: pd.Index(genres).get_indexer(rows["genre"])


def by_negation(train: pd.DataFrame) -> tuple[list[str], Coder]:
    """Whether a word of the hypothesis denies something."""
    return ["no negation", "negation"], lambda rows: rows["hypothesis"].str.contains(NEGATION).to_numpy(dtype=int)


def by_overlap(train: pd.DataFrame) -> tuple[list[str], Coder]:
    """Whether more of the hypothesis's words are in the premise than in the median training pair."""
    median = np.median(overlaps(train))
    return ["little overlap", "much overlap"], lambda rows: (overlaps(rows) > median).astype(int)


def overlaps(rows: pd.DataFrame) -> np.ndarray:
    """The share of each hypothesis's words that are in its premise, (rows,)."""

    def share(premise: str, hypothesis: str) -> float:
        words = [set(re.findall(r"\w+", text.lower())) for text in (premise, hypothesis)]
        return len(words[0] & words[1]) / max(1, len(words[1]))

    return np.array([share(*pair) for pair in zip(rows["premise"], rows["hypothesis"], strict=True)])


TASKS: Mapping[str, Callable[[pd.DataFrame], tuple[list[str], Coder]]] = {
    "label": by_label,
    "genre": by_genre,
    "negation": by_negation,
    "overlap": by_overlap,
}
