"""Draws the study's splits from the source's rows, and describes them.

A draw ranks the rows by the raw 64-bit outputs of PCG64, seeded with the seed and the split. NumPy guarantees that
stream across versions and platforms (NEP 19: bit generators are stable, the methods of `Generator` are not), so a
seed means the same rows everywhere. Drawn rows keep the data's order.

MultiNLI has three hypotheses per premise, and rows that share a premise are not independent. Train is drawn row by
row, as in the original. Held-out splits are drawn by whole premises, and train shares no premise with tune.
"""

import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd

from nli.base.errors import StudyError
from nli.base.labels import LABELS
from nli.data.raw import RawData
from nli.data.splits import read_split
from nli.study.sources import DRAWN

EVALUATION_SPLITS = {name: source for name, source in DRAWN.items() if source != "train"}
STREAMS = {"train": 0, "tune": 1, "matched": 2, "mismatched": 3, "answered": 4, "set": 5, "trained": 6}
TUNE_SHARE = 5  # tune takes at most one training row in five


def shuffled(n: int, seed: int, stream: str) -> np.ndarray:
    """A permutation of range(n), int64 (n,), determined by n, seed and stream; a draw is its prefix."""
    return np.argsort(_ranks(n, seed, stream), kind="stable")


def _ranks(n: int, seed: int, stream: str) -> np.ndarray:
    return np.random.PCG64([seed, STREAMS[stream]]).random_raw(n)


def draw_premises(frame: pd.DataFrame, n: int | None, seed: int, stream: str) -> pd.DataFrame:
    """n rows of whole premises, in the data's order; all rows if n is None or larger than their number.

    The data, the seed and the stream determine a permutation of the premises. Each premise brings all its rows, and
    the last is cut to give exactly n. A smaller draw is a subset of a larger one.
    """
    if n is None or n >= len(frame):
        return frame
    codes, premises = pd.factorize(frame["premise_id"])
    order = np.argsort(_ranks(len(premises), seed, stream)[codes], kind="stable")
    return _take(frame, order[:n])


def read_sample(path: Path, examples: int | None, seed: int) -> pd.DataFrame:
    """The rows of a split to answer: all, or a sample that is the same for every experiment.

    Whole premises are drawn. A smaller sample is a subset of a larger one, so methods are compared on the same pairs.
    """
    return draw_premises(read_split(path), examples, seed, "answered")


def draw_rows(frame: pd.DataFrame, n: int | None, seed: int, stream: str) -> pd.DataFrame:
    """n rows, in the data's order; all rows if n is None or larger than their number.

    A smaller draw is a subset of a larger one.
    """
    return frame if n is None or n >= len(frame) else _take(frame, shuffled(len(frame), seed, stream)[:n])


def rows_to_train_on(n: int, asked: float | None) -> int:
    """How many of n training rows an experiment takes: all, a number of them, or a share (below 1); at least one."""
    if asked is None or asked >= n:
        return n
    return max(1, fraction_of(n, asked)) if asked < 1 else int(asked)


def fraction_of(n: int, fraction: float) -> int:
    """floor(fraction * n), exact for the fraction as written in decimals: 0.29 of 100 is 29, not 28."""
    if not 0 < fraction <= 1:
        raise StudyError(f"train_fraction is {fraction}; it takes a number above 0 and up to 1")
    return math.floor(Fraction(str(fraction)) * n)


