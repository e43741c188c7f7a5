"""Estimates and comparisons that account for rows that are not independent.

Three rows of MultiNLI share a premise, and a model trained with another seed answers differently. A bootstrap over
premises (and seeds, if there are several) gives the variance of a mean. The design effect is the ratio of that
variance to the variance of as many independent rows. Each count is divided by it, so that the interval and the test
for independent rows (`paired`) hold for dependent rows too (Korn and Graubard 1998, with their correction for few
units).
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from scipy.stats import t

from nli.measure.paired import LEVEL, difference_interval, mcnemar, wilson_interval

RESAMPLES = 2000  # gives the standard error to within some 1.6%
SEED = 20180618  # for the bootstrap
PART = 2**23  # how many counts of the bootstrap are floating-point numbers at a time: 32 MB


def estimate(hits: np.ndarray, premises: np.ndarray, kept: np.ndarray | None = None) -> dict[str, Any]:
    """A share, such as an accuracy, with its intervals.

    Args:
        hits: bool (seeds, rows), such as whether each row was answered correctly.
        premises: int (rows,), the premise of each row.
        kept: bool (seeds, rows), which rows count; None: all.

    Returns:
        n, the rows per seed (their mean if seeds differ); value, the mean over seeds (None without rows); interval,
        as if rows were independent; design_effect; clustered_interval, which accounts for dependence. Intervals are
        95%.
    """
    kept = np.ones_like(hits) if kept is None else kept
    n = float(kept.sum(axis=1).mean())
    if not kept.any():
        empty = dict.fromkeys(("value", "interval", "design_effect", "clustered_interval"))
        return {"n": 0, **empty}
    value = float(seed_means(hits, kept).mean())
    effect = design_effect(hits, kept, premises)
    return {
        "n": whole(n),
        "value": value,
        "interval": wilson_interval(value * n, n),
        "design_effect": effect,
        "clustered_interval": wilson_interval(value * n / effect, n / effect),
    }


def compare(
    first: np.ndarray,
    second: np.ndarray,
    premises: np.ndarray,
    kept: np.ndarray | None = None,
    intervals: bool = True,
) -> dict[str, Any]:
    """How much more often the second method is right than the first, on the same rows.

    Args:
        first, second: bool (seeds, rows), whether each answer was right; index s is the same seed in both.
        premises: int (rows,), the premise of each row.
        kept: bool (seeds, rows), which rows count; None: all.
        intervals: False skips the intervals, which take longest.

    Returns:
        n, lost (only the first is right), gained (only the second is), each a mean over seeds; difference, second minus
        first; interval and p as if rows were independent; design_effect; clustered_interval and clustered_p, which
        account for dependence. Intervals are 95%; p is McNemar's mid-p, two-sided.
    """
    if first.shape != second.shape or not first.size:
        raise ValueError(f"two methods must be compared on the same rows, got {first.shape} and {second.shape}")
    kept = np.ones_like(first) if kept is None else kept
    change = second.astype(float) - first
    n = float(kept.sum(axis=1).mean())
    difference = float(seed_means(change, kept).mean())
    lost, gained = (n * float(seed_means(change == sign, kept).mean()) for sign in (-1, 1))
    effect = design_effect(change, kept, premises)
    found = {
        "n": whole(n),
        "lost": whole(lost),
        "gained": whole(gained),
        "difference": difference,
        "p": mcnemar(lost, gained),
        "design_effect": effect,
        "clustered_p": mcnemar(lost / effect, gained / effect),
    }
    if intervals:
        found["interval"] = found["clustered_interval"] = difference_interval(gained, lost, n)
        if effect != 1:
            found["clustered_interval"] = difference_interval(gained / effect, lost / effect, n / effect)
    return found


def whole(count: float) -> float | int:
    """A count as an integer if it is one up to rounding, since a mean over seeds may not be."""
    return round(count) if abs(count - round(count)) < 1e-6 else count


def seed_means(values: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """The mean of each seed's values over the rows that it keeps, (seeds,), without seeds that keep none.

    Args:
        values: (seeds, rows).
        kept: bool (seeds, rows).
    """
    counted = kept.any(axis=1)
    return (values * kept)[counted].sum(axis=1) / kept[counted].sum(axis=1)


def design_effect(values: np.ndarray, kept: np.ndarray, premises: np.ndarray) -> float:
    """The design effect: the number of rows per seed divided by the number of independent rows with equal information.

    Above 1, rows of a premise, or answers of a seed, are alike. It is never below the value for independent rows, 1
    over the number of seeds: if each premise has one row of each label, constant answers vary less or not at all, and
    no claim may rest on that. Rows of a single premise count as one.
    """
    n, seeds = float(kept.sum(axis=1).mean()), len(values)
    mean = seed_means(values, kept).mean()
    plain = (seed_means(values**2, kept).mean() - mean**2) / n
    if len(np.unique(premises[kept.any(axis=0)])) < 2:
        return n
    of_premises, of_seeds, count = bootstrap_variances(values, kept, premises)
    if plain < 1e-15 or of_premises + of_seeds < 1e-9 * plain:
        return 1.0
    few = (student(degrees(of_premises, count, of_seeds, seeds)) / student(max(n - 1, 1))) ** 2
    return max(1 / seeds, few * (of_premises + of_seeds) / plain)


def degrees(of_premises: float, premises: int, of_seeds: float, seeds: int) -> float:
    """Degrees of freedom of the sum of the premises' and the seeds' variances (Satterthwaite 1946)."""
    parts = of_premises**2 / (premises - 1) + (of_seeds**2 / (seeds - 1) if seeds > 1 else 0.0)
    return (of_premises + of_seeds) ** 2 / parts if parts else float(premises - 1)


def student(freedom: float) -> float:
    return float(t.ppf(1 - LEVEL / 2, freedom))


def bootstrap_variances(values: np.ndarray, kept: np.ndarray, premises: np.ndarray) -> tuple[float, float, int]:
    """Variance of the mean over seeds from resampling premises, the increase from resampling seeds too, and premises.

    Seeds and premises are resampled independently of each other (Owen 2007, the pigeonhole bootstrap), with
    replacement, one fewer than their number, which makes the variance unbiased for small numbers (Rao and Wu 1988).
    """
    means, count = resampled_means(values, kept, premises)
    seeds = len(values)
    same = weighted_means(means, np.ones((1, seeds))).var(ddof=1)
    both = weighted_means(means, draws(seeds, "seeds")).var(ddof=1) if seeds > 1 else same
    return float(same), float(max(0.0, both - same)), count


def resampled_means(values: np.ndarray, kept: np.ndarray, premises: np.ndarray) -> tuple[np.ndarray, int]:
    """The mean of each seed's values in each resample of premises, (RESAMPLES, seeds), and the number of premises.

    NaN where a resample has no row of a seed. Two calls with the same premises have the same resamples.
    """
    _, codes = np.unique(premises, return_inverse=True)
    count = int(codes.max()) + 1
    rows = [np.bincount(codes, weights=row, minlength=count) for row in (*(values * kept), *kept.astype(float))]
    sums_of_premises, drawn = np.array(rows, dtype=np.float32).T, draws(count, "premises")
    parts = [drawn[part].astype(np.float32) @ sums_of_premises for part in parts_of_resamples(count)]
    sums, counts = np.split(np.concatenate(parts).astype(float), 2, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(counts > 0, sums / counts, np.nan), count


def weighted_means(means: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The weighted mean over seeds of `means`, (resamples, seeds), without seeds and resamples that have no rows."""
    weights = weights * ~np.isnan(means)
    known = weights.sum(axis=1) > 0
    return (weights * np.nan_to_num(means))[known].sum(axis=1) / weights[known].sum(axis=1)


@lru_cache(maxsize=4)
def draws(count: int, what: str) -> np.ndarray:
    """How often each of `count` units is drawn, uint8 (RESAMPLES, count); the same for every call."""
    streams = np.random.default_rng([SEED, count, ("premises", "seeds").index(what)])
    drawn = np.empty((RESAMPLES, count), dtype=np.uint8)  # one of many units is never drawn 256 times
    for part in parts_of_resamples(count):
        drawn[part] = streams.multinomial(count - 1, np.full(count, 1 / count), size=len(drawn[part]))
    return drawn


def parts_of_resamples(count: int) -> Iterator[slice]:
    """The resamples in parts of at most PART numbers, for `count` units: 400,000 pairs need little memory, too."""
    size = max(1, PART // count)
    return (slice(start, start + size) for start in range(0, RESAMPLES, size))


def codes_of(premises: Sequence[str]) -> np.ndarray:
    """An integer for each distinct premise, (rows,)."""
    return np.unique(np.asarray(premises, dtype=str), return_inverse=True)[1]
