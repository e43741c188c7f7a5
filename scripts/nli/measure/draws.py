"""How much the draws of worked examples in one run differ; `nli.data.draws` assigns pairs to draws."""

from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import chi2_contingency

from nli.data.draws import assign_draws


def score_draws(frame: pd.DataFrame, draws: int, seed: int) -> dict[str, dict[str, dict[str, Any]]]:
    """The scores of each draw of examples, {split: {scorer: {n, accuracy, p_value}}}; {} for a single draw.

    n and accuracy (strict) are lists with one entry per draw. Each draw answers different pairs, so some spread is due
    to chance: `p_value` is from the chi-squared test that all draws are right equally often (None if no answer or every
    answer is right).

    Args:
        frame: predictions of one run, every split and scorer in the order of the data.
        seed: the run's.
    """
    found: dict[str, dict[str, dict[str, Any]]] = {}
    if draws == 1:
        return found
    for (split, scorer), rows in frame.groupby(["split", "scorer"], sort=False):
        right = (rows["pred"] == rows["gold"]).to_numpy(dtype=bool)
        drawn = assign_draws(len(rows), draws, seed)
        n = np.bincount(drawn, minlength=draws)
        hits = np.bincount(drawn, weights=right, minlength=draws).astype(int)
        found.setdefault(str(split), {})[str(scorer)] = {
            "n": n.tolist(),
            "accuracy": [float(hit / total) if total else None for hit, total in zip(hits, n, strict=True)],
            "p_value": equality(hits, n),
        }
    return found


def equality(hits: np.ndarray, n: np.ndarray) -> float | None:
    """p-value of the chi-squared test that several shares are equal; None if all are 0, all are 1 or one is empty."""
    counts = np.stack([hits, n - hits])
    if not counts.sum(axis=1).all() or not n.all():
        return None
    return float(chi2_contingency(counts, correction=False).pvalue)
