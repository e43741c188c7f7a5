"""The report's input: every experiment of the study with its files, whether it ran or not.

An experiment without files is "not run". A file that is missing, unreadable, edited or of another run stops the report;
where the study is to report on what has finished (`finished_only`), its experiment is "failed", with the reason.
"""

import argparse
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from nli.base.errors import StudyError
from nli.base.journal import Job, failures, read_journal
from nli.data.predictions import read_predictions
from nli.data.run_files import (
    check_made_from,
    check_predictions_file,
    check_seal,
    check_trained,
    read_metrics,
    read_run,
    sealed,
)
from nli.measure.answers import Answers
from nli.measure.best import measure_best
from nli.measure.elsewhere import measure_elsewhere
from nli.measure.ladders import measure_ladders
from nli.measure.recount import check_scores
from nli.measure.reliability import measure_reliability
from nli.measure.seeds import measure_seeds
from nli.measure.sweeps import measure_sweeps
from nli.reporting.addresses import COMMAND, LABEL
from nli.reporting.markup import escape
from nli.reporting.tasks import read_tasks
from nli.study.experiments import FAMILIES
from nli.study.schema import Study
from nli.study.selected import seeds_of
from nli.study.sources import DRAWN
from nli.study.specs import prediction_spec
from nli.texts import fill

MEASURE_AGAIN = "delete it and rerun: the ladders are measured again"
BLOCKING = re.compile(r"fetch_|sample_data|link_model|make_model|make_random_model")  # jobs that all runs wait for
FAMILY_TITLES = {
    "baseline": "Baselines",
    "roberta": "{encoder}",
    "icl": "{decoder}, prompted",
    "qlora": "{decoder}, QLoRA",
    "linear_head": "{decoder}, linear head",
}


@dataclass(frozen=True)
class Run:
    """The files of one experiment and seed; `history` and `samples` are {} if there are none."""

    seed: int
    run: Mapping[str, Any]
    metrics: Mapping[str, Any]
    history: Mapping[str, Any]
    samples: Mapping[str, Any]


@dataclass(frozen=True)
class Experiment:
    """One experiment: its plan (`spec`), its outcome (`status`), and its runs by seed."""

    key: str
    spec: Mapping[str, Any]
    status: str  # "done", "failed" or "not run"
    problem: str  # the reason, for "failed"
    runs: tuple[Run, ...]
    over_seeds: Mapping[str, Any] = field(default_factory=dict)  # accuracies over several seeds, by split and scorer

    @property
    def family(self) -> str:
        return self.key.split("/")[0]

    @property
    def title(self) -> str:
        return str(self.spec.get("title") or self.key)

    @property
    def origin(self) -> str:
        """ "reported", "described" (in the original, without numbers), "repaired", "ours" or "baseline"."""
        return str(self.spec["origin"])

    @property
    def scorer(self) -> str:
        """The scorer whose numbers represent the experiment."""
        return next(iter(self.spec.get("scorers") or ()), FAMILIES[self.family].scorer)

    @property
    def first(self) -> Run | None:
        """The run of the first seed, which the detailed tables show."""
        return self.runs[0] if self.runs else None

    def scores(self, split: str = "matched", scorer: str | None = None) -> Mapping[str, Any] | None:
        """The metrics of the first seed, with accuracies and intervals over all seeds; None if there are none."""
        scorer = scorer or self.scorer
        first = find_scores(self.first, split, scorer) if self.first else None
        return first and {**first, **self.over_seeds.get(split, {}).get(scorer, {})}


