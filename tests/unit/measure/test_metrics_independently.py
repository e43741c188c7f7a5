"""Every metric against a second implementation: plain Python and SciPy, on random and on degenerate answers."""

import math
import random
from collections import Counter

import numpy as np
import pytest
from scipy.stats import binomtest
from unit.measure.test_metrics import make_rows

from nli.base.labels import LABELS
from nli.measure.metrics import score_rows


def near(value):
    """What a value must equal but for rounding; None must be None."""
    return value if value is None else pytest.approx(value, rel=1e-12, abs=1e-12)


def random_answers(seed: int):
    """Gold labels, answers (some None), genres and log-probabilities (some missing), by a random recipe."""
    draw = random.Random(seed)
    n = draw.choice([1, 2, 3, 7, 40, 300])
    gold = draw.choices(LABELS, weights=[draw.random() + 0.01 for _ in LABELS], k=n)
    skill, silence = draw.random(), draw.choice([0, 0, 0.2, 0.9])
    pred = [None if draw.random() < silence else g if draw.random() < skill else draw.choice(LABELS) for g in gold]
    genre = [draw.choice(["fiction", "travel", ""]) for _ in gold]
    logp = [(None,) * 3 if p is None else tuple(math.log(x) for x in scores_of(p, draw)) for p in pred]
    return gold, pred, genre, logp


def scores_of(pred: str, draw: random.Random) -> list[float]:
    """Three probabilities, not normalised, of which that of `pred` is the largest."""
    values = sorted(draw.uniform(0.001, 0.3) for _ in LABELS)
    rest = [label for label in LABELS if label != pred]
    by_label = {pred: values[2], rest[0]: values[0], rest[1]: values[1]}
    return [by_label[label] for label in LABELS]


DEGENERATE = {
    "one row, right": (["neutral"], ["neutral"]),
    "one row, wrong": (["neutral"], ["entailment"]),
    "one row, unread": (["neutral"], [None]),
    "nothing read": (list(LABELS) * 5, [None] * 15),
    "all right": (list(LABELS) * 5, list(LABELS) * 5),
    "all wrong": (list(LABELS) * 5, [*LABELS[1:], LABELS[0]] * 5),
    "one answer for all": (list(LABELS) * 5, ["contradiction"] * 15),
    "one gold label": (["entailment"] * 9, ["entailment", "neutral", None] * 3),
    "two gold labels": (["entailment", "neutral"] * 6, ["entailment", "entailment", "neutral"] * 4),
}


def expected(gold, pred) -> dict:
    """The scores, counted one by one."""
    n, right = len(gold), sum(g == p for g, p in zip(gold, pred, strict=True))
    parsed = sum(p is not None for p in pred)
    pairs, by_gold, by_pred = Counter(zip(gold, pred, strict=True)), Counter(gold), Counter(pred)
    f1 = {}
    for label in LABELS:
        hits = pairs[label, label]
        precision = hits / by_pred[label] if by_pred[label] else 0
        recall = hits / by_gold[label] if by_gold[label] else 0
        f1[label] = (precision, recall, 2 * hits / (by_pred[label] + by_gold[label]) if hits else 0)
    return {
        "n": n,
        "correct": right,
        "parsed": parsed,
        "accuracy": right / n,
        "parsed_accuracy": right / parsed if parsed else None,
        "majority_accuracy": max(by_gold.values()) / n,
        "macro_f1": sum(f1[label][2] for label in by_gold) / len(by_gold),
        "per_class": f1,
        "counts": [[pairs[g, p] for p in (*LABELS, None)] for g in LABELS],
        "answers": [by_pred[p] for p in (*LABELS, None)],
        "collapsed": parsed > 0 and max(by_pred[label] for label in LABELS) > 0.95 * parsed,
    }


def check(gold, pred, scores) -> None:
    wanted = expected(gold, pred)
    for key in ("n", "correct", "parsed", "accuracy", "parsed_accuracy", "majority_accuracy", "macro_f1"):
        assert scores[key] == near(wanted[key]), key
    for label, values in wanted["per_class"].items():
        found = [scores["per_class"][label][name] for name in ("precision", "recall", "f1")]
        assert found == near(list(values)), label
    assert scores["confusion"]["counts"] == wanted["counts"]
    assert list(scores["answers"].values()) == wanted["answers"]
    assert scores["collapsed"] is wanted["collapsed"]
    for name, n in (("interval", wanted["n"]), ("parsed_interval", wanted["parsed"])):
        if not n:
            assert scores[name] is None
            continue
        interval = binomtest(wanted["correct"], n).proportion_ci(0.95, method="wilson")
        assert scores[name] == pytest.approx([interval.low, interval.high], abs=1e-9), name


def expected_calibration_error(gold, pred, logp) -> float | None:
    """Guo et al. 2017, equation 3, one row after another."""
    bins: dict[int, list[tuple[float, bool]]] = {}
    for g, p, values in zip(gold, pred, logp, strict=True):
        if values[0] is not None:
            weights = [math.exp(value) for value in values]
            confidence = max(weights) / sum(weights)
            bins.setdefault(math.ceil(confidence * 15 - 1e-12), []).append((confidence, g == p))
    rows = sum(map(len, bins.values()))
    gaps = [abs(np.mean([right for _, right in found]) - np.mean([c for c, _ in found])) for found in bins.values()]
    return sum(len(found) * gap for found, gap in zip(bins.values(), gaps, strict=True)) / rows if rows else None


@pytest.mark.parametrize("seed", range(60))
def test_scores_of_random_answers(seed):
    gold, pred, genre, logp = random_answers(seed)
    scores = score_rows(make_rows(gold, pred, genre=genre, logp=logp))
    check(gold, pred, scores)
    assert scores["calibration_error"] == near(expected_calibration_error(gold, pred, logp))
    for name in ("fiction", "travel"):
        chosen = [g == p for g, p, own in zip(gold, pred, genre, strict=True) if own == name]
        found = scores["genres"].get(name)
        assert found == (None if not chosen else {"n": len(chosen), "accuracy": pytest.approx(np.mean(chosen))})


@pytest.mark.parametrize("case", DEGENERATE)
def test_scores_of_degenerate_answers(case):
    gold, pred = DEGENERATE[case]
    check(gold, pred, score_rows(make_rows(gold, pred)))