def tune_rows(n_pool: int, tune_examples: int) -> int:
    """How many of `n_pool` training rows tune takes: `tune_examples`, at most a fifth, but one if fewer than five."""
    return min(tune_examples, max(1, n_pool // TUNE_SHARE))


def draw_splits(
    raw: RawData,
    *,
    train_fraction: float,
    tune_examples: int,
    seed: int,
    train_examples: int | None = None,
    evaluation_examples: int | None = None,
) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """The splits train, tune, matched, mismatched and corpus, and warnings for the user.

    train: `train_fraction` of the labelled training rows, at most `train_examples`.
    tune: `tune_examples` of the source's tune split; or else of the training rows, drawn before train and at most a
        fifth of them. Train shares no premise with tune, and is smaller if that leaves too few rows.
    matched, mismatched: all rows, or `evaluation_examples` of each.
    corpus: the source's own, or all training rows; without any pair of the three above.
    """
    _check_limit("tune_examples", tune_examples, least=0)
    _check_limit("train_examples", train_examples, least=1)
    _check_limit("evaluation_examples", evaluation_examples, least=1)
    pool = raw.frames["train"]
    n_train = fraction_of(len(pool), train_fraction)
    n_train = n_train if train_examples is None else min(n_train, train_examples)
    if n_train < 1:
        raise StudyError(f"train_fraction {train_fraction} of {len(pool)} training rows is less than one row; raise it")
    own_tune = raw.frames.get("tune")
    if own_tune is None:
        tune = draw_premises(pool, tune_rows(len(pool), tune_examples), seed, "tune")
    else:
        tune = draw_premises(own_tune, tune_examples, seed, "tune")
    order = shuffled(len(pool), seed, "train")
    order = order[~pool["premise_id"].isin(tune["premise_id"]).to_numpy()[order]]
    if not len(order):
        raise StudyError(
            f"tune has a row of every premise of the {len(pool)} training rows, which leaves none for train; "
            "set data.tune_examples to 0, or give more training rows"
        )
    splits = {"train": _take(pool, order[:n_train]), "tune": tune}
    for split, raw_split in EVALUATION_SPLITS.items():
        splits[split] = draw_premises(raw.frames[raw_split], evaluation_examples, seed, split)
    most = "it takes at most a fifth of the training rows" if own_tune is None else "the source has no more"
    warnings = _warn_of_few("tune", tune, tune_examples, most)
    warnings += _warn_of_few("train", splits["train"], n_train, "the others share a premise with tune")
    for split in EVALUATION_SPLITS:
        warnings += _warn_of_overlap(split, splits[split], splits["train"], pool)
    held_out = [splits["tune"], *(raw.frames[name] for name in EVALUATION_SPLITS.values())]
    splits["corpus"] = _without(raw.frames.get("corpus", pool), held_out)
    return splits, warnings


def draw_set(
    name: str, raw: RawData, train: pd.DataFrame, examples: int | None, seed: int
) -> tuple[pd.DataFrame, dict]:
    """The rows of an evaluation set with its own rows, at most `examples`, and their description with warnings."""
    rows = raw.frames[name]
    drawn = draw_premises(rows, examples, seed, "set")
    return drawn, {
        "source": raw.source,
        "revision": raw.revision,
        "sha256": raw.sha256,
        "dropped": raw.dropped[name],
        "warnings": _warn_of_overlap(name, drawn, train, train),
        "available": len(rows),
        "split": describe(drawn),
    }


def _check_limit(name: str, value: int | None, least: int) -> None:
    if value is not None and value < least:
        raise StudyError(f"{name} is {value}; it takes a whole number from {least}")


def _take(frame: pd.DataFrame, positions: np.ndarray) -> pd.DataFrame:
    return frame.iloc[np.sort(positions)].reset_index(drop=True)


def _pairs(frame: pd.DataFrame) -> pd.Series:
    return frame["premise"].str.strip() + "\x1f" + frame["hypothesis"].str.strip()


def _without(frame: pd.DataFrame, others: list[pd.DataFrame]) -> pd.DataFrame:
    taken = pd.concat([_pairs(other) for other in others])
    return frame[~_pairs(frame).isin(taken)].reset_index(drop=True)


def _warn_of_few(split: str, frame: pd.DataFrame, wanted: int, reason: str) -> list[str]:
    if len(frame) >= wanted:
        return []
    return [f"{split} has {len(frame)} of the {wanted} rows requested: {reason}"]


def _warn_of_overlap(split: str, frame: pd.DataFrame, train: pd.DataFrame, pool: pd.DataFrame) -> list[str]:
    pairs = _pairs(frame)
    known, drawn = (int(pairs.isin(_pairs(rows)).sum()) for rows in (pool, train))
    if not known:
        return []
    return [
        f"{split}: {known} of {len(frame)} pairs are also in the training data, {drawn} of them "
        "in the rows drawn for train; all rows are kept"
    ]


def describe_study(raw: RawData, splits: dict[str, pd.DataFrame], request: dict, warnings: list[str]) -> dict:
    """The content of description.json: the source, the request, and a table of each split.

    `available` is the number of labelled rows that a split was drawn from.
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
    """A split's numbers of rows, premises, labels, genres and words (split at white space; null without rows)."""
    labels, genres = (frame[column].value_counts().sort_index() for column in ("label", "genre"))
    return {
        "n": len(frame),
        "premises": int(frame["premise_id"].nunique()),
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