@dataclass(frozen=True)
class Results:
    """Everything that tables and figures are made from."""

    study: Mapping[str, Any]
    experiments: Mapping[str, Experiment]
    description: Mapping[str, Any]  # of the data; {} if it is missing
    reported: Mapping[str, Any]
    ladders: Mapping[str, Any] = field(default_factory=dict)  # ladders.json; {} if it is missing
    points: Mapping[str, Experiment] = field(default_factory=dict)  # of the sweeps, which only their own figures show
    jobs: tuple[Job, ...] = ()  # those that have finished, with their times

    @property
    def everything(self) -> dict[str, Experiment]:
        """The experiments and the points of the sweeps."""
        return {**self.experiments, **self.points}

    @property
    def scale(self) -> str:
        return str(self.study.get("scale", ""))

    @property
    def sets(self) -> Mapping[str, Mapping[str, Any]]:
        """The evaluation sets of the config, by name: those drawn from the data, then those with rows of their own."""
        sets = self.study["data"]["sets"]
        return {name: sets[name] for name in (*DRAWN, *sets)}

    @property
    def family_titles(self) -> dict[str, str]:
        """The report's name for each family, in the report's order: plain text with the models' own names."""
        return {family: fill(title, self.model_titles) for family, title in FAMILY_TITLES.items()}

    @property
    def model_titles(self) -> dict[str, str]:
        """The report's name for each model, by role: its title, or the last part of its name."""
        models = self.study["models"]
        return {role: model["title"] or Path(model["name"] or role).name for role, model in models.items()}

    def caption(self, text: str) -> str:
        """A caption with the models' own names for {encoder} and {decoder}, as Markdown."""
        return fill(text, {role: escape(title) for role, title in self.model_titles.items()})

    def family(self, name: str) -> list[Experiment]:
        return [experiment for experiment in self.experiments.values() if experiment.family == name]

    def done(self) -> list[Experiment]:
        return [experiment for experiment in self.experiments.values() if experiment.status == "done"]

    def methods(self) -> list[Experiment]:
        """Every experiment except the chance baselines."""
        return [experiment for experiment in self.experiments.values() if experiment.family != "baseline"]


def chance_test(results: Results, experiment: Experiment) -> Mapping[str, Any] | None:
    """The test of an experiment against chance on the matched split, by its own scorer; None without one."""
    name = {"experiment": experiment.key, "split": "matched", "scorer": experiment.scorer, "counted": "all"}
    tests = results.ladders.get("standings") or []
    return next((test["chance"] for test in tests if name.items() <= test.items()), None)


def find_scores(run: Run, split: str, scorer: str) -> Mapping[str, Any] | None:
    return run.metrics.get("results", {}).get(split, {}).get(scorer)


def add_results_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of every script that reads a scale's results."""
    parser.add_argument("--results", type=Path, required=True, help="the scale's results folder")
    parser.add_argument("--study", type=Path, required=True, help="study.json of the scale")
    parser.add_argument("--data", type=Path, required=True, help="description.json of the data")
    parser.add_argument("--reported", type=Path, required=True, help="what the original found: reported.yaml")


