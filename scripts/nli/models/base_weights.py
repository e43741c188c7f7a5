"""Checks that a base model's files have all its weights, from the safetensors' headers alone.

transformers only warns when the files lack a tensor, and initialises it at random. That is intended for a new
classification head; anywhere else the study would run on noise.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import nn
from transformers import AutoModelForSequenceClassification, PreTrainedModel
from transformers.utils import logging

from nli.base.errors import StudyError
from nli.base.files import read_json
from nli.base.labels import LABELS
from nli.hub.model_files import INDEX, WEIGHTS, check_shards
from nli.models.architecture import head_modules, load_config, load_skeleton

NAMED = 3  # tensors named in a message


def check_weights(folder: Path | str, auto_class: type, role: str) -> None:
    """Raise StudyError unless the files in `folder` have every tensor of the model except a new head, in its shape.

    transformers' own loader loads tensors with the files' names and shapes but no data, so it renames, ties and
    converts them as it will when it loads the weights.

    Args:
        auto_class: the transformers class that the model loads as.
        role: "encoder" or "decoder", the key below `models:`.
    """
    config = load_config(folder, role)
    packed = getattr(config, "quantization_config", None) is not None
    if packed:  # a merged model: packed 4-bit weights have other shapes, so only their names are compared
        del config.quantization_config
    if auto_class is AutoModelForSequenceClassification:
        config.num_labels = len(LABELS)
    with quiet_loader():
        model, info = type(load_skeleton(folder, auto_class, role)).from_pretrained(
            None,
            config=config,
            state_dict=stored_tensors(Path(folder), role),
            device_map={"": "meta"},
            ignore_mismatched_sizes=True,  # lists them in `info` instead of raising an error
            output_loading_info=True,
        )
    require_weights(model, info["missing_keys"], folder, role)
    if info["mismatched_keys"] and not packed:
        refuse_shapes(info["mismatched_keys"], folder, role)


def stored_tensors(folder: Path, role: str) -> dict[str, torch.Tensor]:
    """Name -> tensor on the meta device, with its shape, for every tensor in the folder's safetensors.

    Raises:
        StudyError: no weights, a missing shard, or a file that is not safetensors.
    """
    where = f"models.{role}.name: {folder}"
    files = [path.name for path in folder.iterdir()]
    check_shards(folder, files, where)
    names = sorted(name for name in files if WEIGHTS.fullmatch(name))
    if "model.safetensors" in names:  # the loader prefers it
        names = ["model.safetensors"]
    elif (folder / INDEX).exists():
        names = sorted(set(read_json(folder / INDEX)["weight_map"].values()))
    if not names:
        raise StudyError(f"{where}: no safetensors files; give a model saved with transformers' save_pretrained")
    tensors = {}
    for name in names:
        try:
            with safe_open(folder / name, "pt") as file:
                shapes = {key: file.get_slice(key).get_shape() for key in file.keys()}  # noqa: SIM118 (no mapping)
        except SafetensorError as error:
            raise StudyError(f"{where}: {name} is not a complete safetensors file ({error}); copy it again") from None
        tensors |= {key: torch.empty(shape, device="meta") for key, shape in shapes.items()}
    return tensors


def require_weights(model: PreTrainedModel, missing: Iterable[str], folder: Path | str, role: str) -> None:
    """Raise StudyError if the files lack a tensor, as the loader reports it, that may not start at random."""
    absent = sorted(set(missing) - fresh_tensors(model))
    if absent:
        raise StudyError(
            f"models.{role}.name: {folder}: the weights lack {count(absent)} of {type(model).__name__}: "
            f"{first(absent)}; they would be random. Give a folder whose weights match its config.json"
        )


def refuse_shapes(mismatched: Iterable[tuple[str, Any, Any]], folder: Path | str, role: str) -> None:
    """Raise the StudyError that names the tensors whose shape differs between the files and the model."""
    shown = [f"{name} ({by(stored)} in the files, {by(wanted)} in the model)" for name, stored, wanted in mismatched]
    raise StudyError(
        f"models.{role}.name: {folder}: {count(shown)} with another shape than the model's: {first(sorted(shown))}. "
        "Give a folder whose weights match its config.json, and whose classifier, if it has one, has "
        f"{len(LABELS)} classes"
    )


def fresh_tensors(model: PreTrainedModel) -> set[str]:
    """The names of tensors that may be missing from the files: a classifier's head, the output bias, buffers.

    A masked language model's output bias, one entry per token, starts at zero if a checkpoint has none.
    """
    parameters = dict(model.named_parameters(remove_duplicate=False))
    named = {name for name, _ in model.named_buffers()}
    if "ForSequenceClassification" in type(model).__name__:
        head = {id(tensor) for module in head_modules(model).values() for tensor in module.parameters()}
        named |= {name for name, tensor in parameters.items() if id(tensor) in head}
    output = model.get_output_embeddings()
    if isinstance(output, nn.Module):
        rows = output.weight.shape[:1]
        named |= {name for name, tensor in parameters.items() if name.endswith("bias") and tensor.shape == rows}
    return named


@contextmanager
def quiet_loader() -> Iterator[None]:
    """Silence transformers' table of missing tensors and its progress bar, because nothing is really loaded here."""
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def count(tensors: list[str]) -> str:
    return f"{len(tensors)} tensor{'s' * (len(tensors) != 1)}"


def first(tensors: list[str]) -> str:
    """The first names of a sorted list, as text."""
    return ", ".join(tensors[:NAMED]) + (", ..." if len(tensors) > NAMED else "")


def by(shape: Iterable[int]) -> str:
    return "x".join(map(str, shape))
