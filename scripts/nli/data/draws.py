"""Assigns each pair to a draw of worked examples, so that several draws cost no more than one."""

import numpy as np


def assign_draws(n: int, draws: int, seed: int) -> np.ndarray:
    """The draw, 0 to draws - 1, of each of n pairs: (n,) integers, divided evenly and at random.

    At random because the data is ordered: MultiNLI's hypotheses of one premise, for example, are one of each class.
    Every experiment with the same number of draws gets the same assignment.
    """
    return np.random.default_rng(seed).permutation(n) % draws
