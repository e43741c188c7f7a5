"""Models from a configuration alone: skeletons without weights, and models with random ones.

The configurations of the study's models ship with the code (`architectures/<owner>/<name>.json`), so that parameters
can be counted, and speed and memory measured, without weights.
"""

from pathlib import Path
from typing import Any

import torch
from bitsandbytes.nn import Linear4bit, Params4bit
from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    PretrainedConfig,
    PreTrainedModel,
)
from transformers.quantizers import AutoHfQuantizer

from nli.base.errors import StudyError
from nli.base.files import read_json
from nli.base.labels import LABELS
from nli.models.architecture import NO_FOREIGN_CODE
from nli.models.decoder import compute_dtype, plain_cpu_kernels, quantization_config
from nli.models.training import mark_pretrained


def read_architecture(path: Path | str) -> PretrainedConfig:
    """The configuration in a model's folder, or in a file that ships with the code.

    Raises:
        StudyError: no configuration, or a model type that transformers does not know.
    """
    path = Path(path)
    values = read_json(path / "config.json" if path.is_dir() else path)
    kind = values.pop("model_type", None)
    try:
        return AutoConfig.for_model(kind, **values)
    except ValueError:
        raise StudyError(f"{path}: transformers knows no model type {kind!r}; name another model") from None


def skeleton_encoder(
    config: PretrainedConfig, auto_class: type = AutoModelForSequenceClassification
) -> PreTrainedModel:
    """The encoder with a three-class head or another one, on the meta device: shapes without weights."""
    return random_encoder(config, "float32", torch.device("meta"), auto_class)


def skeleton_decoder(
    config: PretrainedConfig, quantization: dict[str, Any], auto_class: type = AutoModelForCausalLM
) -> PreTrainedModel:
    """The decoder on the meta device, with its linear layers packed as by bitsandbytes, two weights to a byte.

    transformers' own quantizer chooses the layers, so the counts equal those of a loaded model.
    """
    model = _unpacked_decoder(config, quantization, auto_class)
    for layer in _quantized_layers(model):
        packed = torch.empty((-(-layer.weight.numel() // 2), 1), dtype=torch.uint8, device="meta")
        layer.weight = Params4bit(packed, requires_grad=False, quant_type=quantization["quant_type"])
    return mark_pretrained(_declare_quantized(model, quantization))


def random_encoder(
    config: PretrainedConfig, dtype: str, device: torch.device, auto_class: type = AutoModelForSequenceClassification
) -> PreTrainedModel:
    """The encoder with a three-class head or another one, randomly initialised as its architecture prescribes."""
    config.num_labels = len(LABELS)
    with device:
        model = auto_class.from_config(config, **NO_FOREIGN_CODE, dtype=getattr(torch, dtype))
    return mark_pretrained(model)


def random_decoder(
    config: PretrainedConfig,
    quantization: dict[str, Any],
    device: torch.device,
    auto_class: type = AutoModelForCausalLM,
) -> PreTrainedModel:
    """The decoder with random 4-bit weights, made layer by layer, so that it is never in memory unquantized."""
    model = _unpacked_decoder(config, quantization, auto_class)
    dtype = compute_dtype(quantization["compute_dtype"])
    for layer in _quantized_layers(model):
        weight = torch.empty((layer.out_features, layer.in_features), dtype=dtype, device=device)
        layer.weight = Params4bit(
            weight.normal_(std=getattr(config, "initializer_range", 0.02)),
            requires_grad=False,
            compress_statistics=quantization["double_quant"],
            quant_type=quantization["quant_type"],
            module=layer,
        ).to(device)
        layer._is_hf_initialized = True
    _initialize_the_rest(model, device)
    return mark_pretrained(plain_cpu_kernels(_declare_quantized(model, quantization)))


def _unpacked_decoder(config: PretrainedConfig, quantization: dict[str, Any], auto_class: type) -> PreTrainedModel:
    """The decoder on the meta device with bitsandbytes' layers in place, not packed yet."""
    config.num_labels = len(LABELS)  # a language model ignores it
    with torch.device("meta"):
        model = auto_class.from_config(config, **NO_FOREIGN_CODE, dtype=compute_dtype(quantization["compute_dtype"]))
    if quantization["load_in_4bit"]:
        quantizer = AutoHfQuantizer.from_config(quantization_config(quantization), pre_quantized=False)
        quantizer.preprocess_model(model=model, device_map={"": "cpu"})
    return model


def _quantized_layers(model: nn.Module) -> list[Linear4bit]:
    return [module for module in model.modules() if isinstance(module, Linear4bit)]


def _declare_quantized(model: PreTrainedModel, quantization: dict[str, Any]) -> PreTrainedModel:
    """Tell transformers and PEFT that the model is quantized, as loading does."""
    if quantization["load_in_4bit"]:
        quantizer = AutoHfQuantizer.from_config(quantization_config(quantization), pre_quantized=False)
        quantizer.postprocess_model(model)
        model.hf_quantizer = quantizer
    return model


def _initialize_the_rest(model: PreTrainedModel, device: torch.device) -> None:
    """Move what is still on the meta device to `device`, with the architecture's initial values."""
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.device.type == "meta":
                values = torch.empty_like(parameter, device=device)
                setattr(module, name, nn.Parameter(values, requires_grad=parameter.requires_grad))
        for name, buffer in module.named_buffers(recurse=False):
            if buffer.device.type == "meta":
                setattr(module, name, torch.empty_like(buffer, device=device))
    model.initialize_weights()
    model.tie_weights()