def add_fragment_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of every script that makes parts of the report."""
    add_results_arguments(parser)
    parser.add_argument("--ladders", type=Path, required=True, help="the ladders as measured (JSON)")
    parser.add_argument("--output-dir", type=Path, required=True, help="folder for the output")
    parser.add_argument("--only", help="make one table (tbl-...) or figure (fig-...) alone, with its data")
    parser.add_argument(
        "--command", default=COMMAND, help=f"the command that the report prints for one table or figure, {LABEL}"
    )


def load_results(
    folder: Path,
    study: Path,
    reported: Path,
    description: Path,
    ladders: Path | None = None,
    keep_going: bool = False,
) -> Results:
    """Read a scale's results folder; only study.json and reported.yaml must exist.

    Args:
        ladders: the output of make_ladders; None: there are no ladders to show.
        keep_going: an experiment with a wrong file is "failed", as in a study with `finished_only`.

    Raises StudyError if one of the named files, except the description, is missing or broken, or else a file of a run.
    """
    plan = _read(study, json.loads)
    resolved = _resolved(study, plan)
    measured = read_ladders(ladders) if ladders else {}
    over_seeds = measured.get("over_seeds") or {}
    selected = {experiment.key for experiment in resolved.selected()}  # files of others may be from another config
    reasons = failures(folder) if resolved.finished_only else {}
    experiments = {}
    for key, spec in (plan.get("experiments") or {}).items():
        seeds = seeds_of(plan, spec) if key in selected else []
        loaded = load_experiment(folder, key, spec, seeds, resolved, keep_going or resolved.finished_only, reasons)
        experiments[key] = replace(loaded, over_seeds=over_seeds.get(key, {}))
    if ladders:
        check_measured(ladders, measured, experiments)
    points = {key: experiment for key, experiment in experiments.items() if key in resolved.points}
    return Results(
        study=plan,
        experiments={key: experiment for key, experiment in experiments.items() if key not in points},
        description=describe_data(description, plan),
        reported=_read(reported, yaml.safe_load),
        ladders=measured,
        points=points,
        jobs=tuple(job for job in read_journal(folder).jobs if job.state == "finished"),
    )


def read_ladders(path: Path) -> dict[str, Any]:
    """ladders.json; StudyError if it is edited or not whole."""
    measured = _read(path, json.loads)
    missing = [key for key in ("standings", "ladders", "pairs", "predictions", "content_sha256") if key not in measured]
    if missing:
        raise StudyError(f"{path}: {missing[0]}: missing; {MEASURE_AGAIN}")
    check_seal(path, measured, MEASURE_AGAIN)
    return measured


def check_measured(path: Path, measured: Mapping[str, Any], experiments: Mapping[str, Experiment]) -> None:
    """Raise StudyError unless ladders.json was measured from the predictions of these runs."""
    for key, experiment in experiments.items():
        for run in experiment.runs:
            if measured["predictions"].get(f"{key}/seed{run.seed}") != run.metrics["predictions"]:
                raise StudyError(
                    f"{path}: measured from other answers than those of {key}, seed {run.seed}; {MEASURE_AGAIN}"
                )


def describe_data(path: Path, plan: Mapping[str, Any]) -> dict[str, Any]:
    """description.json, with the descriptions of sets that have their own rows; {} if it is missing."""
    try:
        data = _read(path, json.loads)
    except StudyError:
        return {}
    for name in plan["data"]["sets"]:
        try:
            own = _read(path.parent / "sets" / f"{name}.json", json.loads)
        except StudyError:
            continue
        data["splits"][name], data["dropped"][name] = own["split"], own["dropped"]
        data["warnings"] += own["warnings"]
        if "overlap" in own:
            data.setdefault("overlap", {})[name] = own["overlap"]
        data.setdefault("sets", {})[name] = own
    return data


def load_experiment(
    folder: Path,
    key: str,
    spec: Mapping[str, Any],
    seeds: list[int],
    study: Study,
    keep_going: bool,
    reasons: Mapping[str, str],
) -> Experiment:
    """One experiment with its runs; StudyError for a wrong one or, to `keep_going`, "failed" with the reason.

    Args:
        reasons: why jobs failed (`failures`). They explain what is missing, not what is wrong.
    """
    runs, problems = [], []
    for seed in seeds:
        name = f"{key}/seed{seed}"
        failed = None if (folder / name / "metrics.json").exists() else reasons.get(name)
        try:
            run = None if failed else load_run(folder, key, seed, study)
        except StudyError as error:
            if not keep_going:
                raise
            failed, run = str(error).replace(f"{folder}/", ""), None
        if failed:
            problems.append(failed)
        if run:
            runs.append(run)
    status = "done" if runs else "failed" if problems else "not run"
    if status == "not run" and seeds:
        problems = blockers(spec, seeds, reasons)
    return Experiment(key, spec, status, "; ".join(problems), tuple(runs))


def blockers(spec: Mapping[str, Any], seeds: list[int], reasons: Mapping[str, str]) -> list[str]:
    """Why an experiment without a failed job has not run: its adapter's training failed, or a job for all of them."""
    lenders = [f"{spec.get('adapter')}/seed{seed}" for seed in seeds]
    lent = [f"needs {name}, which failed" for name in lenders if name in reasons]
    others = {"encoder", "decoder"} - {FAMILIES[spec["family"]].model}
    shared = (name for name in reasons if BLOCKING.match(name) and not others & set(name.split()))
    return lent or [reasons[name] for name in shared]


