"""Draw the study's splits from the source's rows, and describe them.

A draw ranks the rows by the raw 64-bit outputs of PCG64, seeded with the seed and the split. NumPy
promises that stream across versions and platforms (NEP 19: bit generators are stable, the methods
of `Generator` are not), so a seed means the same rows everywhere. Drawn rows keep the data's order.
"""

import math
from fractions import Fraction

import numpy as np
import pandas as pd

from nli.data import RawData
from nli.errors import StudyError
from nli.labels import LABELS

EVALUATION_SPLITS = {"matched": "validation_matched", "mismatched": "validation_mismatched"}
STREAMS = {"train": 0, "tune": 1, "matched": 2, "mismatched": 3}


def shuffled(n: int, seed: int, split: str) -> np.ndarray:
    """A permutation of range(n), int64 (n,), fixed by n, seed and split; a draw is its prefix."""
    ranks = np.random.PCG64([seed, STREAMS[split]]).random_raw(n)
    return np.argsort(ranks, kind="stable")


def fraction_of(n: int, fraction: float) -> int:
    """floor(fraction * n), exact for the decimal as written: 0.29 of 100 is 29, not 28."""
    if not 0 < fraction <= 1:
        raise StudyError(f"train_fraction is {fraction}; it takes a number above 0 and up to 1")
    return math.floor(Fraction(str(fraction)) * n)


def draw_splits(
    raw: RawData,
    *,
    train_fraction: float,
    tune_examples: int,
    seed: int,
    train_examples: int | None = None,
    evaluation_examples: int | None = None,
) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """Draw train, tune, matched, mismatched and corpus; return them with the warnings for a person.

    train: `train_fraction` of the labelled training rows, at most `train_examples`.
    tune: `tune_examples` of the training rows that train leaves, or of the source's own tune split.
    matched, mismatched: all, or `evaluation_examples` of each.
    corpus: the source's own, or all training rows; without any pair of the three above.
    """
    _check_limit("tune_examples", tune_examples, least=0)
    _check_limit("train_examples", train_examples, least=1)
    _check_limit("evaluation_examples", evaluation_examples, least=1)
    pool = raw.frames["train"]
    n_train = fraction_of(len(pool), train_fraction)
    n_train = n_train if train_examples is None else min(n_train, train_examples)
    if n_train < 1:
        raise StudyError(f"train_fraction {train_fraction} of {len(pool)} training rows is no row; raise it")
    order = shuffled(len(pool), seed, "train")
    splits = {"train": _take(pool, order[:n_train])}
    if "tune" in raw.frames:
        splits["tune"] = _draw(raw.frames["tune"], tune_examples, seed, "tune")
    else:
        # From the far end, so that tune stays the same when train grows, while there is room.
        unused = order[n_train:][::-1]
        splits["tune"] = _take(pool, unused[:tune_examples])
    for split, raw_split in EVALUATION_SPLITS.items():
        splits[split] = _draw(raw.frames[raw_split], evaluation_examples, seed, split)
    warnings = _warn_of_few(splits["tune"], tune_examples)
    for split in EVALUATION_SPLITS:
        warnings += _warn_of_overlap(split, splits[split], splits["train"], pool)
    held_out = [splits["tune"], *(raw.frames[name] for name in EVALUATION_SPLITS.values())]
    splits["corpus"] = _without(raw.frames.get("corpus", pool), held_out)
    return splits, warnings


def _check_limit(name: str, value: int | None, least: int) -> None:
    if value is not None and value < least:
        raise StudyError(f"{name} is {value}; it takes a whole number from {least}")


def _take(frame: pd.DataFrame, positions: np.ndarray) -> pd.DataFrame:
    return frame.iloc[np.sort(positions)].reset_index(drop=True)


def _draw(frame: pd.DataFrame, n: int | None, seed: int, split: str) -> pd.DataFrame:
    return _take(frame, shuffled(len(frame), seed, split)[:n])


def _pairs(frame: pd.DataFrame) -> pd.Series:
    return frame["premise"].str.strip() + "\x1f" + frame["hypothesis"].str.strip()


def _without(frame: pd.DataFrame, others: list[pd.DataFrame]) -> pd.DataFrame:
    taken = pd.concat([_pairs(other) for other in others])
    return frame[~_pairs(frame).isin(taken)].reset_index(drop=True)


def _warn_of_few(tune: pd.DataFrame, wanted: int) -> list[str]:
    if len(tune) >= wanted:
        return []
    return [f"tune has {len(tune)} of the {wanted} rows asked for: train leaves no more"]


def _warn_of_overlap(split: str, frame: pd.DataFrame, train: pd.DataFrame, pool: pd.DataFrame) -> list[str]:
    pairs = _pairs(frame)
    known, drawn = (int(pairs.isin(_pairs(rows)).sum()) for rows in (pool, train))
    if not known:
        return []
    return [
        f"{split}: {known} of {len(frame)} pairs also stand in the training data, {drawn} of them "
        "in the rows drawn for train; all rows are kept"
    ]


def describe_study(raw: RawData, splits: dict[str, pd.DataFrame], request: dict, warnings: list[str]) -> dict:
    """The content of description.json: the source, what was asked for, and a table of each split.

    `available` counts the labelled rows that a split was drawn from.
    """
    origin = {"train": "train", **EVALUATION_SPLITS}
    return {
        "source": raw.source,
        "revision": raw.revision,
        "sha256": raw.sha256,
        "dropped": {split: raw.dropped[name] for split, name in origin.items()},
        "warnings": warnings,
        "sampling": request,
        "available": {split: len(raw.frames[name]) for split, name in origin.items()},
        "splits": {split: describe(splits[split]) for split in splits if split != "corpus"},
    }


def describe(frame: pd.DataFrame) -> dict:
    """Count a split's rows, labels, genres, and words: split at white space, null if no row."""
    labels, genres = (frame[column].value_counts().sort_index() for column in ("label", "genre"))
    return {
        "n": len(frame),
        "labels": {name: int(labels.get(i, 0)) for i, name in enumerate(LABELS)},
        "premise_words": _word_lengths(frame["premise"]),
        "hypothesis_words": _word_lengths(frame["hypothesis"]),
        "genres": {genre: int(n) for genre, n in genres.items()},
    }


def _word_lengths(texts: pd.Series) -> dict[str, float | None]:
    words = np.array([len(text.split()) for text in texts])
    if not len(words):
        return dict.fromkeys(("mean", "median", "p95", "max"))
    return {
        "mean": float(words.mean()),
        "median": float(np.median(words)),
        "p95": float(np.percentile(words, 95, method="inverted_cdf")),
        "max": int(words.max()),
    }
