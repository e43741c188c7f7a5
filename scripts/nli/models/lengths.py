"""Computes a padded batch in parts of similar length, so that less padding is computed. The mean loss is the same.

MultiNLI's pairs have 40 tokens on average, but the longest of 16 random ones has 80, and the original padded to 128.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from nli.models.training import StudyTrainer

# What a forward and backward pass costs on a CPU besides its tokens, in floating-point operations: a fixed cost, and
# for each trainable parameter the memory traffic of one more gradient to add. tests/bench_training.py shows the result.
CALL, GRADIENT = 6e8, 120


def call_in_tokens(model: nn.Module) -> float:
    """How many tokens cost as much as one more pass through the model: many for a tiny model, few for a large one."""
    embedded = {id(p) for m in model.modules() if isinstance(m, nn.Embedding) for p in m.parameters()}
    size = sum(p.numel() for p in model.parameters() if id(p) not in embedded)
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return (CALL + GRADIENT * trainable) / (6 * max(size, 1))  # Kaplan et al. 2020: 6 per parameter and token


def partition(lengths: Sequence[int], call: float) -> list[list[int]]:
    """The rows of a batch in parts with the least cost: for each part, rows x longest + `call`, in tokens.

    Args:
        lengths: tokens of each row.
        call: the fixed cost of a part.

    Returns:
        positions in `lengths`, each once; parts by increasing length, equal costs with fewer parts.
    """
    order = sorted(range(len(lengths)), key=lambda row: (lengths[row], row))
    best: list[tuple[float, int, int]] = [(0.0, 0, 0)]  # cost of the shortest rows, number of parts, start of the last
    for end in range(1, len(order) + 1):
        longest = lengths[order[end - 1]]
        options = ((best[s][0] + (end - s) * longest + call, best[s][1] + 1, s) for s in range(end))
        best.append(min(options))
    parts, end = [], len(order)
    while end:
        start = best[end][2]
        parts.append(order[start:end])
        end = start
    return parts[::-1]


def parts_of(batch: Mapping[str, torch.Tensor], call: float) -> list[dict[str, torch.Tensor]]:
    """The batch in parts without the padding that all rows of a part share.

    Args:
        batch: `attention_mask` and other tensors (rows, tokens), padded on the right; tensors (rows,) such as labels.
    """
    mask = batch["attention_mask"]
    lengths = mask.sum(dim=1).tolist()
    found = []
    for rows in partition(lengths, call):
        index, longest = torch.tensor(rows, device=mask.device), max(lengths[row] for row in rows)
        part = {name: tensor.index_select(0, index) for name, tensor in batch.items()}
        found.append({name: t[:, :longest] if t.shape[1:] == mask.shape[1:] else t for name, t in part.items()})
    return found


class EncoderTrainer(StudyTrainer):
    """The study's trainer, which can compute a batch in parts of similar length: the same mean over the same examples.

    Attributes:
        call: the cost of a part, in tokens (`call_in_tokens`).
    """

    call = 0.0

    def fast_loss(
        self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: torch.Tensor | int | None
    ) -> torch.Tensor:
        """The mean of the parts' losses, weighted by their rows."""
        rows = len(inputs["labels"])
        losses = [self.plain_loss(model, part) * len(part["labels"]) / rows for part in parts_of(inputs, self.call)]
        return torch.stack(losses).sum()
