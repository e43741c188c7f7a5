"""The beginning that prompts share, such as worked examples: its keys and values are computed once."""

import copy
from collections.abc import Sequence

import torch
from torch import nn
from transformers import Cache, DynamicCache

from nli.models.architecture import STANDARD_DECODERS

LEAST_PREFIX = 8  # tokens from which a shared beginning is worth a pass of its own


def takes_prefix(model: nn.Module, longest: int) -> bool:
    """Whether the model is of a known kind, and each token of a text of `longest` tokens sees all before it."""
    window = getattr(model.config, "sliding_window", None)
    return model.config.model_type in STANDARD_DECODERS and (not window or longest <= window)


def common_prefix(texts: Sequence[Sequence[int]]) -> list[int]:
    """The token ids that all texts begin with, leaving each at least one of its own; [] if not worth a pass."""
    first = min(texts, key=len)[:-1]
    alike = next((i for i, id in enumerate(first) if any(text[i] != id for text in texts)), len(first))
    return list(first[:alike]) if alike >= LEAST_PREFIX and len(texts) > 1 else []


@torch.no_grad()
def prefix_cache(model: nn.Module, prefix: list[int]) -> Cache | None:
    """The keys and values of one row of `prefix`; None for an empty one."""
    if not prefix:
        return None
    cache = DynamicCache(config=model.config)
    ids = torch.tensor([prefix], device=next(model.parameters()).device)
    model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
    return cache


def repeated(cache: Cache | None, rows: int) -> dict[str, Cache]:
    """A copy of the cache for so many rows, as a model's argument; none without a cache."""
    if cache is None:
        return {}
    own = copy.deepcopy(cache)
    own.batch_repeat_interleave(rows)
    return {"past_key_values": own}
