"""The decoder: loading in 4 bits, the QLoRA adapter, its merge, and generating answers."""

from pathlib import Path
from typing import Any

import torch
from peft import PeftModel, TaskType, prepare_model_for_kbit_training
from torch import nn
from transformers import (
    AutoModelForCausalLM,
    BitsAndBytesConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from nli.base.errors import StudyError
from nli.models.adapters import add_lora
from nli.models.architecture import NO_FOREIGN_CODE, load_tokenizer_files
from nli.models.base_weights import require_weights
from nli.models.training import mark_pretrained
from nli.runtime import device


def load_decoder(
    folder: Path | str, quantization: dict[str, Any], place: torch.device | None = None
) -> PreTrainedModel:
    """The causal language model, quantized during loading, on `place` or the run's device.

    A folder written by merge_adapter.py has quantized weights, and its own quantization is used.
    """
    return load_quantized(AutoModelForCausalLM, folder, quantization, device_map={"": place or device()})


def load_quantized(auto_class: type, folder: Path | str, quantization: dict[str, Any], **settings: Any) -> Any:
    """A model of `auto_class`, quantized during loading, with further `settings` for `from_pretrained`."""
    model, info = auto_class.from_pretrained(
        folder,
        quantization_config=quantization_config(quantization),
        dtype=compute_dtype(quantization["compute_dtype"]),
        output_loading_info=True,
        **NO_FOREIGN_CODE,
        **{"device_map": {"": device()}, **settings},
    )
    require_weights(model, info["missing_keys"], folder, "decoder")
    return mark_pretrained(plain_cpu_kernels(model), set(info["missing_keys"]))


def quantization_config(quantization: dict[str, Any]) -> BitsAndBytesConfig:
    """transformers' configuration for a decoder's `quantization` section."""
    return BitsAndBytesConfig(
        load_in_4bit=quantization["load_in_4bit"],
        bnb_4bit_quant_type=quantization["quant_type"],
        bnb_4bit_compute_dtype=compute_dtype(quantization["compute_dtype"]),
        bnb_4bit_use_double_quant=quantization["double_quant"],
    )


def compute_dtype(asked: str) -> torch.dtype:
    """The compute type: `asked`, or float16, as in the original, if the GPU only emulates bfloat16."""
    emulated = torch.cuda.is_available() and not torch.cuda.is_bf16_supported(including_emulation=False)
    if asked == "bfloat16" and emulated:
        print("this GPU has no bfloat16 (compute capability below 8.0); using float16", flush=True)
        return torch.float16
    return getattr(torch, asked)


def plain_cpu_kernels(model: nn.Module) -> nn.Module:
    """The model, with bitsandbytes' repacking of weights for AVX512-BF16 turned off.

    On such a CPU the first forward pass in eval mode repacks a layer, and later training silently loses every gradient
    that should pass through it (bitsandbytes 0.50).
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False
    return model


def load_tokenizer(folder: Path | str) -> PreTrainedTokenizerBase:
    """The decoder's tokenizer; Llama has no padding token, so the end token pads, as in the original.

    Training pads on the right, as the original did, whatever the tokenizer's own side (left for Gemma and Phi-3).

    Raises:
        StudyError: no token to pad with.
    """
    tokenizer = load_tokenizer_files(folder, "decoder", padding_side="right")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    if tokenizer.pad_token is None:
        raise StudyError(
            f"models.decoder.name: the tokenizer in {folder} has no padding token and no end token to pad with; "
            "add a pad_token to its tokenizer_config.json or choose another"
        )
    return tokenizer


def add_adapter(model: PreTrainedModel, spec: dict[str, Any], task_type: TaskType = TaskType.CAUSAL_LM) -> PeftModel:
    """The quantized model with a new LoRA adapter, prepared as in the original.

    `prepare_model_for_kbit_training` freezes the base, casts what is not quantized to float32 and, if the spec says
    so, turns on gradient checkpointing.
    """
    model = prepare_model_for_kbit_training(
        model, use_gradient_checkpointing=spec["training"]["gradient_checkpointing"]
    )
    return add_lora(model, spec["lora"], task_type)


def prepared_to_answer(model: PreTrainedModel, spec: dict[str, Any]) -> PreTrainedModel:
    """The model prepared for answering as the spec says, before any adapter is added.

    The original prepared its quantized model for training before prompting it, and its adapters and its merge answered
    on the same model. A merge in 16 bits, which the original does not have, is not prepared, because that would cast
    all of it.
    """
    if not (spec["prepared"] and getattr(model, "is_loaded_in_4bit", False)):
        return model
    return prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)


def load_adapter(model: PreTrainedModel, folder: Path | str) -> PeftModel:
    """The model with an adapter saved by `PeftModel.save_pretrained`, for answering."""
    return PeftModel.from_pretrained(model, folder)


def load_with_adapter(folder: Path | str, spec: dict[str, Any], adapter: Path | str) -> PeftModel:
    """The decoder in `folder`, prepared as the spec says, with the adapter; it answers and is measured."""
    return load_adapter(prepared_to_answer(load_decoder(folder, spec["quantization"]), spec), adapter)
