"""The loss of a language model's labels from a few positions' logits at a time.

With a vocabulary of 262,144 the logits of one position take 1 MB, and the usual loss holds several copies of them for
every position of a batch. Here they exist for a part of the positions only. The gradient of the hidden states is
computed along with them, so the backward pass does not compute them again (the idea is Liger Kernel's,
arXiv:2410.10989). The output layer must be frozen, as it is in QLoRA.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

PART = 2**25  # logits held at a time: 128 MiB in float32


class SummedLoss(torch.autograd.Function):
    """The sum of the cross-entropies of all positions, in nats."""

    @staticmethod
    def forward(ctx: Any, hidden: torch.Tensor, weight: torch.Tensor, labels: torch.Tensor, part: int) -> torch.Tensor:
        """Compute the sum and the gradient of `hidden`, in autocast's type where that is on.

        Args:
            hidden: (positions, hidden size).
            weight: (vocabulary, hidden size), of the output layer.
            labels: (positions,), token ids.
            part: logits held at a time; a part is at least one position.
        """
        device = hidden.device.type
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else hidden.dtype
        weight, gradient = weight.to(dtype), torch.empty_like(hidden)
        total = torch.zeros((), dtype=torch.promote_types(hidden.dtype, torch.float32), device=hidden.device)
        rows = max(1, part // len(weight))
        for states, wanted, into in zip(hidden.split(rows), labels.split(rows), gradient.split(rows), strict=True):
            logits = (states.to(dtype) @ weight.T).to(total.dtype)
            scale = logits.logsumexp(dim=-1, keepdim=True)
            total += (scale - logits.gather(1, wanted[:, None])).sum()
            probabilities = logits.sub_(scale).exp_()
            probabilities.scatter_add_(1, wanted[:, None], probabilities.new_full((len(wanted), 1), -1.0))
            into.copy_(probabilities.to(dtype) @ weight)
        ctx.save_for_backward(gradient)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, None, None]:
        """The gradient of `hidden`, times that of the sum."""
        (gradient,) = ctx.saved_tensors
        return gradient * gradients[0].to(gradient.dtype), None, None, None


def summed_loss(hidden: torch.Tensor, head: nn.Linear, labels: torch.Tensor) -> torch.Tensor:
    """The sum of the cross-entropies of `labels` (positions,) after `hidden` (positions, hidden size), in nats."""
    return SummedLoss.apply(hidden, head.weight, labels, PART)


def is_worth_it(model: PreTrainedModel, positions: int) -> bool:
    """Whether so many positions' logits are more than a part, and the output layer is a frozen matrix and no more."""
    head = model.get_output_embeddings()
    frozen = type(head) is nn.Linear and head.bias is None and not head.weight.requires_grad
    capped = getattr(model.config, "final_logit_softcapping", None)
    return frozen and not capped and positions * head.out_features > PART


@contextmanager
def hidden_states_for_logits(model: PreTrainedModel) -> Iterator[nn.Linear]:
    """Within it the model returns hidden states in place of logits; gives the output layer."""
    head = model.get_output_embeddings()
    model.set_output_embeddings(nn.Identity())
    try:
        yield head
    finally:
        model.set_output_embeddings(head)
