"""Scoring a data set with any model that returns class logits."""

from collections.abc import Callable

import numpy as np
import torch
from datasets import Dataset
from torch import nn


@torch.no_grad()
def classify(model: nn.Module, dataset: Dataset, collate: Callable, batch_size: int) -> np.ndarray:
    """Log-probabilities of the classes for every example.

    Examples are batched by length, to reduce padding; the result has the data set's order.

    Args:
        model: takes the collated batch (without labels), returns `.logits`, (batch, classes).
        dataset: tokenized examples.
        collate: pads a list of examples to tensors.

    Returns:
        (examples, classes), float64.
    """
    model.eval()
    target = next(model.parameters()).device
    order = np.argsort([len(ids) for ids in dataset["input_ids"]], kind="stable")
    scores = np.empty((0, 0))
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        batch = collate([dataset[int(index)] for index in chosen]).to(target)
        batch.pop("labels", None)
        found = torch.log_softmax(model(**batch).logits.double(), dim=-1).cpu().numpy()
        scores = scores if len(scores) else np.empty((len(dataset), found.shape[1]))
        scores[chosen] = found
    return scores
