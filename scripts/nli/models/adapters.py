"""LoRA's configuration, the same for encoder and decoder."""

from typing import Any

from peft import LoraConfig, TaskType


def lora_config(lora: dict[str, Any], task_type: TaskType) -> LoraConfig:
    """PEFT's configuration for a spec's `lora` section; without target modules PEFT takes its architecture's own."""
    return LoraConfig(
        task_type=task_type,
        r=lora["r"],
        lora_alpha=lora["alpha"],
        lora_dropout=lora["dropout"],
        bias=lora["bias"],
        target_modules=lora["target_modules"],
    )
