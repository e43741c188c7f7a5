"""The decoder: loading in 4 bits, the QLoRA adapter, its merge, and generating answers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peft import PeftModel, TaskType, get_peft_model, prepare_model_for_kbit_training
from torch import nn
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from nli.adapters import lora_config
from nli.runtime import device
from nli.training import mark_pretrained


def load_decoder(folder: Path | str, quantization: dict[str, Any]) -> PreTrainedModel:
    """The causal language model, quantized while it is loaded.

    A folder that merge_adapter.py wrote holds quantized weights and its own quantization, which then counts.
    """
    config = BitsAndBytesConfig(
        load_in_4bit=quantization["load_in_4bit"],
        bnb_4bit_quant_type=quantization["quant_type"],
        bnb_4bit_compute_dtype=getattr(torch, quantization["compute_dtype"]),
        bnb_4bit_use_double_quant=quantization["double_quant"],
    )
    model = AutoModelForCausalLM.from_pretrained(
        folder,
        quantization_config=config,
        dtype=getattr(torch, quantization["compute_dtype"]),
        device_map={"": device()},
    )
    return mark_pretrained(plain_cpu_kernels(model))


def plain_cpu_kernels(model: nn.Module) -> nn.Module:
    """Keep bitsandbytes from repacking weights for AVX512-BF16.

    On such a CPU the first forward in eval mode repacks a layer, and later training silently loses every gradient
    that should pass through it (bitsandbytes 0.50).
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False
    return model


def load_tokenizer(folder: Path | str) -> PreTrainedTokenizerBase:
    """The decoder's tokenizer; Llama has no padding token, so the end token stands in, as in the report."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def add_adapter(model: PreTrainedModel, spec: dict[str, Any]) -> PeftModel:
    """The quantized model with a fresh LoRA adapter, prepared as the report prepared it.

    `prepare_model_for_kbit_training` freezes the base, casts what is not quantized to float32 and, where the spec
    says so, turns gradient checkpointing on.
    """
    model = prepare_model_for_kbit_training(
        model, use_gradient_checkpointing=spec["training"]["gradient_checkpointing"]
    )
    return get_peft_model(model, lora_config(spec["lora"], TaskType.CAUSAL_LM))


def load_adapter(model: PreTrainedModel, folder: Path | str) -> PeftModel:
    """The model with an adapter that `PeftModel.save_pretrained` wrote, for answering."""
    return PeftModel.from_pretrained(model, folder)


def merge_adapter(model: PeftModel) -> PreTrainedModel:
    """Merge the adapter into the quantized weights: dequantize, add, quantize again (the report's merge).

    What the second quantization rounds away is of the size of the adapter itself.
    """
    return plain_cpu_kernels(model.merge_and_unload())


@torch.no_grad()
def generate_answers(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[str],
    generation: dict[str, Any],
    batch_size: int,
    seed: int,
) -> list[str]:
    """What the model writes after each prompt, in the prompts' order.

    Args:
        generation: temperature (0: greedy) and max_new_tokens.
        seed: of the sampler, set before the first batch: the same prompts, batches and seed give the same answers.

    Batches are made of prompts of like length, padded at the left.
    """
    model.eval()
    torch.manual_seed(seed)
    side, tokenizer.padding_side = tokenizer.padding_side, "left"
    sampling = {"do_sample": False, "temperature": None, "top_p": None, "top_k": None}
    if generation["temperature"] > 0:  # top_k 0: the whole distribution, not the library's best 50
        sampling = {"do_sample": True, "temperature": generation["temperature"], "top_p": 1.0, "top_k": 0}
    order = np.argsort([len(prompt) for prompt in prompts], kind="stable")
    answers = [""] * len(prompts)
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        batch = tokenizer(
            [prompts[index] for index in chosen],
            return_tensors="pt",
            padding=True,
        ).to(next(model.parameters()).device)
        batch.pop("token_type_ids", None)
        output = model.generate(
            **batch,
            **sampling,
            max_new_tokens=generation["max_new_tokens"],
            pad_token_id=tokenizer.pad_token_id,
        )
        new = output[:, batch["input_ids"].shape[1] :]
        for index, text in zip(chosen, tokenizer.batch_decode(new, skip_special_tokens=True), strict=True):
            answers[index] = text
        print(f"{min(start + batch_size, len(order))} of {len(order)} answered", flush=True)
    tokenizer.padding_side = side
    return answers
