# What the rules share: the checked study, paths, specs and resource classes. Imports no torch.

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(workflow.basedir) / "scripts"))

from nli.config import load_study, prediction_spec, spec_hash, training_spec
from nli.errors import StudyError


def resolve_study():
    """The checked study, and the user's own data files (so that a changed file is read again).

    Bad input ends Snakemake here with one line, before anything is planned.
    """
    try:
        study = load_study(config, workflow.config_settings.overwrite_config)
        if study.data.source != "files":
            return study, []
        from nli.data import input_files

        return study, input_files(study.data.path)
    except StudyError as error:
        sys.exit(f"error: {error}")


STUDY, SOURCE_FILES = resolve_study()


pathvars:
    study=f"{STUDY.results}/{STUDY.scale}",


wildcard_constraints:
    name=r"\w+",
    seed=r"\d+",
    role="encoder|decoder",


STUDY_IMAGE = "containers/study.sif"  # both are used with --use-singularity only
REPORT_IMAGE = "containers/report.sif"


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


def study_as_json(wildcards):
    return as_json(STUDY.model_dump(mode="json"))


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


# ---------------------------------------------------------------------------------------------- data


def fetch_arguments():
    """The arguments of fetch_data.py that this source takes."""
    data = STUDY.data
    if data.source == "hub":
        return ["--name", data.name, "--revision", data.revision]
    if data.source == "files":
        return ["--path", data.path]
    return ["--sizes", as_json(data.synthetic.model_dump())]


def sampling_arguments():
    """The arguments of sample_data.py; a cap that is null is left out."""
    data = STUDY.data
    options = {
        "--train-fraction": data.train_fraction,
        "--tune-examples": data.tune_examples,
        "--train-examples": data.train_examples,
        "--evaluation-examples": data.evaluation_examples,
    }
    return [
        str(part)
        for option, value in options.items()
        if value is not None
        for part in (option, value)
    ]


# ---------------------------------------------------------------------------------------------- models


def hub_arguments(wildcards):
    """Name and revision of a model on the hub."""
    model = getattr(STUDY.models, wildcards.role)
    return ["--name", model.name, "--revision", model.revision]


# ---------------------------------------------------------------------------------------------- qlora


def is_merge(wildcards):
    return STUDY.experiments[f"qlora/{wildcards.name}"].method == "merge"


def trained_experiment(wildcards):
    """The experiment whose adapter a run uses: its own, or the one that it merges."""
    return STUDY.experiments[f"qlora/{wildcards.name}"].adapter or f"qlora/{wildcards.name}"


def file_of_training(name):
    """Input function: a file of the training that a run's answers depend on."""

    def path(wildcards):
        return study_path(trained_experiment(wildcards), f"seed{wildcards.seed}", name)

    return path


def answering_model(wildcards):
    """The base decoder, or the merged one."""
    if is_merge(wildcards):
        return study_path("qlora", wildcards.name, f"seed{wildcards.seed}", "merged")
    return model_folder("decoder")


def answering_adapter(wildcards):
    return [] if is_merge(wildcards) else file_of_training("adapter")(wildcards)


def adapter_argument(wildcards, input):
    return f"--adapter {input.adapter}" if input.adapter else ""


# ---------------------------------------------------------------------------------------------- runs


def files_of_selected_runs(name):
    """One file of each selected run."""
    return [
        study_path(experiment.key, f"seed{seed}", name)
        for experiment in STUDY.selected()
        for seed in STUDY.seeds
    ]


def metrics_of_selected_runs(wildcards):
    return files_of_selected_runs("metrics.json")


def files_of_reported_runs(wildcards):
    """What the report is made from: the metrics of every selected run, which stand for its other files.

    With `finished_only` those that are there already: an arm that failed then appears in the report as such.
    """
    wanted = files_of_selected_runs("metrics.json")
    return [path for path in wanted if Path(path).exists()] if STUDY.finished_only else wanted


def report_sources():
    """Every source file of the report."""
    return sorted(str(path) for path in Path("report").rglob("*") if path.is_file())


def announce_report():
    """Say where the report lies, if this run made one."""
    for name in ("report.html", "report.pdf"):
        if Path(study_path(name)).exists():
            print(study_path(name))


def explain_failure():
    """Say how to get a report of the arms that did not fail."""
    print(
        "Some jobs failed: their logs are above. For a report of all that finished:\n"
        "  snakemake --cores 1 --config finished_only=true"
    )
