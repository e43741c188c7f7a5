"""Several adapters on one encoder, and what switching between them costs and leaves alone."""

import hashlib
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from peft import PeftModel
from torch import nn
from transformers import PreTrainedModel

ROUNDS = 20  # of switching to every task, for the time


def load_adapters(base: PreTrainedModel, folders: Mapping[str, Path]) -> PeftModel:
    """The base with an adapter for each name, from its folder; the first is active."""
    (first, folder), *others = folders.items()
    model = PeftModel.from_pretrained(base, folder, adapter_name=first)
    for name, folder in others:
        model.load_adapter(folder, adapter_name=name)
    return model


def time_of_switching(model: PeftModel, names: Sequence[str]) -> float:
    """The median time of `set_adapter`, in seconds."""
    times = []
    for _ in range(ROUNDS):
        for name in names:
            started = time.perf_counter()
            model.set_adapter(name)
            times.append(time.perf_counter() - started)
    return statistics.median(times)


def base_tensors(model: nn.Module) -> dict[str, torch.Tensor]:
    """The base's parameters under their own names, without adapters and the copies of the head that PEFT trains."""
    found = {}
    for name, tensor in model.named_parameters():
        if not any(part in name for part in (".lora_", ".ia3_", ".modules_to_save.")):
            own = name.removeprefix("base_model.model.").replace(".base_layer.", ".").replace(".original_module.", ".")
            found[own] = tensor
    return found


def digest(model: nn.Module) -> str:
    """A SHA-256 of the base's parameters, with their names."""
    found = hashlib.sha256()
    for name, tensor in sorted(base_tensors(model).items()):
        found.update(name.encode())
        found.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def bytes_of(model: nn.Module) -> int:
    """The size of the base's parameters in memory."""
    return sum(tensor.numel() * tensor.element_size() for tensor in base_tensors(model).values())
