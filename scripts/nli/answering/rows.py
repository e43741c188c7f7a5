"""Turns a model's answers into the rows of predictions.parquet, for every family."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from nli.answering.reading import SCORERS
from nli.base.labels import LABELS
from nli.data.predictions import LOGP_COLUMNS


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
