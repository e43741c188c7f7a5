"""The multi-bootstrap over seeds and premises (Sellam et al. 2022, arXiv 2106.16163), with percentile intervals.

Seeds and premises are drawn with replacement, independently of each other, and every experiment has the same draws, so
that any statistic of several accuracies has an interval: a difference, or the value at which two curves cross. One
fewer is drawn than there are (as in `nli.measure.clustered`), which makes the variance unbiased for few seeds.
"""

from typing import Any

import numpy as np

from nli.measure.clustered import draws, resampled_means, weighted_means
from nli.measure.paired import LEVEL


def resampled_accuracies(right: np.ndarray, premises: np.ndarray) -> np.ndarray:
    """The accuracy, a mean over seeds, in each resample of seeds and premises: (RESAMPLES,).

    Args:
        right: bool (seeds, rows), whether each answer was right.
        premises: int (rows,), the premise of each row.
    """
    means, _ = resampled_means(right.astype(float), np.ones_like(right), premises)
    seeds = len(right)
    return weighted_means(means, draws(seeds, "seeds") if seeds > 1 else np.ones((1, seeds)))


def percentile_interval(resampled: np.ndarray) -> list[float]:
    """The 95% percentile interval of a resampled statistic, which may be infinite, as [low, high]."""
    ends = np.quantile(resampled, [LEVEL / 2, 1 - LEVEL / 2], method="inverted_cdf")
    return [float(end) for end in ends]


def multi_bootstrap(right: np.ndarray, premises: np.ndarray) -> dict[str, Any]:
    """An accuracy over several seeds with its 95% interval, and where its uncertainty comes from.

    Returns:
        seeds, their number; accuracy; interval; error_of_premises and error_of_seeds, standard errors: of resampling
        premises with every seed in each resample, and what resampling seeds too adds to it.
    """
    means, _ = resampled_means(right.astype(float), np.ones_like(right), premises)
    seeds = len(right)
    of_premises = float(weighted_means(means, np.ones((1, seeds))).var(ddof=1))
    resampled = resampled_accuracies(right, premises)
    return {
        "seeds": seeds,
        "accuracy": float(right.mean()),
        "interval": percentile_interval(resampled),
        "error_of_premises": of_premises**0.5,
        "error_of_seeds": max(0.0, float(resampled.var(ddof=1)) - of_premises) ** 0.5,
    }
