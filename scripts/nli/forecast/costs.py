"""What the study will cost: wall time, GPU-hours and energy, from the rehearsals of its experiments."""

from collections.abc import Mapping
from typing import Any

from nli.data.sampling import tune_rows
from nli.forecast.budget import training_budget, training_examples
from nli.reporting.markup import MISSING, decimal, table
from nli.study.experiments import Experiment
from nli.study.schema import Study
from nli.study.specs import training_spec, trains

HOUR = 3600.0
PARTS = ("train", "merge", "answer")  # parts of a run; each that an experiment has is a job
SMALL_GPU_GIB = 14.6  # the least that a 16 GB card reports: a T4 with ECC, 14.6 to 15.0 depending on the driver
CUDA_CONTEXT_GIB = 0.5  # kernels and library workspaces on the device, outside the measured allocator


def predict_costs(study: Study, rehearsals: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The costs of the whole study, extrapolated from measured steps.

    Args:
        rehearsals: key -> what rehearse.py wrote.

    Returns:
        {"device", "runs", "experiments": {key: measurement with "predicted"}, "jobs": [{"name", "hours", "needs"}],
        "total": {"gpu_hours", "kwh", "complete"}}. Hours are for one device, without start-up, loading and adding an
        adapter to the weights; a run is an experiment with one seed, and the total is over all runs.
    """
    experiments = {
        key: {**measured, "predicted": predict(study, key, measured)} for key, measured in rehearsals.items()
    }
    predicted = {key: entry["predicted"] for key, entry in experiments.items() if entry["predicted"]}
    watts_known = predicted and all(p["kwh"] is not None for p in predicted.values())
    seeds = {key: len(study.seeds_of(study.experiments[key])) for key in experiments}
    return {
        "scale": study.scale,
        "device": next((entry["device"] for entry in experiments.values()), None),
        "runs": sum(seeds.values()),
        "experiments": experiments,
        "jobs": jobs(study, experiments),
        "total": {
            "gpu_hours": sum(seeds[key] * p[f"{part}_hours"] for key, p in predicted.items() for part in PARTS),
            "kwh": sum(seeds[key] * p["kwh"] for key, p in predicted.items()) if watts_known else None,
            "complete": len(predicted) == len(experiments),
        },
    }


def predict(study: Study, key: str, measured: Mapping[str, Any]) -> dict[str, Any] | None:
    """Hours and energy of one experiment and seed; None if it was not measured or the data's size is unknown."""
    examples, rows = training_examples(study.data), evaluation_rows(study, study.experiments[key])
    if measured["status"] != "measured" or rows is None or examples is None:
        return None
    training, merging, answering = measured["training"], measured["merging"], measured["answering"]
    answer = rows / answering["examples_per_second"]
    merge = rows / merging["examples_per_second"] if merging else 0.0  # its error is measured on the answered rows
    train = 0.0
    if training:
        budget = training_budget(training_spec(study, key)["training"], examples)
        train = budget["steps"] * training["seconds_per_step"]
        if study.experiments[key].epochs_evaluated:
            sample = sampled_rows(study, study.experiments[key], "matched")
            train += round(budget["epoch"]) * sample / answering["examples_per_second"]
    parts = [(train, training), (merge, merging), (answer, answering)]
    energy = [(seconds, own["watts"]) for seconds, own in parts if own]
    known = all(watts is not None for _, watts in energy)
    return {
        "train_hours": train / HOUR,
        "merge_hours": merge / HOUR,
        "answer_hours": answer / HOUR,
        "kwh": sum(seconds * watts for seconds, watts in energy) / HOUR / 1000 if known else None,
    }


def evaluation_rows(study: Study, experiment: Experiment) -> int | None:
    """Rows that an experiment answers, over its splits; None where the data's size is unknown."""
    sizes = [sampled_rows(study, experiment, split) for split in experiment.evaluation.splits]
    return None if None in sizes else sum(sizes)


def sampled_rows(study: Study, experiment: Experiment, split: str) -> int | None:
    """Rows of a split that an experiment answers, after its own cap; None where the data's size is unknown."""
    size, cap = split_rows(study, split), experiment.evaluation.examples
    return size if None in (size, cap) else min(size, cap)


def split_rows(study: Study, split: str) -> int | None:
    """The number of rows of an evaluated split, after the study's cap; None for files, which are not read here."""
    data = study.data
    if split in data.own_sets:
        size, cap = data.own_sets[split].rows, data.evaluation_examples
        return size if None in (size, cap) else min(size, cap)
    cap = data.tune_examples if split == "tune" else data.evaluation_examples
    if data.source == "hub" and data.rows and split == "tune":
        size = tune_rows(data.rows.train, data.tune_examples)
    elif data.source == "hub" and data.rows:
        size = getattr(data.rows, f"validation_{split}")
    elif data.source == "synthetic":
        size = getattr(data.synthetic, split)
    else:
        return None
    return size if cap is None else min(size, cap)


def jobs(study: Study, experiments: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every GPU job of the study with its hours and the names of the jobs that it waits for.

    Hours are None if the experiment was not measured or does not fit, because a sum without them would look complete.
    """
    planned = []
    for key, entry in experiments.items():
        for seed in study.seeds_of(study.experiments[key]):
            hours = entry["predicted"] or {f"{part}_hours": None for part in PARTS}
            source = getattr(study.experiments[key], "adapter", None) or key
            train = f"train {source} seed {seed}"
            if trains(study.experiments[key]):
                planned.append({"name": train, "hours": hours["train_hours"], "needs": []})
            needs = [train] if source in experiments and trains(study.experiments[source]) else []
            if getattr(study.experiments[key], "merge_into", None):
                merge = f"merge {key} seed {seed}"
                planned.append({"name": merge, "hours": hours["merge_hours"], "needs": needs})
                needs = [merge]
            planned.append({"name": f"answer {key} seed {seed}", "hours": hours["answer_hours"], "needs": needs})
    return planned


def rehearsal_table(costs: Mapping[str, Any]) -> str:
    """The measurements and predictions as Markdown."""
    columns = {"Experiment": "l", "Fits": "l", "Peak, GiB": "r", "Steps/s": "r", "Answers/s": "r"}
    columns |= {"Training, h": "r", "Merge, h": "r", "Answering, h": "r", "Energy, kWh": "r"}
    rows = [_row(key, entry) for key, entry in costs["experiments"].items()]
    total = costs["total"]
    reasons = {entry["reason"] for entry in costs["experiments"].values() if entry["status"] == "not measured"}
    lines = [
        f"# Rehearsal, {costs['scale']} scale, on {costs['device']}\n",
        "Measured steps at true size with random weights, extended to the whole study. A merge counts as the three "
        "passes that measure its error. Loading models, adding an adapter to the weights and saving are not counted.\n",
        *(f"Not measured: {reason}.\n" for reason in sorted(reasons)),
        table(columns, rows, "Rehearsal of every experiment, one seed.", "tbl-rehearsal"),
    ]
    if total["gpu_hours"]:
        part = "The study" if total["complete"] else "What was measured of the study"
        energy = f", {total['kwh']:.1f} kWh" if total["kwh"] is not None else ""
        lines.append(
            f"{part}, {costs['runs']} runs with all their seeds: {total['gpu_hours']:.2f} device-hours{energy}."
        )
    return "\n".join(lines)


def _row(key: str, entry: Mapping[str, Any]) -> list[str]:
    if entry["status"] != "measured":
        verdict = entry["reason"] if entry["status"] == "does not fit" else entry["status"]
        return [f"`{key}`", verdict, *[MISSING] * 7]
    training, merging, answering = entry["training"], entry["merging"], entry["answering"]
    peak = max(part["peak_memory_gib"][entry["memory"]] for part in (training, merging, answering) if part)
    context = CUDA_CONTEXT_GIB if entry["memory"] == "reserved" else 0.0
    fits = "yes" if peak + context <= SMALL_GPU_GIB else "yes, but not on a 16 GB GPU"
    predicted = entry["predicted"] or {}
    hours = {part: predicted.get(f"{part}_hours") for part in PARTS}
    return [
        f"`{key}`",
        fits,
        decimal(peak, 2),
        decimal(1 / training["seconds_per_step"] if training else None, 3),
        decimal(answering["examples_per_second"], 2),
        decimal(hours["train"] if training else None, 2),
        decimal(hours["merge"] if merging else None, 2),
        decimal(hours["answer"], 2),
        decimal(predicted.get("kwh"), 3),
    ]
