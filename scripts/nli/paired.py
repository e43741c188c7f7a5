"""Two methods on the same pairs: the difference of their accuracies, its interval, and McNemar's exact test.

A pair on which both are right or both wrong says nothing of the difference; all evidence is in the discordant pairs.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.stats import binomtest, norm
from statsmodels.stats.multitest import multipletests

LEVEL = 0.05  # of every test; intervals hold 1 - LEVEL


def compare(first: np.ndarray, second: np.ndarray) -> dict[str, Any]:
    """How the second method stands beside the first.

    Args:
        first, second: bool (n,), whether each answered the same n pairs right.

    Returns:
        n; lost (only the first is right), gained (only the second is); difference of the accuracies, second minus
        first; its interval (Tango 1998); p (McNemar, exact, two-sided).
    """
    if len(first) != len(second) or len(first) == 0:
        raise ValueError(f"two methods are compared on the same pairs, got {len(first)} and {len(second)}")
    lost, gained, n = int((first & ~second).sum()), int((second & ~first).sum()), len(first)
    return {
        "n": n,
        "lost": lost,
        "gained": gained,
        "difference": (gained - lost) / n,
        "interval": tango_interval(gained, lost, n),
        "p": mcnemar_p(lost, gained),
    }


def mcnemar_p(lost: int, gained: int) -> float:
    """Two-sided exact p of McNemar's test: a discordant pair falls to either side like a fair coin (1 for none)."""
    return float(binomtest(gained, lost + gained, 0.5).pvalue) if lost + gained else 1.0


def tango_interval(gained: int, lost: int, n: int) -> list[float]:
    """Interval of a difference of paired proportions, (gained - lost) / n, as [low, high].

    Tango's score interval (Statistics in Medicine 17, 1998, 891-908): the differences that the score test does not
    reject, a test which at zero is McNemar's. statsmodels and SciPy have no interval for paired proportions.
    """
    difference, z, edge = (gained - lost) / n, norm.isf(LEVEL / 2), 1e-12

    def score(delta: float) -> float:
        """The standardised distance of the data from a true difference delta."""
        linear = -gained - lost + (2 * n - gained + lost) * delta
        root = math.sqrt(max(0.0, linear**2 + 8 * n * lost * delta * (1 - delta)))
        variance = n * ((root - linear) / (2 * n) + delta * (1 - delta))
        return (gained - lost - n * delta) / math.sqrt(variance) if variance > 0 else 0.0

    low = -1.0 if difference <= -1 else brentq(lambda d: score(d) - z, -1 + edge, difference)
    high = 1.0 if difference >= 1 else brentq(lambda d: score(d) + z, difference, 1 - edge)
    return [float(low), float(high)]


def holm(values: Sequence[float]) -> list[float]:
    """p-values adjusted for their number (Holm 1979), in their order."""
    if len(values) < 2:
        return list(values)
    return [float(p) for p in multipletests(values, alpha=LEVEL, method="holm")[1]]
