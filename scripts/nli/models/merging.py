"""Merges a QLoRA adapter into different base weights, and measures how much of the adapter's effect is lost."""

import gc
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peft import PeftModel
from torch import nn
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerBase

from nli.models.architecture import NO_FOREIGN_CODE
from nli.models.base_weights import require_weights
from nli.models.decoder import compute_dtype, load_adapter, load_decoder, plain_cpu_kernels, prepared_to_answer
from nli.models.next_token import next_token_logits
from nli.study.experiments import UNQUANTIZED


def merge_into_4bit(folder: Path, quantization: dict[str, Any], adapter: Path) -> PreTrainedModel:
    """The original's merge: dequantize, add, quantize again.

    The second quantization's rounding error is as large as the adapter itself. The original prepared the model first
    (`prepared_to_answer`). That changes no packed weight and would only double the size of the saved embeddings and
    head, so we prepare the merged model when it is loaded.
    """
    model = load_adapter(load_decoder(folder, quantization), adapter)
    return plain_cpu_kernels(model.merge_and_unload())


def merge_into_original(folder: Path, quantization: dict[str, Any], adapter: Path) -> PreTrainedModel:
    """The adapter added to the weights from before quantization, which are not those that it was trained on."""
    base = load_unquantized(folder, quantization, torch.device("cpu"))
    return load_adapter(base, adapter).merge_and_unload()


def merge_into_dequantized(folder: Path, quantization: dict[str, Any], adapter: Path) -> PreTrainedModel:
    """The adapter added to the dequantized 4-bit weights that it was trained on, in the compute type, unrounded."""
    base = load_decoder(folder, quantization, torch.device("cpu"))
    dtype = compute_dtype(quantization["compute_dtype"])
    return load_adapter(base.dequantize(dtype), adapter).merge_and_unload()


MERGES: dict[str, Callable[[Path, dict[str, Any], Path], PreTrainedModel]] = {
    "4bit": merge_into_4bit,
    "original": merge_into_original,
    "dequantized": merge_into_dequantized,
}


def load_unquantized(folder: Path, quantization: dict[str, Any], device: torch.device | None = None) -> PreTrainedModel:
    """The decoder in its compute type, on `device`, or else on the GPU and what does not fit there in main memory."""
    where: Any = {"": device} if device else "auto" if torch.cuda.is_available() else {"": "cpu"}
    dtype = compute_dtype(quantization["compute_dtype"])
    model, info = AutoModelForCausalLM.from_pretrained(
        folder, dtype=dtype, device_map=where, output_loading_info=True, **NO_FOREIGN_CODE
    )
    require_weights(model, info["missing_keys"], folder, "decoder")
    return model


def load_merged(folder: Path, spec: dict[str, Any]) -> PreTrainedModel:
    """The model that `merge_adapter.py` wrote, for answering: in 4 bits, prepared as the spec says, or in 16 bits."""
    load = load_unquantized if spec["merge_into"] in UNQUANTIZED else load_decoder
    return prepared_to_answer(load(folder, spec["quantization"]), spec)


def free_memory() -> None:
    """Free the memory of a deleted model, because a small GPU cannot hold two."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def last_logits(
    model: nn.Module, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str], batch_size: int
) -> Iterator[tuple[int, torch.Tensor]]:
    """Pairs of a prompt's index and the logits of the token after it, (vocabulary,), float32 on the CPU."""
    texts = tokenizer(list(prompts))["input_ids"]
    starts = [len(ids) - 1 for ids in texts]
    for index, logits in next_token_logits(model, texts, starts, tokenizer.pad_token_id, batch_size):
        yield index, logits[0].float().cpu()


def divergence(logits: torch.Tensor, others: torch.Tensor) -> float:
    """KL(p || q) in nats, in float64, between the softmax distributions of two rows of logits (vocabulary,).

    Like a softmax, it ignores a constant added to all logits of a row.
    """
    p, q = (torch.log_softmax(row.double(), dim=-1) for row in (logits, others))
    return float(torch.nn.functional.kl_div(q, p, reduction="sum", log_target=True))


class MergeError:
    """A merge's error in the next-token distributions, compared with the adapter's own effect on them.

    The adapter's logits are kept in a file for comparison with the merged model's: a small GPU cannot hold two models,
    and a small memory cannot hold the logits of all rows (half a GB for 1,000 rows at a vocabulary of 128,000).

    Args:
        prompts: the prompts to answer.
        folder: folder for the temporary file.
    """

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str], batch_size: int, folder: Path
    ) -> None:
        self.asked = tokenizer, prompts, batch_size
        self.rows = len(prompts)
        self.file = folder / "adapter_logits.npy"
        self.from_base = 0.0

    def measure_adapter(self, model: PeftModel) -> None:
        """Save the adapter's logits, and compare them with its base's."""
        kept: np.ndarray | None = None
        for index, logits in last_logits(model, *self.asked):
            if kept is None:
                kept = np.lib.format.open_memmap(self.file, "w+", np.float32, (self.rows, len(logits)))
            kept[index] = logits.numpy()
        with model.disable_adapter():
            self.from_base = self._mean_divergence(model)

    def measure_merged(self, model: nn.Module) -> dict[str, float | int | None]:
        """The merge's error, once `measure_adapter` has run.

        Returns:
            rows; kl_adapter_merged and kl_adapter_base, the means over rows of KL(adapter || merged) and of
            KL(adapter || base), in nats; kl_ratio, their ratio. 0: the merged model predicts like the adapter on its
            base; 1: it differs from it as much as the base without the adapter. None if the adapter has no effect.
        """
        from_merged = self._mean_divergence(model)
        return {
            "rows": self.rows,
            "kl_adapter_merged": from_merged,
            "kl_adapter_base": self.from_base,
            "kl_ratio": from_merged / self.from_base if self.from_base else None,
        }

    def _mean_divergence(self, model: nn.Module) -> float:
        """Mean of KL(adapter || model) over the rows."""
        kept = np.load(self.file, mmap_mode="r")
        found = (divergence(torch.tensor(kept[index]), logits) for index, logits in last_logits(model, *self.asked))
        return math.fsum(found) / self.rows
