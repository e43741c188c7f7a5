# What the rules share: the checked study, paths, specs and resource classes. Imports no torch.

import json
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

sys.path.insert(0, str(Path(workflow.basedir) / "scripts"))

from nli.config import load_study, prediction_spec, spec_hash, training_spec
from nli.errors import StudyError


def stop(error):
    """End Snakemake with a StudyError's line and nothing else."""
    raise WorkflowError(str(error)) from None


try:
    STUDY = load_study(config, workflow.config_settings.overwrite_config)
except StudyError as error:
    stop(error)


pathvars:
    study=f"{STUDY.results}/{STUDY.scale}",


wildcard_constraints:
    name=r"\w+",
    seed=r"\d+",
    role="encoder|decoder",


# ---------------------------------------------------------------------------------------------- resources

# A class per kind of job, at the first attempt; a retry gets as much again. Memory in MB, run time in minutes.
RESOURCES = {
    "cpu": {"mem_mb": 4000, "runtime": 30, "gpu": 0},
    "gpu_small": {"mem_mb": 16000, "runtime": 240, "gpu": 1},
    "gpu_large": {"mem_mb": 32000, "runtime": 480, "gpu": 1},
}
NEEDS_GPU = STUDY.scale == "paper"
JOB_THREADS = 4 if NEEDS_GPU else 1  # tiny models: two one-thread jobs beat one two-thread job


def resource(kind, of):
    """The amount of resource `kind` for a job of class `of`, growing with the attempt (a GPU does not)."""
    amount = RESOURCES[of if NEEDS_GPU else "cpu"][kind]
    if kind == "gpu":
        return amount

    def scaled(wildcards, attempt):
        return amount * attempt

    return scaled


# ---------------------------------------------------------------------------------------------- specs


def study_path(*parts):
    """A path below this scale's results, for input functions (rules write `<study>/...`)."""
    return "/".join([STUDY.results, STUDY.scale, *parts])


def as_json(value):
    return json.dumps(value, ensure_ascii=False)


def spec_of_run(wildcards):
    """The part of an experiment's spec that its training, or its prediction, depends on."""
    spec = {"train": training_spec, "predict": prediction_spec}[wildcards.stage]
    return as_json(spec(STUDY, f"{wildcards.family}/{wildcards.name}"))


def spec_of_model(wildcards):
    model = getattr(STUDY.models, wildcards.role)
    return as_json(model.recipe.model_dump(exclude_none=True) if model.recipe else {})


def model_folder(role):
    """Where the base model lies: a user's own folder, or what fetch_model or a make rule writes."""
    model = getattr(STUDY.models, role)
    return model.name if model.source == "path" else study_path("models", model.source, role)


def checkpoint_folder(family):
    """Params function: where a run's training checkpoints lie.

    Outside the declared outputs, which Snakemake deletes when a job is killed, and named by the spec, so that a
    changed spec never resumes from another's checkpoint.
    """

    def folder(wildcards):
        digest = spec_hash(training_spec(STUDY, f"{family}/{wildcards.name}"))
        return study_path("checkpoints", family, wildcards.name, f"seed{wildcards.seed}-{digest}")

    return folder


def evaluation_splits(family):
    """Input function: the Parquet file of every split that an experiment of `family` answers."""

    def splits(wildcards):
        names = STUDY.experiments[f"{family}/{wildcards.name}"].evaluation.splits
        return [study_path("data", f"{name}.parquet") for name in names]

    return splits


def split_arguments(wildcards, input):
    """`--split NAME=FILE` for every split in the input."""
    return [f"--split={Path(path).stem}={path}" for path in input.splits]


# ---------------------------------------------------------------------------------------------- runs


def files_of_selected_runs(name, families=None):
    """One file of each selected run, for those families (default: all)."""
    return [
        study_path(experiment.key, f"seed{seed}", name)
        for experiment in STUDY.selected()
        for seed in STUDY.seeds
        if families is None or experiment.family in families
    ]


def metrics_of_selected_runs(wildcards):
    return files_of_selected_runs("metrics.json")


def announce_report():
    """Say where the report lies, if this run made one."""
    for name in ("report.html", "report.pdf"):
        if Path(study_path(name)).exists():
            print(study_path(name))


localrules:
    write_spec,
    write_model_spec,
    write_study,


rule write_spec:
    output:
        "<study>/specs/{family}/{name}/{stage}.json",
    params:
        spec=spec_of_run,
    message:
        "spec of {wildcards.family}/{wildcards.name}, {wildcards.stage}"
    shell:
        "printf '%s\n' {params.spec:q} > {output}"


rule write_model_spec:
    output:
        "<study>/specs/models/{role}.json",
    params:
        spec=spec_of_model,
    message:
        "spec of the {wildcards.role}"
    shell:
        "printf '%s\n' {params.spec:q} > {output}"


rule write_study:
    output:
        "<study>/study.json",
    params:
        study=as_json(STUDY.model_dump(mode="json")),
    message:
        "the study as resolved"
    shell:
        "printf '%s\n' {params.study:q} > {output}"
