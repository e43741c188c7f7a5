"""Intervals and tests for proportions and their differences on the same pairs, which always agree.

Every interval is the set of values that its own test does not reject, so an interval excludes zero exactly if p is
below the level. Counts may be fractions: rows that share a premise carry less evidence than their number suggests, and
dividing the counts by the design effect (`clustered`) gives the interval and the test for the remaining evidence (Korn
and Graubard 1998, Survey Methodology 24, 193-201).
"""

from collections.abc import Callable, Sequence

import numpy as np
from scipy.optimize import brentq
from scipy.special import betainc, betaincinv
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

LEVEL = 0.05  # of every test; intervals have confidence 1 - LEVEL
# Quadrature in `difference_interval`: nodes in (0, 1), dense at both ends, where a limit can be, and their weights.
_PLACES = (np.arange(400) + 0.5) / 400
NODES, WEIGHTS = _PLACES**2 * (3 - 2 * _PLACES), 6 * _PLACES * (1 - _PLACES) / 400


def wilson_interval(right: float, n: float) -> list[float]:
    """95% interval of a proportion (Wilson 1927), as [low, high]."""
    low, high = proportion_confint(right, n, alpha=LEVEL, method="wilson")
    return [float(low), float(high)]


def mid_p(right: float, n: float, share: float) -> float:
    """Two-sided mid-p of `right` of `n` under a true share: twice the smaller tail, the observed count halved."""
    below = confidence(right, n, share)
    return min(1.0, 2 * min(below, 1 - below)) if n else 1.0


def mid_p_interval(right: float, n: float) -> list[float]:
    """95% interval of a proportion, as [low, high]: the shares that `mid_p` does not reject (Lancaster 1961)."""

    def limit(level: float) -> float:
        return brentq(lambda share: confidence(right, n, share) - level, 0.0, 1.0)

    return [0.0 if right <= 0 else limit(LEVEL / 2), 1.0 if right >= n else limit(1 - LEVEL / 2)]


def confidence(right: float, n: float, share: float) -> float:
    """The mid-p confidence distribution of a share: P(X > right) + P(X = right) / 2 for X binomial(n, share).

    Either tail is a Beta distribution's, which holds for fractional counts too.
    """
    return float(_at_least(right, n - right + 1, share) + _at_least(right + 1, n - right, share)) / 2


def _at_least(a: float, b: float, share: float | np.ndarray) -> np.ndarray:
    """Distribution function of Beta(a, b); of a point mass at 0 if a is 0, and at 1 if b is 0."""
    share = np.clip(share, 0.0, 1.0)
    if a <= 0:
        return np.ones_like(share)
    return np.where(share >= 1, 1.0, 0.0) if b <= 0 else betainc(a, b, share)


def mcnemar(lost: float, gained: float) -> float:
    """Two-sided mid-p of McNemar's test (Fagerland et al. 2013): a discordant pair is equally likely on either side."""
    return mid_p(gained, lost + gained, 0.5)


def difference_interval(gained: float, lost: float, n: float) -> list[float]:
    """95% interval of a difference of paired proportions, (gained - lost) / n, as [low, high].

    The difference is the share of discordant pairs times (2 b - 1), where b is the share of them that were gained.
    Their mid-p confidence distributions are melded as in Fay and Lumbard (Statistics in Medicine 40, 2021, 1147-1159),
    so the interval contains zero exactly if `mcnemar` does not reject it, and has a width even without discordant
    pairs.
    """
    return [_lower_limit(gained, lost, n), -_lower_limit(lost, gained, n)]


def _lower_limit(gained: float, lost: float, n: float) -> float:
    """The LEVEL / 2 quantile of the melded distribution of the difference."""
    discordant, tail = gained + lost, LEVEL / 2
    negative = confidence(gained, discordant, 0.5) if discordant else 0.5
    nodes = _slopes(gained, lost, negative=negative >= tail)

    def spread(size: float) -> float:
        """Mass between zero and a difference of this size, on the side with the limit."""
        return float(sum(masses @ _share_up_to(discordant, n, size / slopes) for masses, slopes in nodes))

    if negative >= tail:  # on the negative side, the part beyond the limit has mass `tail`
        return -_solve(lambda size: negative - spread(size) - tail)
    return _solve(lambda size: negative + spread(size) - tail)


def _slopes(gained: float, lost: float, negative: bool) -> list[tuple[np.ndarray, np.ndarray]]:
    """(masses, |2 b - 1|) at the nodes, for the part of b's distribution on one side of 1/2, in two halves."""
    found = []
    for a, b in ((gained, lost + 1), (gained + 1, lost)):
        if a <= 0 or b <= 0:  # b is 0 or 1
            found.append((np.array([0.5 * ((a <= 0) == negative)]), np.ones(1)))
            continue
        middle = float(betainc(a, b, 0.5))
        start, mass = (0.0, middle) if negative else (middle, 1 - middle)
        quantiles = betaincinv(a, b, start + mass * NODES)
        found.append((0.5 * mass * WEIGHTS, np.maximum(np.abs(2 * quantiles - 1), 1e-300)))
    return found


def _share_up_to(discordant: float, n: float, share: np.ndarray) -> np.ndarray:
    """The mid-p confidence distribution of the share of discordant pairs, at many shares."""
    return (_at_least(discordant, n - discordant + 1, share) + _at_least(discordant + 1, n - discordant, share)) / 2


def _solve(function: Callable[[float], float]) -> float:
    """The size in [0, 1] at which a monotone function crosses zero, or an end if it does not."""
    at_zero, at_one = function(0.0), function(1.0)
    if at_zero == 0 or at_zero * at_one > 0:
        return 0.0 if abs(at_zero) <= abs(at_one) else 1.0
    return float(brentq(function, 0.0, 1.0, xtol=1e-9))


def holm(values: Sequence[float]) -> list[float]:
    """p-values adjusted for multiple testing (Holm 1979), in the given order."""
    if len(values) < 2:
        return list(values)
    return [float(p) for p in multipletests(values, alpha=LEVEL, method="holm")[1]]
