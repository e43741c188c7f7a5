"""One experiment in two runs of the study: how much its accuracy differs, on the same pairs if both answered them.

Paired: the test of `nli.measure.clustered`. Otherwise the pairs count as two independent samples: the interval is
Newcombe's (1998, Statistics in Medicine 17, 873-890, method 10), made of the two accuracies' own intervals, and p is
the level at which it touches zero.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.stats import norm
from statsmodels.stats.proportion import proportion_confint

from nli.measure.answers import Frames, arrays, common_pairs
from nli.measure.clustered import compare, estimate
from nli.measure.paired import LEVEL

LEAST_SHARED = 0.5  # of the smaller side's pairs; with fewer in common, each side is counted on all of its own
LARGEST_Z = 37.0  # the normal distribution's tail is then some 1e-300


def accuracy_of(frames: Frames) -> dict[str, Any]:
    """n, accuracy, the interval that accounts for shared premises, and the seeds."""
    right, _, premises = arrays(frames)
    found = estimate(right, premises)
    return {
        "n": found["n"],
        "accuracy": found["value"],
        "interval": found["clustered_interval"],
        "seeds": sorted(frames),
    }


def compare_paired(first: Frames, second: Frames) -> dict[str, Any] | None:
    """The second run minus the first on the pairs that both answered; None if these are not the same pairs.

    Seeds that both have are compared with each other; without any, seeds are paired in order.

    Returns:
        n, difference, clustered_interval and clustered_p of `clustered.compare`; relabelled, the share of answers whose
        label differs; seeds, the pairs of seeds.
    """
    common = same_pairs(next(iter(first.values())), next(iter(second.values())))
    if common is None:
        return None
    both = sorted(set(first) & set(second))
    seeds = list(zip(both, both, strict=True)) or list(zip(sorted(first), sorted(second), strict=False))
    sides = [
        {i: frames[pair[side]].loc[common] for i, pair in enumerate(seeds)}
        for side, frames in enumerate((first, second))
    ]
    (right, _, premises), (other, _, _) = map(arrays, sides)
    found = compare(right, other, premises)
    labels = [np.array([frame["pred"].fillna("") for frame in side.values()]) for side in sides]
    kept = ("n", "difference", "clustered_interval", "clustered_p")
    return {**{key: found[key] for key in kept}, "relabelled": float((labels[0] != labels[1]).mean()), "seeds": seeds}


def same_pairs(first: pd.DataFrame, second: pd.DataFrame) -> pd.Index | None:
    """The pairs that both frames have, by id; None if they are few, or if an id has another label or premise."""
    common = common_pairs([first, second])
    if not len(common) or len(common) < LEAST_SHARED * min(len(first), len(second)):
        return None
    columns = ["gold", "premise_id"]
    alike = (first.loc[common, columns].to_numpy() == second.loc[common, columns].to_numpy()).all()
    return common if alike else None


def compare_apart(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """The second accuracy minus the first as of two independent samples.

    Args:
        first, second: `accuracy` and `interval`, Wilson's at 95%.
    """
    sides = [(side["accuracy"], rows_behind(side["accuracy"], side["interval"])) for side in (first, second)]
    return {
        "n": None,
        "difference": second["accuracy"] - first["accuracy"],
        "clustered_interval": list(newcombe(*sides, float(norm.isf(LEVEL / 2)))),
        "clustered_p": touching_level(*sides),
        "relabelled": None,
        "seeds": None,
    }


def rows_behind(share: float, interval: tuple[float, float] | list[float]) -> float:
    """The number of independent rows whose 95% Wilson interval has this width."""
    width, spread, z = interval[1] - interval[0], share * (1 - share), norm.isf(LEVEL / 2)
    a, b, c = width**2 - 1, 2 * width**2 - 4 * spread, width**2  # of k = z²/n
    return float(z**2 / ((-b - np.sqrt(b**2 - 4 * a * c)) / (2 * a)))


def newcombe(first: tuple[float, float], second: tuple[float, float], z: float) -> tuple[float, float]:
    """The interval of second minus first, each a share and its number of rows, at `z` standard errors."""
    alpha = 2 * norm.sf(z)
    (p, low, high), (q, lower, upper) = (
        (share, *proportion_confint(share * n, n, alpha=alpha, method="wilson")) for share, n in (first, second)
    )
    return (
        float(q - p - np.hypot(q - lower, high - p)),
        float(q - p + np.hypot(upper - q, p - low)),
    )


def touching_level(first: tuple[float, float], second: tuple[float, float]) -> float:
    """p: the level at which `newcombe` touches zero."""
    if first[0] == second[0]:
        return 1.0
    nearer = 0 if second[0] > first[0] else 1

    def limit(z: float) -> float:
        return newcombe(first, second, z)[nearer]

    z = LARGEST_Z if limit(LARGEST_Z) * limit(1e-9) > 0 else brentq(limit, 1e-9, LARGEST_Z)
    return float(2 * norm.sf(z))
