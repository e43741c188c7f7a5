# Shared by all rules: the checked study, paths, specs and resource classes.

import json
import os
import sys
from pathlib import Path

from snakemake.settings.types import DeploymentMethod

from nli.base.errors import StudyError
from nli.base.files import require_file
from nli.hub.model_files import broken_links, require_shipped, shipped_architecture, user_files
from nli.launch import containers
from nli.study.methods import METHODS
from nli.study.resolve import load_study
from nli.study.specs import (
    fetch_spec,
    model_spec,
    prediction_spec,
    rehearsal_spec,
    sampling_spec,
    set_spec,
    spec_hash,
    task_spec,
    training_spec,
    trains,
)


def resolve_study():
    """The checked study, and the user's data files (so that a changed file is read again).

    Bad input stops Snakemake here with one line, before anything is planned.
    """
    try:
        study = load_study(config, workflow.config_settings.overwrite_config)
        check_models(study)
        check_sets(study)
        if study.data.source != "files":
            return study, []
        from nli.data.raw import input_files

        return study, input_files(study.data.path)
    except StudyError as error:
        sys.exit(f"error: {error}")


def check_sets(study):
    """Raise StudyError if the file of an evaluation set cannot be read."""
    for name, source in study.answered_sets().items():
        if source.path:
            require_file(source.path, f"correct config.yaml: data.sets.{name}.source.path")


def check_models(study):
    """Raise StudyError if a user's model folder has no model, or if links point to files that are gone."""
    for role in ("encoder", "decoder"):
        model = getattr(study.models, role)
        try:
            if model.source == "path":
                user_files(model.name)
            if model.source == "random":
                require_shipped(model.name)
        except StudyError as error:
            raise StudyError(f"config.yaml: models.{role}.name: {error}") from None
        linked = Path(study.results, study.scale, "models", model.source, role)
        if broken_links(linked):
            raise StudyError(
                f"{linked}: the files that it links to are gone ({', '.join(broken_links(linked)[:3])}); "
                "restore them, or delete this folder and rerun to fetch or link the model again"
            )


STUDY, SOURCE_FILES = resolve_study()


pathvars:
    study=f"{STUDY.results}/{STUDY.scale}",


wildcard_constraints:
    name=r"\w+",
    seed=r"\d+",
    role="encoder|decoder",
    set=r"[a-z]\w*",
    task=r"[a-z]\w*",


# ---------------------------------------------------------------------------------------------- containers

USES_CONTAINERS = DeploymentMethod.APPTAINER in workflow.deployment_settings.deployment_method


def prepare_containers():
    """The two images, and those of them that the workflow builds.

    With containers in use, checks the program and sets the environment and binds of every container. Without them the
    images of the rules are ignored, and nothing is checked or built.
    """
    if not USES_CONTAINERS:
        return "containers/study.sif", "containers/report.sif", []
    repository = Path.cwd()
    try:
        program = containers.find_program()
        images = [containers.image_of(STUDY.containers, name) for name in containers.IMAGES]
        builds = containers.images_to_build(STUDY.containers)
        if builds:
            containers.check_builder(program)
        folders = containers.outside_folders(STUDY, repository)
        settings = workflow.deployment_settings
        settings.apptainer_args = containers.container_arguments(
            settings.apptainer_args, folders, os.environ
        )
        for name, value in containers.container_environment(STUDY, repository, os.environ).items():
            os.environ[f"{program.upper()}ENV_{name}"] = value
    except StudyError as error:
        sys.exit(f"error: {error}")
    return *images, builds


STUDY_IMAGE, REPORT_IMAGE, IMAGES_TO_BUILD = prepare_containers()


def image_file(image):
    """The input that makes a job wait for its image, if the workflow builds the image.

    `ancient`: a rebuilt image does not make results outdated.
    """
    return [ancient(image)] if image in IMAGES_TO_BUILD else []


def image_locks(wildcards):
    """The lock of an image, and with torch that of the libraries that its CUDA build requires."""
    libraries = ["containers/cuda.lock"] if wildcards.image == "study" else []
    return [f"containers/{wildcards.image}.lock", *libraries]


STUDY_FILE, REPORT_FILE = image_file(STUDY_IMAGE), image_file(REPORT_IMAGE)


# ---------------------------------------------------------------------------------------------- resources

