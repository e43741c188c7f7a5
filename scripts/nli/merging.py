"""Merging a QLoRA adapter: into what, and what of the adapter's effect the merge destroys."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerBase

from nli.base_weights import require_weights
from nli.decoder import compute_dtype, load_adapter, load_decoder, plain_cpu_kernels
from nli.schema_experiments import UNQUANTIZED


def merge_into_4bit(folder: Path, quantization: dict[str, Any], adapter: Path) -> PreTrainedModel:
    """The report's merge: dequantize, add, quantize again.

    What the second quantization rounds away is of the size of the adapter itself.
    """
    model = load_adapter(load_decoder(folder, quantization), adapter)
    return plain_cpu_kernels(model.merge_and_unload())


def merge_into_original(folder: Path, quantization: dict[str, Any], adapter: Path) -> PreTrainedModel:
    """Add to the weights as they were before any quantization, which are not those that the adapter was trained on."""
    base = load_unquantized(folder, quantization, torch.device("cpu"))
    return load_adapter(base, adapter).merge_and_unload()


def merge_into_dequantized(folder: Path, quantization: dict[str, Any], adapter: Path) -> PreTrainedModel:
    """Add to the 4-bit weights written out in the compute type: what the adapter was trained on, without a rounding."""
    base = load_decoder(folder, quantization, torch.device("cpu"))
    dtype = compute_dtype(quantization["compute_dtype"])
    return load_adapter(base.dequantize(dtype), adapter).merge_and_unload()


MERGES: dict[str, Callable[[Path, dict[str, Any], Path], PreTrainedModel]] = {
    "4bit": merge_into_4bit,
    "original": merge_into_original,
    "dequantized": merge_into_dequantized,
}


def load_unquantized(folder: Path, quantization: dict[str, Any], device: torch.device | None = None) -> PreTrainedModel:
    """The decoder in its compute type, on `device`, or spread over the GPU and, where that is too small, the memory."""
    where: Any = {"": device} if device else "auto" if torch.cuda.is_available() else {"": "cpu"}
    dtype = compute_dtype(quantization["compute_dtype"])
    model, info = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, device_map=where, output_loading_info=True)
    require_weights(model, info["missing_keys"], folder, "decoder")
    return model


def load_merged(folder: Path, spec: dict[str, Any]) -> PreTrainedModel:
    """What `merge_adapter.py` wrote: in 4 bits, or unquantized."""
    load = load_unquantized if spec["merge_into"] in UNQUANTIZED else load_decoder
    return load(folder, spec["quantization"])


@torch.no_grad()
def last_logits(model: nn.Module, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str]) -> torch.Tensor:
    """Logits of the token after each prompt, (prompts, vocabulary), float64 on the CPU."""
    model.eval()
    device = next(model.parameters()).device
    found = []
    for prompt in prompts:
        ids = tokenizer(prompt, return_tensors="pt")["input_ids"].to(device)
        found.append(model(input_ids=ids).logits[0, -1].double().cpu())
    return torch.stack(found)


def relative_error(merged: torch.Tensor, adapter: torch.Tensor, base: torch.Tensor) -> dict[str, float]:
    """The merge's error beside the adapter's own effect: ||merged - adapter|| / ||adapter - base||, Frobenius norms.

    0: the merged model is the adapter on its base; 1: the error is as large as all that the adapter does.
    """
    error, effect = float((merged - adapter).norm()), float((adapter - base).norm())
    return {"error": error, "effect": effect, "relative_error": error / effect if effect else None}
