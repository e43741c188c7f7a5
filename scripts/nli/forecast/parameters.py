"""The size of every experiment, computed without weights: parameters, steps, epochs and operations, each next to the
original's figure."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import PretrainedConfig

from nli.forecast.budget import padded_tokens, total_flops, training_budget, training_examples
from nli.jobs.families import FAMILIES
from nli.jobs.records import parameter_counts
from nli.models.weightless import read_architecture, skeleton_decoder, skeleton_encoder
from nli.reporting.markup import MISSING, decimal, integer, table
from nli.reporting.results import reported_parameters, reported_training
from nli.study.experiments import Experiment
from nli.study.schema import Study
from nli.study.specs import training_spec, trains


def count_study(study: Study, architectures: Mapping[str, Path], reported: Mapping[str, Any]) -> dict[str, Any]:
    """The sizes of both base models and of every selected experiment.

    Args:
        architectures: "encoder" and "decoder" -> a model's folder or a configuration file.
        reported: the content of reported.yaml.

    Returns:
        {"scale", "models": {role: counts}, "experiments": {key: counts and training budget}}.
    """
    configs = {role: read_architecture(path) for role, path in architectures.items()}
    experiments = study.using_models()
    return {
        "scale": study.scale,
        "models": count_base_models(study, configs),
        "experiments": {e.key: count_experiment(study, e, configs[e.model], reported) for e in experiments},
    }


def count_base_models(study: Study, configs: Mapping[str, PretrainedConfig]) -> dict[str, Any]:
    """Parameters of the encoder with its head, and of the decoder packed (as in memory) and unpacked."""
    encoder = skeleton_encoder(configs["encoder"])
    decoder = skeleton_decoder(configs["decoder"], study.models.decoder.quantization.model_dump())
    return {
        "encoder": {"name": study.models.encoder.name, "parameters": encoder.num_parameters()},
        "decoder": {
            "name": study.models.decoder.name,
            "packed": sum(parameter.numel() for parameter in decoder.parameters()),
            "unpacked": decoder.num_parameters(),
        },
    }


def count_experiment(
    study: Study, experiment: Experiment, config: PretrainedConfig, reported: Mapping[str, Any]
) -> dict[str, Any]:
    """Parameters and training budget of one experiment; the budget is None if nothing trains."""
    spec = training_spec(study, experiment.key)
    model = FAMILIES[experiment.family].skeleton(config, spec, trains(experiment))
    if not trains(experiment):
        model.requires_grad_(False)
    counts = parameter_counts(model)
    counts["trainable_tensors"] = len(counts["trainable_tensors"])
    outside_embeddings = model.num_parameters(exclude_embeddings=True) if hasattr(model, "num_parameters") else None
    printed = {**reported_parameters(reported, experiment.key), **reported_training(reported, experiment.key)}
    return {
        "title": experiment.title,
        "parameters": counts,
        "training": training_plan(study, experiment, spec, outside_embeddings),
        "reported": {key: value for key, value in printed.items() if isinstance(value, int | float)},
    }


def training_plan(
    study: Study, experiment: Experiment, spec: Mapping[str, Any], outside_embeddings: int | None
) -> dict[str, Any] | None:
    """Steps, epochs, examples, padded tokens and operations; None without a training or if the rows are unknown."""
    examples = training_examples(study.data)
    if not trains(experiment) or examples is None:
        return None
    budget = training_budget(spec["training"], examples)
    tokens = padded_tokens(spec["tokenization"], budget["examples"])
    return {**budget, "tokens": tokens, "total_flops": total_flops(tokens, outside_embeddings)}


def parameters_table(counts: Mapping[str, Any]) -> str:
    """The counts as Markdown tables: base models, experiments (with the original's figures), trainings."""
    models = counts["models"]
    lines = [
        f"# Parameters and training lengths, {counts['scale']} scale\n",
        f"Encoder {models['encoder']['name']}: {integer(models['encoder']['parameters'])} parameters with its head.",
        f"Decoder {models['decoder']['name']}: {integer(models['decoder']['packed'])} as packed in memory, "
        f"{integer(models['decoder']['unpacked'])} unpacked.\n",
        "*As tabled*: counted over the rows of a layer table, where PEFT's second reference to the word embeddings",
        "counts again. *Reported*: the original's figure.\n",
        _parameters_rows(counts["experiments"]),
        _layer_rows(counts["experiments"]),
        _training_rows(counts["experiments"]),
    ]
    return "\n".join(lines)


def _parameters_rows(experiments: Mapping[str, Any]) -> str:
    columns = {"Experiment": "l"}
    for measure in ("Total", "Trainable"):
        columns |= {measure: "r", f"{measure}, as tabled": "r", f"{measure}, reported": "r"}
    rows = []
    for key, entry in experiments.items():
        counts = entry["parameters"]
        cells = []
        for measure in ("total", "trainable"):
            cells += [counts[measure], counts["as_reported"][measure], entry["reported"].get(measure)]
        rows.append([f"`{key}`", *map(integer, cells)])
    return table(columns, rows, "Parameters.", "tbl-parameters")


def _layer_rows(experiments: Mapping[str, Any]) -> str:
    columns = {"Experiment": "l", "Layer": "l", "Parameters": "r", "Trainable": "r"}
    rows = [
        [f"`{key}`", row["name"], integer(row["parameters"]), integer(row["trainable"])]
        for key, entry in experiments.items()
        for row in entry["parameters"]["layers"]
    ]
    return table(columns, rows, "Rows of the encoder's layer table.", "tbl-layers") if rows else ""


def _training_rows(experiments: Mapping[str, Any]) -> str:
    columns = {"Experiment": "l", "Steps": "r", "Epochs": "r", "reported": "r", "Examples": "r"}
    columns |= {"Tokens, padded": "r", "Operations": "r", "Operations, reported": "r"}
    rows = []
    for key, entry in experiments.items():
        plan, printed = entry["training"], entry["reported"]
        if plan:
            steps, flops = integer(plan["steps"]), _exact(plan["total_flops"])
            epochs = [decimal(plan["epoch"]), decimal(printed.get("epoch"))]
            seen = [integer(plan["examples"]), integer(plan["tokens"])]
            rows.append([f"`{key}`", steps, *epochs, *seen, flops, _exact(printed.get("total_flops"))])
    return table(columns, rows, "Trainings.", "tbl-trainings") if rows else ""


def _exact(flops: float | None) -> str:
    """The number with every digit, such as 9.2619946328064e16."""
    return MISSING if flops is None else repr(flops).replace("e+", "e")
