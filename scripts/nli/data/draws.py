"""Which pair is asked after which draw of worked examples: several draws then cost what one does."""

import numpy as np


def assign_draws(n: int, draws: int, seed: int) -> np.ndarray:
    """The draw, 0 to draws - 1, of each of n pairs: (n,) integers, shared out evenly and at random.

    At random, since data come in an order: MultiNLI's hypotheses of one premise, say, are one of each class. The same
    for every experiment with as many draws, so that a draw's pairs are, too.
    """
    return np.random.default_rng(seed).permutation(n) % draws