JOB_THREADS = STUDY.machine.threads
LONG_JOBS_FIRST = (
    1  # the priority of the trainings: short jobs then keep every core busy to the end
)


def cpu_job(message):
    """The message with the job's resources, so that a dry run lists them for every job."""
    return f"{message} ({{threads}} threads, {{resources.mem_mb}} MB, {{resources.runtime}} min)"


def gpu_job(message):
    """The same for a job that may request a GPU."""
    return cpu_job(message).replace(" min)", " min, {resources.gpu} GPU)")


def resource(kind, of):
    """The amount of resource `kind` for a job of class `of`, scaled by the attempt (except GPUs)."""
    amount = getattr(STUDY.machine.jobs[of], kind)
    if kind == "gpu":
        return amount

    def scaled(wildcards, attempt):
        return amount * attempt

    return scaled


def job_class(name):
    """The resources of a job class, with a GPU only for GPU classes."""
    kinds = ["mem_mb", "runtime"] + (["gpu"] if name.startswith("gpu_") else [])
    return {kind: resource(kind, name) for kind in kinds}


# ---------------------------------------------------------------------------------------------- specs


def study_path(*parts):
    """A path below this scale's results, for input functions (rules write `<study>/...`)."""
    return "/".join([STUDY.results, STUDY.scale, *parts])


def as_json(value):
    return json.dumps(value, ensure_ascii=False)


SPECS = {"train": training_spec, "predict": prediction_spec, "rehearse": rehearsal_spec}
DATA_SPECS = {"fetch": fetch_spec, "sample": sampling_spec}


def spec_of_run(wildcards):
    """The part of an experiment's spec that its training, its prediction or its rehearsal depends on."""
    spec = SPECS[wildcards.stage]
    return as_json(spec(STUDY, f"{wildcards.family}/{wildcards.name}"))


def study_as_json(wildcards):
    return as_json(STUDY.model_dump(mode="json"))


def spec_of_model(wildcards):
    return as_json(model_spec(STUDY, wildcards.role))


def spec_of_data(wildcards):
    return as_json(DATA_SPECS[wildcards.step](STUDY))


def spec_of_set(wildcards):
    return as_json(set_spec(STUDY, wildcards.set))


def spec_of_task(wildcards):
    return as_json(task_spec(STUDY, wildcards.task, f"roberta/{wildcards.name}"))


def rewritten_where_it_differs(path, content):
    """Input function: no file, but forces the job that writes `content` to `path` if the file's content differs.

    Snakemake compares params with its record in `.snakemake`, which a second clone or a copied results folder lacks,
    and would otherwise take old numbers for those of a new config. A dry run shows a forced job and everything that
    depends on it; nothing is deleted. Only jobs that the targets need are checked.
    """

    def nothing(wildcards):
        file = study_path(path.format(**dict(wildcards.items())))
        if Path(file).exists() and Path(file).read_text() != f"{content(wildcards)}\n":
            workflow.dag.forcefiles.add(file)
        return []

    return nothing


def model_folder(role):
    """The folder of the base model or of links to it, made by the rule of its source."""
    return study_path("models", getattr(STUDY.models, role).source, role)


def checkpoint_folder(family):
    """Params function: the folder of a run's training checkpoints.

    It is not a declared output, which Snakemake would delete when a job is killed. Its name depends on spec, data and
    base model, so that a changed run never resumes from another's checkpoint.
    """

    def folder(wildcards):
        key = f"{family}/{wildcards.name}"
        digest = spec_hash({**training_spec(STUDY, key), "sources": sources_of(key)})
        return study_path("checkpoints", family, wildcards.name, f"seed{wildcards.seed}-{digest}")

    return folder


def checkpoints_of_task(wildcards):
    """Params function: the same for one of several tasks."""
    key = f"roberta/{wildcards.name}"
    digest = spec_hash({**task_spec(STUDY, wildcards.task, key), "sources": sources_of(key)})
    return study_path("checkpoints", "tasks", wildcards.name, f"{wildcards.task}-{digest}")


def sources_of(key):
    """The data and the base model that an experiment trains on."""
    model = getattr(STUDY.models, STUDY.experiments[key].model)
    return {
        "data": STUDY.data.model_dump(mode="json", exclude={"sets", "gb"}),
        "model": model.model_dump(mode="json", exclude={"title", "gb", "licence"}),
    }


