"""The parts of a model of any architecture: its blocks, head, linear layers and positions.

Nothing here reads a parameter's value, so everything works on a model on the meta device, which has no data.
"""

from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoConfig, AutoTokenizer, PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase
from transformers.pytorch_utils import Conv1D

from nli.base.errors import StudyError

# Without it transformers asks on stdin whether to run the code that a model's folder names in `auto_map`.
NO_FOREIGN_CODE = {"trust_remote_code": False}
# The decoders for which `speed: fast` is tested: their forward pass takes a mask (rows, 1, queries, keys), positions,
# the positions whose logits are wanted, and labels for these.
STANDARD_DECODERS = ("llama", "mistral", "qwen2", "qwen3", "gemma3_text")


def load_config(folder: Path | str, role: str) -> PreTrainedConfig:
    """The model's configuration; StudyError if transformers does not know the architecture.

    Args:
        role: "encoder" or "decoder", the key below `models:`.
    """
    return loaded(AutoConfig, folder, role, "model that transformers knows")


def load_tokenizer_files(folder: Path | str, role: str, **settings: Any) -> PreTrainedTokenizerBase:
    """The tokenizer as the folder describes it; StudyError if transformers cannot load it.

    Args:
        role: "encoder" or "decoder", the key below `models:`.
        settings: for `AutoTokenizer.from_pretrained`.
    """
    return loaded(AutoTokenizer, folder, role, "tokenizer that transformers loads", **settings)


def loaded(auto_class: type, folder: Path | str, role: str, what: str, **settings: Any) -> Any:
    """`auto_class.from_pretrained` without code of the folder's own; StudyError, with the reason, if that fails."""
    try:
        return auto_class.from_pretrained(folder, **NO_FOREIGN_CODE, **settings)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = " ".join(str(error).split(".")[0].split())
        raise StudyError(
            f"models.{role}.name: {folder} has no {what} without the model's own code ({reason}); choose another"
        ) from None


def load_skeleton(folder: Path | str, auto_class: type, role: str) -> PreTrainedModel:
    """The model on the meta device, from its configuration alone: all its modules, no data.

    Args:
        auto_class: AutoModelForSequenceClassification or AutoModelForCausalLM.
        role: "encoder" or "decoder", the key below `models:`.

    Raises:
        StudyError: the architecture has no model of that class.
    """
    config = load_config(folder, role)
    try:
        with torch.device("meta"):
            return auto_class.from_config(config, **NO_FOREIGN_CODE)
    except ValueError:
        known = {"encoder": "sequence classifier", "decoder": "causal language model"}[role]
        raise StudyError(
            f"models.{role}.name: transformers has no {known} of the type '{config.model_type}'; choose another"
        ) from None


def transformer_blocks(model: PreTrainedModel) -> nn.ModuleList | None:
    """The list of transformer layers; None if the model has no such list (ALBERT shares one layer)."""
    depth = getattr(model.config.get_text_config(), "num_hidden_layers", None)
    lists = (module for module in model.base_model.modules() if isinstance(module, nn.ModuleList))
    return next((module for module in lists if len(module) == depth), None)


def head_modules(model: PreTrainedModel) -> dict[str, nn.Module]:
    """The modules of a classifier above the encoder, by name.

    BERT's pooler, a dense layer on the first position, is inside the base model. It counts as part of the head here,
    because RoBERTa has the same layer in its head and a checkpoint of a masked language model lacks it.
    """
    base = model.base_model
    head = {
        name: module
        for name, module in model.named_children()
        if module is not base and next(module.parameters(), None) is not None
    }
    pooler = getattr(base, "pooler", None)
    return head if pooler is None else {"pooler": pooler, **head}


def linear_layers(model: PreTrainedModel) -> list[str]:
    """The names of the linear layers within the transformer layers, in the form that LoRA's `target_modules` takes."""
    modules = (transformer_blocks(model) or model).named_modules()
    names = [name.rsplit(".", 1)[-1] for name, module in modules if isinstance(module, nn.Linear | Conv1D)]
    return list(dict.fromkeys(names))


def max_positions(model: nn.Module) -> int | None:
    """The number of positions of the model; None if it has only relative positions (DeBERTa) and so no limit.

    RoBERTa's table starts after its padding token's id, so two of its 514 positions are never used.
    """
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and isinstance(module, nn.Embedding):
            unused = 0 if module.padding_idx is None else module.padding_idx + 1
            return module.num_embeddings - unused
    config = model.config.get_text_config()
    if getattr(config, "relative_attention", False):
        return None
    return getattr(config, "max_position_embeddings", None)
