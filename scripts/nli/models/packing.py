"""Computes a model's layers on the tokens of a batch alone: rows of different lengths share a line without padding.

MultiNLI's pairs have 40 tokens on average, but the longest of 16 random ones has 80, and the original padded to 128.
Attention does not cross the rows of a line. Of an encoder only the stack of layers works on lines; embeddings and heads
see the batch's rows, so this holds for every method and loss. A decoder gets its texts on lines from the start.
"""

from typing import Any

import torch
from torch import nn
from transformers.models.bert.modeling_bert import BertEncoder
from transformers.models.roberta.modeling_roberta import RobertaEncoder
from transformers.models.xlm_roberta.modeling_xlm_roberta import XLMRobertaEncoder

from nli.models.training_texts import IGNORED

STACKS = (BertEncoder, RobertaEncoder, XLMRobertaEncoder)
LINE = 512  # tokens of a line, or of the longest row: attention grows with the square of it
# With fewer operations saved in a forward pass, packing costs a CPU more than it saves (tests/bench_training.py).
WORTH_PACKING = 2e8


def pack_rows(model: nn.Module, worth: float = WORTH_PACKING) -> bool:
    """Let the layers of `model` compute lines from now on, where that saves `worth` operations in a forward pass.

    Returns:
        whether its layers are of a kind that can; other models stay as they are.
    """
    stacks = [module for module in model.modules() if isinstance(module, STACKS)]
    for stack in stacks:
        if not hasattr(stack, "packing"):
            stack.packing = Packing(stack, worth)
    return bool(stacks)


class Packing:
    """Hooks around a stack of layers: rows become lines before its first layer, and rows again behind its last."""

    def __init__(self, stack: nn.Module, worth: float) -> None:
        self.tokens_worth = worth / (2 * sum(p.numel() for p in stack.parameters()))
        self.rows: tuple[torch.Size, torch.Tensor] | None = None
        stack.register_forward_pre_hook(self.pack, with_kwargs=True)
        stack.layer[-1].register_forward_hook(self.unpack, prepend=True)  # its other hooks expect rows

    def pack(self, stack: nn.Module, args: tuple, kwargs: dict[str, Any]) -> tuple[tuple, dict[str, Any]] | None:
        """Replace hidden states (rows, longest, size) and their mask by those of lines (lines, tokens, size)."""
        self.rows = None
        hidden, mask = args[0], kwargs.get("attention_mask")
        if mask is None or mask.dim() != 4 or kwargs.get("past_key_values") is not None:
            return None  # no padding, or keys that belong to rows
        real = mask[:, 0, 0] if mask.dtype == torch.bool else mask[:, 0, 0] == 0
        source, owner = lines_of(real)
        if real.numel() - source.numel() < self.tokens_worth:
            return None
        self.rows = hidden.shape, source
        lines = hidden.reshape(-1, hidden.shape[-1])[source.clamp(min=0)]
        together = (owner[:, None, :, None] == owner[:, None, None, :]).to(mask.device)
        if mask.dtype != torch.bool:
            together = torch.zeros_like(together, dtype=mask.dtype).masked_fill(~together, torch.finfo(mask.dtype).min)
        return (lines, *args[1:]), {**kwargs, "attention_mask": together}

    def unpack(self, layer: nn.Module, args: tuple, lines: torch.Tensor) -> torch.Tensor:
        """The rows again, (rows, longest, size), with zeros for padding."""
        if self.rows is None:
            return lines
        shape, source = self.rows
        used = source >= 0
        rows = lines.new_zeros(shape).reshape(-1, shape[-1])
        return rows.index_put((source[used],), lines[used]).reshape(shape)


def worth_packing(model: nn.Module, worth: float = WORTH_PACKING) -> float:
    """The number of padding tokens from which on it pays a decoder to leave them out."""
    head = model.get_output_embeddings()
    linear = [module for module in model.modules() if isinstance(module, nn.Linear) and module is not head]
    return worth / (2 * sum(layer.in_features * layer.out_features for layer in linear))  # 4-bit weights are packed


def texts_on_lines(batch: dict[str, torch.Tensor], tokens_worth: float) -> dict[str, torch.Tensor] | None:
    """A decoder's batch on lines, if it pays.

    Where positions begin again, transformers' masks keep texts apart, without an attention mask and without a cache.

    Args:
        batch: input_ids, attention_mask and next_labels, the label of each position's next token; each (rows, longest).
        tokens_worth: `worth_packing` of the model.

    Returns:
        input_ids, position_ids and next_labels, each (lines, tokens); None if padding counts in the loss or too little
        of it would go.
    """
    real = batch["attention_mask"].bool()
    if bool((batch["next_labels"] != IGNORED)[~real].any()):
        return None
    source, _ = lines_of(real)
    if real.numel() - source.numel() < tokens_worth:
        return None
    used, source = source >= 0, source.clamp(min=0)
    positions = (real.cumsum(dim=1) - 1).flatten()[source]
    return {
        "input_ids": batch["input_ids"].flatten()[source],
        "position_ids": torch.where(used, positions, 0),
        "next_labels": torch.where(used, batch["next_labels"].flatten()[source], IGNORED),
    }


def lines_of(real: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows on as few lines of similar length as LINE allows, longest rows first.

    Args:
        real: bool (rows, longest), which tokens are no padding.

    Returns:
        source, owner: integers (lines, tokens), the position of each token in the flattened rows and its row; -1 behind
        the end of a line.
    """
    counts, longest = real.sum(dim=1).tolist(), real.shape[1]
    positions = [torch.nonzero(row).squeeze(1) + number * longest for number, row in enumerate(real.cpu())]
    number_of_lines = max(1, -(-sum(counts) // max(LINE, *counts)))
    lines: list[list[int]] = [[] for _ in range(number_of_lines)]
    loads = [0] * number_of_lines
    for row in sorted(range(len(counts)), key=lambda row: -counts[row]):
        line = loads.index(min(loads))
        lines[line].append(row)
        loads[line] += counts[row]
    source, owner = (torch.full((number_of_lines, max(loads)), -1) for _ in range(2))
    for line, rows in enumerate(lines):
        source[line, : loads[line]] = torch.cat([positions[row] for row in rows])
        owner[line, : loads[line]] = torch.repeat_interleave(
            torch.tensor(rows), torch.tensor([counts[r] for r in rows])
        )
    return source.to(real.device), owner.to(real.device)