def evaluation_splits(family):
    """Input function: the Parquet file of every split that an experiment of `family` answers."""

    def splits(wildcards):
        return splits_of_experiment(f"{family}/{wildcards.name}")

    return splits


def splits_of_run(wildcards):
    """Input function: the same for a rule of every family."""
    return splits_of_experiment(f"{wildcards.family}/{wildcards.name}")


def splits_of_experiment(key):
    return [path_of_set(name) for name in STUDY.experiments[key].evaluation.splits]


def path_of_set(name, ending="parquet"):
    """The file of a set's rows or its description; sets with their own rows have a separate folder."""
    folder = ["data", "sets"] if name in STUDY.data.own_sets else ["data"]
    return study_path(*folder, f"{name}.{ending}")


def descriptions_of_sets():
    """The description of every evaluated set with its own rows."""
    return [path_of_set(name, "json") for name in STUDY.answered_sets()]


def file_of_set(wildcards):
    """Input function: the user's file of a set, so that changes are noticed; none for a set on the hub."""
    return STUDY.data.own_sets[wildcards.set].path or []


def split_arguments(wildcards, input):
    """`--split NAME=FILE` for every split in the input."""
    return [f"--split={Path(path).stem}={path}" for path in input.splits]


# ---------------------------------------------------------------------------------------------- data


def fetch_arguments():
    """The arguments of fetch_data.py for this source."""
    data = STUDY.data
    if data.source == "hub":
        rows = ["--rows", as_json(data.rows.model_dump())] if data.rows else []
        return ["--name", data.name, "--revision", data.revision, "--cache", STUDY.cache, *rows]
    if data.source == "files":
        return ["--path", data.path]
    return ["--sizes", as_json(data.synthetic.model_dump())]


def sampling_arguments():
    """The arguments of sample_data.py, without caps that are null."""
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
    """Name and revision of a model on the hub, and the cache for fetched files."""
    model = getattr(STUDY.models, wildcards.role)
    return ["--name", model.name, "--revision", model.revision, "--cache", STUDY.cache]


def user_model(wildcards):
    return getattr(STUDY.models, wildcards.role).name


def user_model_files(wildcards):
    """The files of the user's model, so that changes are noticed."""
    return [str(path) for path in user_files(user_model(wildcards))]


def base_arguments(role):
    """What a trained model calls its base: the name and commit on the hub, or the folder, seen from that of its run."""
    model = getattr(STUDY.models, role)
    if model.source == "hub":
        return ["--base", model.name, "--revision", model.revision]
    return ["--base", f"../../../models/{model.source}/{role}"]


def licence_argument(wildcards):
    """`--licence ...` for the card of a run, if its base model's licence is known."""
    role = STUDY.experiments[f"{wildcards.family}/{wildcards.name}"].model
    licence = getattr(STUDY.models, role).licence if role else None
    return ["--licence", licence] if licence else []


def architecture(role):
    """A model's configuration: the file that ships with the code, else the model's folder."""
    model = getattr(STUDY.models, role)
    shipped = shipped_architecture(model.name)
    known = model.source in ("hub", "random") and Path(workflow.basedir, shipped).exists()
    return shipped if known else model_folder(role)


def architecture_of_role(wildcards):
    """The configuration of a model with random weights."""
    return shipped_architecture(getattr(STUDY.models, wildcards.role).name)


# ---------------------------------------------------------------------------------------------- roberta


def trained_files(name):
    """Input function: a file of an encoder's training; none for an encoder that is not trained."""

    def path(wildcards):
        key = f"roberta/{wildcards.name}"
        if not trains(STUDY.experiments[key]):
            return []
        return study_path(key, f"seed{wildcards.seed}", name)

    return path


def trained_arguments(wildcards, input):
    return f"--trained {input.trained} --record {input.record}" if input.trained else ""


def those_to_report(paths):
    """The paths; with `finished_only` those that exist, so that a failed experiment is shown as failed."""
    return [path for path in paths if Path(path).exists()] if STUDY.finished_only else paths


# ---------------------------------------------------------------------------------------------- tasks


def tasks_of_adapter(name):
    """Input function: a file of every task's training with one method."""

    def paths(wildcards):
        return [study_path("tasks", wildcards.name, task, name) for task in STUDY.tasks.tasks]

    return paths


