"""How far several draws of worked examples in one run differ; `nli.data.draws` says which pair is asked after which."""

from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import chi2_contingency

from nli.data.draws import assign_draws


def score_draws(frame: pd.DataFrame, draws: int, seed: int) -> dict[str, dict[str, dict[str, Any]]]:
    """What each draw's examples score, {split: {scorer: {n, accuracy, p_value}}}; {} for a single draw.

    n and accuracy (strict) are lists with an entry for each draw. Each draw has other pairs to answer, so that some
    spread is chance: `p_value` is the chi-squared test's that all draws are right equally often (None where no answer
    or every one is right).

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
    """p-value of the chi-squared test that several shares are one; None where all are 0, all are 1 or one is empty."""
    counts = np.stack([hits, n - hits])
    if not counts.sum(axis=1).all() or not n.all():
        return None
    return float(chi2_contingency(counts, correction=False).pvalue)
