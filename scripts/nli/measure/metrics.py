"""Metrics computed from predictions alone.

Accuracy is counted in two ways. `accuracy` is strict: an answer without a readable label is wrong. `parsed_accuracy`
leaves such answers out, as the original did. Each has two intervals: one treats rows as independent (Wilson), the
other accounts for rows that share a premise (`nli.measure.clustered`).
"""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from nli.base.labels import LABELS
from nli.data.predictions import LOGP_COLUMNS
from nli.measure.clustered import codes_of, estimate

UNPARSED = "unparsed"
COLLAPSE_SHARE = 0.95  # one class above this share of the parsed answers is a collapse
CALIBRATION_BINS = 15  # as in Guo et al. 2017, arXiv 1706.04599


def score_predictions(frame: pd.DataFrame) -> dict[str, dict[str, dict[str, Any]]]:
    """Score every split and scorer: {split: {scorer: metrics}}, in order of appearance."""
    results: dict[str, dict[str, dict[str, Any]]] = {}
    for (split, scorer), rows in frame.groupby(["split", "scorer"], sort=False):
        results.setdefault(str(split), {})[str(scorer)] = score_rows(rows)
    return results


def score_rows(rows: pd.DataFrame) -> dict[str, Any]:
    """Score the rows of one split and one scorer; the keys are those of metrics.json."""
    right, parsed = (rows["pred"] == rows["gold"]).to_numpy(dtype=bool)[None], rows["pred"].notna().to_numpy()[None]
    premises = codes_of(rows["premise_id"])
    strict, lenient = (estimate(right, premises, kept) for kept in (None, parsed))
    return {
        **count_rows(rows),
        **{key: strict[key] for key in ("interval", "clustered_interval", "design_effect")},
        **{f"parsed_{key}": lenient[key] for key in ("interval", "clustered_interval")},
    }


def count_rows(rows: pd.DataFrame) -> dict[str, Any]:
    """The scores of one split and one scorer, without intervals.

    Macro F1 is the mean over the labels that the split has: a set of two classes lacks one.
    """
    gold = rows["gold"].to_numpy(dtype=object)
    pred = rows["pred"].fillna(UNPARSED).to_numpy(dtype=object)
    n, parsed, correct = len(rows), int((pred != UNPARSED).sum()), int((pred == gold).sum())
    majority = float(max((gold == label).mean() for label in LABELS))
    answers = {name: int((pred == name).sum()) for name in (*LABELS, UNPARSED)}
    most_frequent = max(answers[name] for name in LABELS)
    per_class = class_scores(gold, pred)
    return {
        "n": n,
        "parsed": parsed,
        "correct": correct,
        "accuracy": correct / n,
        "premises": rows["premise_id"].nunique(),
        "parsed_accuracy": correct / parsed if parsed else None,
        "majority_accuracy": majority,
        "per_class": per_class,
        "macro_f1": float(np.mean([scores["f1"] for scores in per_class.values() if scores["support"]])),
        "confusion": count_confusion(gold, pred),
        "answers": answers,
        "collapsed": collapsed(most_frequent / parsed if parsed else None),
        "calibration_error": calibration_error(rows),
        "genres": genre_accuracies(rows, pred == gold),
    }


def collapsed(share: float | None) -> bool:
    """Whether the most frequent label's share of the parsed answers is above COLLAPSE_SHARE."""
    return share is not None and share > COLLAPSE_SHARE


def class_scores(gold: np.ndarray, pred: np.ndarray) -> dict[str, dict[str, float]]:
    """Precision, recall and F1 of each label; a label that is never answered has precision 0 and F1 0.

    An unparsed answer lowers the recall of its gold label and belongs to no label's precision.
    """
    scores = precision_recall_fscore_support(gold, pred, labels=list(LABELS), zero_division=0.0)
    return {
        label: {
            "precision": float(precision),
            "recall": float(recall),
            "f1": float(f1),
            "support": int(support),
        }
        for label, precision, recall, f1, support in zip(LABELS, *scores, strict=True)
    }


def count_confusion(gold: np.ndarray, pred: np.ndarray) -> dict[str, Any]:
    """Counts of gold labels (3 rows) against answers (4 columns: 3 labels and "unparsed")."""
    columns = [*LABELS, UNPARSED]
    counts = confusion_matrix(gold, pred, labels=columns)[: len(LABELS)]
    return {"rows": list(LABELS), "columns": columns, "counts": counts.astype(int).tolist()}


def calibration_error(rows: pd.DataFrame) -> float | None:
    """Expected calibration error, the mean gap of `calibration_bins`; None without log-probabilities."""
    bins = calibration_bins(rows)
    gaps = [abs(found["accuracy"] - found["confidence"]) * found["n"] for found in bins]
    return float(sum(gaps) / sum(found["n"] for found in bins)) if bins else None


def calibration_bins(rows: pd.DataFrame) -> list[dict[str, float]]:
    """n, mean confidence and accuracy of each of 15 bins of equal width that has rows; [] without log-probabilities.

    The log-probabilities are first normalised over the three labels (a classifier's already are). The confidence is
    that of the most probable label, which is the prediction. Rows without log-probabilities are left out. A confidence
    on an edge belongs to the bin below it (Guo et al. 2017).
    """
    values = rows[list(LOGP_COLUMNS)].to_numpy(dtype=float, na_value=np.nan)
    known = ~np.isnan(values).any(axis=1)
    if not known.any():
        return []
    values, right = values[known], (rows["pred"] == rows["gold"]).to_numpy(dtype=bool)[known]
    weights = np.exp(values - values.max(axis=1, keepdims=True))
    confidence = weights.max(axis=1) / weights.sum(axis=1)
    edges = np.linspace(0.0, 1.0, CALIBRATION_BINS + 1)
    bins = np.clip(np.digitize(confidence, edges, right=True) - 1, 0, CALIBRATION_BINS - 1)
    return [
        {
            "n": int((bins == b).sum()),
            "confidence": float(confidence[bins == b].mean()),
            "accuracy": float(right[bins == b].mean()),
        }
        for b in np.unique(bins)
    ]


def genre_accuracies(rows: pd.DataFrame, right: np.ndarray) -> dict[str, dict[str, float]]:
    """Strict accuracy of each genre, by name; empty if the source names no genres."""
    by_genre = pd.Series(right, dtype=float).groupby(rows["genre"].to_numpy(dtype=object))
    return {
        str(genre): {"n": int(values.size), "accuracy": float(values.mean())} for genre, values in by_genre if genre
    }