def load_run(folder: Path, key: str, seed: int, study: Study) -> Run | None:
    """The run of an experiment and seed; None if it has no files.

    Raises StudyError if it is incomplete, or if a file of it is edited, of another run, or made from another spec or
    other rows than the study's.
    """
    directory = folder / key / f"seed{seed}"
    if not any((directory / f"{name}.json").exists() for name in ("run", "metrics", "history", "samples")):
        return None
    path, spec = directory / "run.json", prediction_spec(study, key)
    run = read_run(path, {**{name: spec[name] for name in ("family", "name", "scale")}, "seed": seed})
    check_made_from(path, run, spec, {name: file_of_set(folder, name, study) for name in spec["evaluation"]["splits"]})
    metrics = read_metrics(directory / "metrics.json", run, spec)
    check_predictions_file(directory / "predictions.parquet", run, metrics)
    check_trained(directory, run)
    others = {name: directory / f"{name}.json" for name in ("history", "samples")}
    history, samples = (_read(path, json.loads) if path.exists() else {} for path in others.values())
    return Run(seed, run, metrics, history, samples)


def file_of_set(folder: Path, name: str, study: Study) -> Path:
    """The rows of an evaluation set in a scale's results folder."""
    return folder.joinpath("data", *(["sets"] if name in study.data.own_sets else []), f"{name}.parquet")


def _resolved(path: Path, plan: Mapping[str, Any]) -> Study:
    try:
        return Study.model_validate(plan)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise StudyError(f"{path}: {place}: {first['msg']}; delete it and rerun") from None


def _read(path: Path, parse: Any) -> Any:
    """The parsed content of a file; StudyError gives its path and what is wrong."""
    try:
        value = parse(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else "not readable"
        raise StudyError(f"{path}: {reason}; rerun the job that makes it") from error
    if not isinstance(value, dict):
        raise StudyError(f"{path}: not a mapping of keys; delete it and rerun")
    return value


def measure_results(folder: Path, results: Results) -> dict[str, Any]:
    """The content of ladders.json, from the predictions in a scale's results folder, with their SHA-256 by run."""
    everything = {key: read_answers(folder, experiment) for key, experiment in results.everything.items()}
    scorers = {key: experiment.scorer for key, experiment in results.everything.items()}
    used = {
        f"{key}/seed{run.seed}": run.metrics["predictions"]
        for key, experiment in results.everything.items()
        for run in experiment.runs
    }
    study = {**results.study, "experiments": {key: each.spec for key, each in results.experiments.items()}}
    answers = {key: everything[key] for key in results.experiments}
    ladders = measure_ladders(study, answers, scorers)
    measured = {
        **ladders,
        "sweeps": measure_sweeps(results.study, everything, scorers),
        "best": measure_best(study, answers, scorers),
        "seeds": measure_seeds(study, answers, scorers, ladders["ladders"]),
        "elsewhere": measure_elsewhere(study, answers, scorers),
        "tasks": read_tasks(folder, results.study),
        "reliability": {key: measure_reliability(left) for key, left in answers.items()},
        "predictions": used,
    }
    return sealed(measured)


def read_answers(folder: Path, experiment: Experiment) -> Answers:
    """An experiment's predictions by seed; StudyError if they are broken or do not give the scores in metrics.json."""
    frames = {}
    for run in experiment.runs:
        directory = folder / experiment.key / f"seed{run.seed}"
        frames[run.seed] = read_predictions(directory / "predictions.parquet")
        check_scores(directory / "metrics.json", run.metrics["results"], frames[run.seed])
    return Answers(experiment.status, experiment.problem, frames, experiment.first.run if experiment.first else {})


def reported_entry(reported: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """What the original printed about an experiment; {} for one that it did not run."""
    return reported["experiments"].get(key, {})


def reported_accuracy(
    reported: Mapping[str, Any], key: str, split: str = "matched", scorer: str | None = None
) -> str | None:
    """The accuracy that the original printed for an experiment, split and scorer, as printed; None if there is none.

    Without a scorer, the original's own. If a scorer has no number from the full evaluation, that of the original's
    small trial ("about 0.30") is used.
    """
    entry = reported_entry(reported, key)
    full, trial = (entry.get(name, {}).get(split, {}) for name in ("accuracy", "trial"))
    return {**trial, **full}.get(scorer) if scorer else next(iter(full.values()), None)


def reported_training(reported: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """The original's closing training numbers (loss, seconds, ...) of an experiment; {} for none."""
    return reported_entry(reported, key).get("train", {})


def reported_parameters(reported: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """The parameter counts that the original printed (or that follow from its table); {} for none."""
    return reported_entry(reported, key).get("parameters", {})
