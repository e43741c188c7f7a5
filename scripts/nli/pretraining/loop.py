"""What both pretrainings share: batches of about equal length, padding, and the optimization."""

import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import torch

from nli.base.errors import StudyError


def grouped_batches(
    premises: pd.Series, lengths: np.ndarray, batch_size: int, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """Indices of batches of texts of about equal length, in random order, in endless epochs.

    Pairs that share a premise are in the same batch, so little but the hypotheses' relation to it distinguishes their
    labels. (In MultiNLI, too, a premise has a hypothesis of each label.)
    """
    if len(lengths) < batch_size:
        raise StudyError(
            f"pretraining: the corpus has {len(lengths)} pairs, fewer than a batch of {batch_size}; "
            "give more pairs or a smaller batch_size"
        )
    groups = premises.groupby(premises.to_numpy(), sort=False).ngroup().to_numpy()
    group_lengths = np.bincount(groups, weights=lengths) / np.bincount(groups)
    while True:
        noisy = group_lengths + 2 * rng.random(len(group_lengths))  # different neighbours in every epoch
        order = np.lexsort((groups, noisy[groups]))
        batches = [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
        for i in rng.permutation(len(batches)):
            if len(batches[i]) == batch_size:
                yield batches[i]


def pad(sequences: list[list[int]], pad_id: int) -> torch.Tensor:
    """Token ids [batch, longest], padded on the right."""
    width = max(map(len, sequences))
    return torch.tensor([ids + [pad_id] * (width - len(ids)) for ids in sequences])


def optimise(
    model: torch.nn.Module,
    batches: Iterator[np.ndarray],
    loss_of: Callable[[np.ndarray], tuple[torch.Tensor, dict[str, float]]],
    recipe: dict[str, Any],
) -> None:
    """Train with AdamW: linear warmup, plateau, and linear decay over the last `cooldown_fraction` of the steps.

    Args:
        loss_of: rows of the corpus -> (loss, figures to print); the figures' means are printed twenty times.

    Raises:
        StudyError: the loss became NaN or infinite.
    """
    groups = [
        {"params": [p for p in model.parameters() if p.ndim > 1], "weight_decay": recipe["weight_decay"]},
        {"params": [p for p in model.parameters() if p.ndim <= 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=recipe["learning_rate"], betas=(0.9, 0.98), fused=True)
    steps = recipe["steps"]
    warmup = max(1, round(steps * recipe["warmup_fraction"]))

    def scale(step: int) -> float:
        return min((step + 1) / warmup, 1.0, (steps - step) / (recipe["cooldown_fraction"] * steps))

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, scale)
    model.train()
    started, every, seen = time.perf_counter(), max(1, steps // 20), defaultdict(list)
    for step in range(1, steps + 1):
        loss, figures = loss_of(next(batches))
        if not math.isfinite(value := loss.item()):
            raise StudyError(
                f"pretraining diverged: the loss is {value} at step {step}; lower the recipe's learning_rate"
            )
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)
        for name, value in figures.items():
            seen[name].append(value)
        if step % every == 0 or step == steps:
            text = ", ".join(f"{name} {np.mean(values):.3f}" for name, values in seen.items())
            print(f"step {step}/{steps}: {text}, {time.perf_counter() - started:.0f} s", flush=True)
            seen.clear()
    model.eval()
