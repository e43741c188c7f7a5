"""LoRA and its variants, the same for encoder and decoder."""

from typing import Any

import torch
from peft import LoraConfig, PeftModel, TaskType, get_peft_model
from peft.tuners.lora import LoraLayer
from peft.tuners.lora.dora import DoraLinearLayer
from torch import nn
from transformers import PreTrainedModel


def add_lora(
    model: PreTrainedModel, lora: dict[str, Any], task_type: TaskType, saved: list[str] | None = None
) -> PeftModel:
    """The model with a new adapter, as a spec's `lora` section describes it.

    DoRA's magnitudes start as the norms of the weights. A skeleton has no weights, so its magnitudes only have the
    right shape.

    Args:
        saved: modules that train in full next to the adapter.
    """
    config = lora_config(lora, task_type)
    config.modules_to_save = saved
    if not config.use_dora or next(model.parameters()).device.type != "meta":
        return get_peft_model(model, config)
    config.use_dora = False
    tuned = get_peft_model(model, config)
    for module in tuned.modules():
        if isinstance(module, LoraLayer):
            magnitudes = DoraLinearLayer(fan_in_fan_out=False)
            magnitudes.weight = nn.Parameter(torch.empty(module.out_features, device="meta"))
            module.lora_magnitude_vector["default"] = magnitudes
    return tuned


def lora_config(lora: dict[str, Any], task_type: TaskType) -> LoraConfig:
    """PEFT's configuration for a spec's `lora` section; without target modules PEFT uses the architecture's default."""
    return LoraConfig(
        task_type=task_type,
        r=lora["r"],
        lora_alpha=lora["alpha"],
        lora_dropout=lora["dropout"],
        bias=lora["bias"],
        target_modules=lora["target_modules"],
        use_rslora=lora["variant"] == "rslora",
        use_dora=lora["variant"] == "dora",
    )
