"""Chance baselines: the most frequent class, and a linear model that reads only the hypothesis.

A method that does not beat both has not been shown to infer anything. Hypotheses alone give labels away, because their
writers had habits (Gururangan et al. 2018; Poliak et al. 2018).
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.dummy import DummyClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from threadpoolctl import threadpool_limits

from nli.base.errors import StudyError
from nli.base.labels import LABELS
from nli.machine.memory import resident_memory
from nli.provenance import code_hashes, data_identity, finished, git_commit, versions

MAX_ITERATIONS = 1000


@dataclass(frozen=True)
class Baseline:
    """A fitted classifier of hypotheses, what was chosen on `tune` (or {}), and the seconds that fitting took."""

    classifier: BaseEstimator
    chosen: dict[str, Any]
    weights: int
    seconds: float


def fit_baseline(spec: dict[str, Any], train: pd.DataFrame, tune: pd.DataFrame) -> Baseline:
    """Fit the baseline that `spec["method"]` names.

    Raises StudyError if a class is missing from `train`, or if a choice must be made and `tune` is empty.
    """
    missing = [label for i, label in enumerate(LABELS) if i not in set(train["label"])]
    if missing:
        raise StudyError(f"train has no pair of {' and '.join(missing)}; use more training pairs")
    started = time.perf_counter()
    if spec["method"] == "majority":
        classifier = DummyClassifier(strategy="prior").fit(train["hypothesis"], train["label"])
        return Baseline(classifier, {}, 0, time.perf_counter() - started)
    classifier, chosen = fit_hypothesis_only(spec["features"], train, tune)
    model = classifier[-1]
    weights = int(model.coef_.size + model.intercept_.size)
    return Baseline(classifier, chosen, weights, time.perf_counter() - started)


def fit_hypothesis_only(
    features: dict[str, Any], train: pd.DataFrame, tune: pd.DataFrame
) -> tuple[BaseEstimator, dict[str, Any]]:
    """Logistic regression on counts of word n-grams; C is the best on `tune` (the smallest if tied).

    It is fitted on one thread: BLAS adds long vectors in another order on two, and then the last digits differ.
    """
    if len(features["C"]) > 1 and tune.empty:
        raise StudyError("C is chosen on tune, which has no rows; set data.tune_examples above 0, or give one C")
    low, high = features["ngrams"]
    counter = CountVectorizer(ngram_range=(low, high), min_df=features["min_count"])
    try:
        counts = counter.fit_transform(train["hypothesis"])
    except ValueError as error:
        raise StudyError(f"hypotheses of train give no features ({error}); lower features.min_count") from error
    best: tuple[float, BaseEstimator] | None = None
    for strength in sorted(features["C"]):
        with threadpool_limits(limits=1):
            model = LogisticRegression(C=strength, max_iter=MAX_ITERATIONS).fit(counts, train["label"])
        accuracy = model.score(counter.transform(tune["hypothesis"]), tune["label"]) if len(tune) else 0.0
        if best is None or accuracy > best[0]:
            best = (accuracy, model)
    accuracy, model = best
    chosen = {"C": model.C, "tune_accuracy": float(accuracy) if len(tune) else None}
    return make_pipeline(counter, model), chosen


def log_probabilities(baseline: Baseline, rows: pd.DataFrame) -> np.ndarray:
    """Log-probabilities (rows, 3) of the labels, in their order; finite."""
    shares = baseline.classifier.predict_proba(rows["hypothesis"])
    return np.log(np.maximum(shares, np.finfo(float).tiny))


def baseline_record(
    spec: dict[str, Any], seed: int, baseline: Baseline, started: float, seconds: float, splits: dict[str, Path]
) -> dict[str, Any]:
    """run.json of a baseline, with the keys of every other run; `seconds` is the time of the evaluation."""
    counts = {"total": baseline.weights, "trainable": baseline.weights, "frozen": 0}
    names = ["coef", "intercept"] if baseline.weights else []
    return {
        **{key: spec[key] for key in ("family", "name")},
        "seed": seed,
        "scale": spec["scale"],
        "spec": spec,
        "chosen_on_tune": baseline.chosen,
        "parameters": {
            **counts,
            "as_reported": counts,
            "layers": [],
            "trainable_tensors": names,
            "gradient_tensors": names,
            "audited_steps": 0,
        },
        "finished": finished(),
        "seconds": {"wall": time.perf_counter() - started, "train": baseline.seconds, "evaluation": seconds},
        "sessions": None,
        "energy_kwh": {"train": None},
        "throughput": {"examples_per_second": None, "tokens_per_second": None},
        "peak_memory_gib": {"process": resident_memory(), "device": None},
        "device": "CPU, 1 thread(s)",
        "dtype": "float64",
        "versions": versions(),
        "data": data_identity(splits),
        "model": None,
        "code": {"training": None, "answering": code_hashes()},
        "git_commit": git_commit(),
    }