def task_arguments(wildcards):
    return [f"--task={task}" for task in STUDY.tasks.tasks]


def files_of_tasks(wildcards):
    """The files of the several tasks that the report reads."""
    wanted = []
    for key in STUDY.tasks.experiments if STUDY.tasks else []:
        name = STUDY.experiments[key].name
        for task in STUDY.tasks.tasks:
            wanted += [
                study_path("tasks", name, task, file) for file in ("answers.parquet", "record.json")
            ]
        if METHODS[STUDY.experiments[key].method].adapter:
            wanted.append(study_path("tasks", name, "switching.json"))
    return those_to_report(wanted)


# ---------------------------------------------------------------------------------------------- icl


def examples_to_draw_from(wildcards):
    """Input function: the training split, if an experiment's prompt draws worked examples from it."""
    prompt = STUDY.prompts[STUDY.experiments[f"icl/{wildcards.name}"].prompt]
    return study_path("data", "train.parquet") if prompt.drawn else []


def example_arguments(wildcards, input):
    return f"--examples {input.examples}" if input.examples else ""


# ---------------------------------------------------------------------------------------------- qlora


def is_merge(wildcards):
    return STUDY.experiments[f"qlora/{wildcards.name}"].method == "merge"


def trained_experiment(wildcards):
    """The experiment whose adapter a run uses: itself, or the one in its `adapter`."""
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


def error_of_merge(wildcards):
    """Input function: the merge's error, for the run's record; none without a merge."""
    if not is_merge(wildcards):
        return []
    return study_path("qlora", wildcards.name, f"seed{wildcards.seed}", "merge_error.json")


def adapter_argument(wildcards, input):
    return f"--adapter {input.adapter}" if input.adapter else f"--merge-error {input.error}"


# ---------------------------------------------------------------------------------------------- rehearsal


def architecture_of_run(wildcards):
    """The configuration of the base model that an experiment uses."""
    return architecture(STUDY.experiments[f"{wildcards.family}/{wildcards.name}"].model)


def rehearsals(wildcards):
    return [
        study_path("rehearsals", f"{experiment.key}.json") for experiment in STUDY.using_models()
    ]


# ---------------------------------------------------------------------------------------------- runs


def metrics_of_selected_runs(wildcards):
    return those_to_report(
        [
            study_path(experiment.key, f"seed{seed}", "metrics.json")
            for experiment in STUDY.selected()
            for seed in STUDY.seeds_of(experiment)
        ]
    )


def files_of_run(experiment):
    """The files of a run that the report reads: answers, scores, record and, after a training, losses and samples."""
    names = ["predictions.parquet", "metrics.json", "run.json"]
    names += ["history.json"] if trains(experiment) else []
    return names + (["samples.json"] if trains(experiment) and experiment.family == "qlora" else [])


def files_of_reported_runs(wildcards):
    """Every file of every selected run that the report reads."""
    wanted = [
        study_path(experiment.key, f"seed{seed}", name)
        for experiment in STUDY.selected()
        for seed in STUDY.seeds_of(experiment)
        for name in files_of_run(experiment)
    ]
    return those_to_report(wanted)


def in_reports(path, kind):
    """A file of every run that `snakemake --report` shows, by family."""
    labels = {"experiment": "{name}", "seed": "{seed}", "file": kind}
    return report(
        path,
        caption="captions/run.rst",
        category="Experiments",
        subcategory="{family}",
        labels=labels,
    )


def library(*rooms):
    """The source files of the library's folders, for rules that are cheap enough to rerun when their code changes.

    An edit never discards a training; `snakemake status` lists results made by other code.
    """
    return sorted(str(path) for room in rooms for path in Path("scripts/nli", room).rglob("*.py"))


SCORING_CODE = library("base", "data", "measure", "study")
CARD_CODE = ["scripts/nli/reporting/card.py", "scripts/nli/reporting/markup.py"]
REPORT_CODE = [
    *SCORING_CODE,
    "scripts/nli/provenance.py",
    "scripts/nli/texts.py",
    *library("reporting"),
]


def report_sources():
    """Every source file of the report."""
    return sorted(str(path) for path in Path("report").rglob("*") if path.is_file())
