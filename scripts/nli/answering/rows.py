"""Turns a model's answers into the rows of predictions.parquet, for every family."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from nli.answering.reading import SCORERS
from nli.base.errors import StudyError
from nli.base.labels import LABELS
from nli.data.predictions import LOGP_COLUMNS
from nli.data.sampling import draw_premises
from nli.data.splits import read_split


def parse_splits(arguments: Sequence[str]) -> dict[str, Path]:
    """Command-line arguments `matched=path` as a mapping; StudyError for anything else."""
    splits = {}
    for argument in arguments:
        name, separator, path = argument.partition("=")
        if not separator:
            raise StudyError(f"--split {argument}: write NAME=FILE, e.g. matched=results/demo/data/matched.parquet")
        splits[name] = Path(path)
    return splits


def read_sample(path: Path, examples: int | None, seed: int) -> pd.DataFrame:
    """The rows of a split to answer: all, or a sample that is the same for every experiment.

    Whole premises are drawn (`sampling.draw_premises`). A smaller sample is a subset of a larger one, so methods are
    compared on the same pairs.
    """
    return draw_premises(read_split(path), examples, seed, "answered")


def scored_rows(
    rows: pd.DataFrame, split: str, log_probabilities: np.ndarray, scorer: str = "classifier"
) -> pd.DataFrame:
    """Predictions of a classifier or of label scoring: the most probable class, with log-probabilities (rows, 3)."""
    frame = _frame(rows, split, scorer)
    frame["pred"] = [LABELS[index] for index in log_probabilities.argmax(axis=1)]
    frame["answer"] = None
    frame[list(LOGP_COLUMNS)] = log_probabilities
    return frame


def answer_rows(
    rows: pd.DataFrame, split: str, answers: Sequence[str], words: Mapping[str, str], scorer: str
) -> pd.DataFrame:
    """Predictions read from raw answers by one scorer; null where no label can be read.

    Args:
        words: answer word -> class.
        scorer: a key of `reading.SCORERS`.
    """
    frame = _frame(rows, split, scorer)
    frame["pred"] = [SCORERS[scorer](answer, words) for answer in answers]
    frame["answer"] = list(answers)
    frame[list(LOGP_COLUMNS)] = np.nan
    return frame


def as_merged(frame: pd.DataFrame, merged: Mapping[str, str]) -> pd.DataFrame:
    """Predictions on a set with two classes: a label that the set merges counts as the other.

    HANS's authors count this way: a model answers with three labels, and neutral and contradiction both mean
    non-entailment (McCoy et al. 2019, arXiv 1902.01007). Raw answers and log-probabilities are not changed.
    """
    return frame.replace({"pred": dict(merged)}) if merged else frame


def _frame(rows: pd.DataFrame, split: str, scorer: str) -> pd.DataFrame:
    """The columns of predictions that come from the data."""
    return pd.DataFrame(
        {
            "split": split,
            "scorer": scorer,
            "pair_id": rows["pair_id"],
            "genre": rows["genre"],
            "premise_id": rows["premise_id"],
            "gold": [LABELS[label] for label in rows["label"]],
        }
    )
