"""Measures sweeps: the accuracy at every value, and the value from which one curve stays above another.

All points of a sweep are measured on the pairs that all of them answered. Between two values a curve is a straight
line, on the logarithm of the values if the axis is logarithmic.
"""

import math
from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np

from nli.measure.answers import Answers, Frames, arrays, common_pairs, frames_of, require_same_gold
from nli.measure.comparisons import scores_of, spread
from nli.measure.multibootstrap import percentile_interval, resampled_accuracies
from nli.measure.standings import best_constant
from nli.study.sweeps import points_of

Curve = Mapping[float, str]  # value -> experiment


def measure_sweeps(study: Mapping[str, Any], answers: Mapping[str, Answers], scorers: Mapping[str, str]) -> dict:
    """Every sweep of the resolved study, by name: see `measure_sweep`."""
    sweeps = study.get("sweeps") or {}
    return {name: measure_sweep(name, sweep, study["experiments"], answers, scorers) for name, sweep in sweeps.items()}


def measure_sweep(
    name: str,
    sweep: Mapping[str, Any],
    experiments: Mapping[str, Any],
    answers: Mapping[str, Answers],
    scorers: Mapping[str, str],
) -> dict[str, Any]:
    """One sweep.

    Returns:
        what the config says of it; n, the pairs that every point answered; chance, the best constant answer on them;
        curves, {experiment: [its points]}; crossings, one for each pair of curves that can be compared.
    """
    curves = {
        base: {value: key for value, key in points_of(name, sweep, base, experiments[base]).items() if key in answers}
        for base in sweep["experiments"]
    }
    keys = dict.fromkeys(key for curve in curves.values() for key in curve.values())
    found = {key: frames_of(answers[key], sweep["split"], scorers[key]) for key in keys}
    common = common_pairs(frame for frames in found.values() for frame in frames.values())
    shared = {key: {seed: frame.loc[common] for seed, frame in frames.items()} for key, frames in found.items()}
    found = shared if len(common) else {key: {} for key in keys}
    every = [(key, frame) for key, frames in found.items() for frame in frames.values()]
    require_same_gold(every)
    return {
        **{key: sweep[key] for key in ("title", "question", "key", "split", "log")},
        "n": len(common),
        "chance": best_constant([frame for _, frame in every[:1]]),
        "curves": {
            base: [measure_point(value, key, found[key], answers[key]) for value, key in curve.items()]
            for base, curve in curves.items()
        },
        "crossings": measure_crossings(curves, found, sweep["log"]),
    }


def measure_point(value: float, key: str, frames: Frames, left: Answers) -> dict[str, Any]:
    """One point of a curve, as a mean over its seeds; without scores if it has no answers."""
    point = {"value": value, "experiment": key, "status": left.status, "problem": left.problem}
    if not frames:
        return {**point, "accuracy": None, "interval": None, "seeds": None}
    scores = scores_of(frames, parsed_only=False)
    by_seed = {str(seed): scores_of({seed: frame}, parsed_only=False)["accuracy"] for seed, frame in frames.items()}
    return {
        **point,
        "accuracy": scores["accuracy"],
        "interval": scores["clustered_interval"],
        "seeds": spread(by_seed),
    }


def measure_crossings(curves: Mapping[str, Curve], found: Mapping[str, Frames], log: bool) -> list[dict[str, Any]]:
    """For each pair of curves, which is above at the last value of both, and from which value on it is.

    Returns:
        leader and other, experiments; at, the value from which the leader stays above (None: at every value of both);
        interval of it, 95%, whose ends may be "below" all values of both or "beyond" them; throughout and behind,
        shares of the resamples in which the leader is above at every value, and in which it is not above at the last.
        A pair of curves that are level at the last value, or share fewer than two values' width, is left out.
    """
    answered = {base: {v: key for v, key in curve.items() if found[key]} for base, curve in curves.items()}
    resampled, means = {}, {}
    for key in {key for curve in answered.values() for key in curve.values()}:
        right, _, premises = arrays(found[key])
        resampled[key], means[key] = resampled_accuracies(right, premises), np.array([right.mean()])
    crossings = []
    for pair in combinations(answered, 2):
        ends = [(min(answered[base]), max(answered[base])) for base in pair if answered[base]]
        low, high = max((e[0] for e in ends), default=0.0), min((e[1] for e in ends), default=0.0)
        if len(ends) < 2 or low >= high:
            continue
        knots = sorted({v for base in pair for v in answered[base] if low <= v <= high})
        gap = np.subtract(*(heights(answered[base], means, knots, log) for base in pair))[0, -1]
        if gap:
            leader, other = pair if gap > 0 else pair[::-1]
            crossings.append(crossing(leader, other, answered, means, resampled, knots, log))
    return crossings


def crossing(
    leader: str,
    other: str,
    curves: Mapping[str, Curve],
    means: Mapping[str, np.ndarray],
    resampled: Mapping[str, np.ndarray],
    knots: list[float],
    log: bool,
) -> dict[str, Any]:
    """One entry of `measure_crossings`."""

    def start(accuracies: Mapping[str, np.ndarray]) -> np.ndarray:
        return lead_from(*(heights(curves[base], accuracies, knots, log) for base in (leader, other)), knots, log)

    (at,), starts = start(means), start(resampled)
    ends = {-math.inf: "below", math.inf: "beyond"}
    return {
        "leader": leader,
        "other": other,
        "at": None if at == -math.inf else float(at),
        "interval": [ends.get(end, end) for end in percentile_interval(starts)],
        "throughout": float((starts == -math.inf).mean()),
        "behind": float((starts == math.inf).mean()),
    }


def heights(curve: Curve, accuracies: Mapping[str, np.ndarray], knots: list[float], log: bool) -> np.ndarray:
    """A curve's accuracies at some values between its own, (resamples, knots)."""
    own = np.array([accuracies[key] for key in curve.values()])  # (values, resamples)
    at, places = axis(knots, log), axis(list(curve), log)
    return np.array([np.interp(at, places, column) for column in own.T])


def axis(values: list[float], log: bool) -> np.ndarray:
    return np.log(values) if log else np.asarray(values, dtype=float)


def lead_from(first: np.ndarray, second: np.ndarray, knots: list[float], log: bool) -> np.ndarray:
    """The value from which the first curve stays above the second up to the last knot, in each resample.

    Args:
        first, second: accuracies, (resamples, knots).

    Returns:
        (resamples,): -inf where it is above at every knot, inf where it is not above at the last.
    """
    gap, places = first - second, axis(knots, log)
    below = gap <= 0
    last = gap.shape[1] - 1 - below[:, ::-1].argmax(axis=1)  # the last knot at which it is not above
    after = np.minimum(last + 1, gap.shape[1] - 1)
    rows = np.arange(len(gap))
    rise = gap[rows, after] - gap[rows, last]
    share = np.divide(-gap[rows, last], rise, out=np.zeros(len(gap)), where=rise > 0)
    at = places[last] + (places[after] - places[last]) * share
    at = np.exp(at) if log else at
    return np.where(~below.any(axis=1), -np.inf, np.where(below[:, -1], np.inf, at))
