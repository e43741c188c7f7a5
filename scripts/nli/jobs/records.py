"""The record of a run: what was trained, on which data, with which versions, and its time and memory.

A record must not contain secrets or home paths, because it is published with the report.
"""

import re
import time
from pathlib import Path
from typing import Any

import torch
from torch import nn

from nli.base.files import read_json
from nli.models.sessions import Sessions, highest, peak_memory
from nli.models.training import GradientAudit
from nli.provenance import code_hashes, data_identity, finished, git_commit, versions


def parameter_counts(model: nn.Module) -> dict[str, Any]:
    """The numbers of parameters, each counted once, and as the original's layer table counts them.

    The table walks the module tree, so a tensor that is in it twice (PEFT keeps a second reference to the word
    embeddings next to a soft prompt) counts twice there. Both count 4-bit weights as bitsandbytes packs them, two to an
    element.

    Returns:
        total, trainable, frozen; as_reported with the same three; trainable_tensors, the names.
    """
    once = list(model.parameters())
    walked = [parameter for _, parameter in model.named_parameters(remove_duplicate=False)]
    return {
        **_totals(once),
        "as_reported": _totals(walked),
        "layers": layer_rows(model),
        "trainable_tensors": [name for name, p in model.named_parameters() if p.requires_grad],
    }


def _totals(parameters: list[nn.Parameter]) -> dict[str, int]:
    total = sum(parameter.numel() for parameter in parameters)
    trainable = sum(parameter.numel() for parameter in parameters if parameter.requires_grad)
    return {"total": total, "trainable": trainable, "frozen": total - trainable}


_COPY = r"\.modules_to_save\.\w+"  # the copy of a head that PEFT trains
LAYERS = {  # row of the original's layer table -> its module, by the first matching pattern, even if wrapped by PEFT
    "word_embeddings": (r"embeddings\.(word|tok)_embeddings$",),
    "token_type_embeddings": (r"embeddings\.token_type_embeddings$",),
    "position_embeddings": (r"embeddings\.position_embeddings$",),
    "embedding_layer_norm": (r"embeddings\.(LayerNorm|norm)$",),
    "encoder": (r"(^|\.)encoder$", r"\.(transformer|layers)$"),
    "classifier_dense": tuple(
        name + copy + layer
        for name, layer in (
            ("classifier", r"\.dense$"),  # RoBERTa, ELECTRA
            ("pooler", r"\.dense$"),  # BERT, DeBERTa
            ("pre_classifier", "$"),  # DistilBERT
            (r"(^|\.)head", r"\.dense$"),  # ModernBERT
        )
        for copy in (_COPY, "")
    ),
    "classifier_out_proj": (
        rf"classifier{_COPY}\.out_proj$",
        r"classifier\.out_proj$",
        rf"(^|\.)classifier{_COPY}$",
        r"(^|\.)classifier$",
    ),
}


def layer_rows(model: nn.Module) -> list[dict[str, Any]]:
    """The rows of the original's layer table: name, parameters and trainable parameters of each part.

    A part that the encoder lacks (DistilBERT has no token types) has no row; a decoder has no rows at all.
    """
    modules = dict(model.named_modules())
    rows = []
    for row, patterns in LAYERS.items():
        found = next((name for pattern in patterns for name in modules if re.search(pattern, name)), None)
        if found is not None:
            totals = _totals(list(modules[found].parameters()))
            rows.append({"name": row, "parameters": totals["total"], "trainable": totals["trainable"]})
    return rows if rows and rows[0]["name"] == "word_embeddings" else []


def training_record(
    model: nn.Module, history: dict[str, Any], audit: GradientAudit, sessions: Sessions, spec: dict[str, Any]
) -> dict[str, Any]:
    """A training job's part of the run's record, over all its sessions (see `Sessions.used`).

    `audited_steps` is the number of first steps in which the gradients were checked.
    """
    train = history["train"]
    return {
        "spec": spec,
        "code": code_hashes(),
        "parameters": {
            **parameter_counts(model),
            "gradient_tensors": [name for name, _ in model.named_parameters() if name in audit.names],
            "audited_steps": min(audit.steps, train["steps"]),
        },
        **sessions.used(),
        "throughput": {
            "examples_per_second": train["examples"] / train["seconds"],
            "tokens_per_second": train["tokens"] / train["seconds"],
        },
    }


def run_record(
    spec: dict[str, Any],
    seed: int,
    model: nn.Module,
    started: float,
    evaluation_seconds: float,
    data: dict[str, Path],
    model_folder: Path,
    training: dict[str, Any] | None,
) -> dict[str, Any]:
    """The complete run.json, from the prediction job and the training job, if any.

    Args:
        spec: the prediction spec; the training spec is merged in.
        started: `runtime.start`'s clock.
        data: the answered splits, name -> Parquet file.
        training: `training_record`'s content, or None.
    """
    training = training or {}
    parameters = training.get("parameters") or {
        **parameter_counts(model),
        "trainable": 0,
        "frozen": sum(p.numel() for p in model.parameters()),
        "trainable_tensors": [],
        "gradient_tensors": [],
        "audited_steps": 0,
    }
    wall = time.perf_counter() - started
    seconds = training.get("seconds", {})
    return {
        **{key: spec[key] for key in ("family", "name")},
        "seed": seed,
        "scale": spec["scale"],
        "spec": {**training.get("spec", {}), **spec},
        "parameters": parameters,
        "finished": finished(),
        "seconds": {
            "wall": wall + seconds.get("wall", 0.0),
            "train": seconds.get("train"),
            "evaluation": evaluation_seconds,
        },
        "sessions": training.get("sessions"),
        "energy_kwh": training.get("energy_kwh", {"train": None}),
        "throughput": training.get("throughput", {"examples_per_second": None, "tokens_per_second": None}),
        "peak_memory_gib": highest(peak_memory(), training.get("peak_memory_gib", {})),
        "device": device_name(),
        "dtype": str(next(p.dtype for p in model.parameters() if p.is_floating_point())).removeprefix("torch."),
        "versions": versions(),
        "data": data_identity(data),
        "model": model_identity(model_folder),
        "base": training.get("base"),
        "trained": training.get("files", {}),
        "code": {"training": training.get("code"), "answering": code_hashes()},
        "git_commit": git_commit(),
    }


def device_name() -> str:
    """The GPU's name, or "CPU" and its number of threads."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name(0)
    return f"CPU, {torch.get_num_threads()} thread(s)"


def model_identity(folder: Path) -> dict[str, Any]:
    """The base model's record from when it was fetched, linked or made, without the hash of each file."""
    source = read_json(folder / "source.json")
    return {key: value for key, value in source.items() if key != "files"}
