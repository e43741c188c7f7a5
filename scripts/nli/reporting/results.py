"""The report's input: every experiment of the study with its files, whether it ran or not.

An experiment without files is "not run". A file that is missing, unreadable, edited or of another run stops the report;
where the study is to report on what has finished (`finished_only`), its experiment is "failed", with the reason.
"""

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from nli.base.errors import StudyError
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
from nli.measure.ladders import measure_ladders
from nli.measure.recount import check_scores
from nli.measure.reliability import measure_reliability
from nli.reporting.markup import escape
from nli.study.experiments import FAMILIES
from nli.study.schema import Study
from nli.study.sources import DRAWN
from nli.study.specs import prediction_spec
from nli.texts import fill

MEASURE_AGAIN = "delete it and rerun: the ladders are measured again"
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


def unmerged(results: Results, experiment: Experiment) -> str:
    """The experiment that asks a merge's adapter on its base like the merge, or else the one that trained it."""
    adapter, asked = experiment.spec["adapter"], ("evaluation_text", "generation")
    users = (other for other in results.family("qlora") if adapter in (other.key, other.spec.get("adapter")))
    alike = (
        other.key
        for other in users
        if other.spec.get("method") != "merge" and all(other.spec.get(key) == experiment.spec.get(key) for key in asked)
    )
    return next(alike, adapter)


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
    experiments = {}
    for key, spec in (plan.get("experiments") or {}).items():
        seeds = seeds_of(plan, spec) if is_selected(key, spec, plan.get("only")) else []
        loaded = load_experiment(folder, key, spec, seeds, resolved, keep_going or resolved.finished_only)
        experiments[key] = replace(loaded, over_seeds=over_seeds.get(key, {}))
    if ladders:
        check_measured(ladders, measured, experiments)
    return Results(
        study=plan,
        experiments=experiments,
        description=describe_data(description, plan),
        reported=_read(reported, yaml.safe_load),
        ladders=measured,
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


def seeds_of(plan: Mapping[str, Any], spec: Mapping[str, Any]) -> list[int]:
    """The seeds of an experiment in study.json: its own, or the study's."""
    return spec.get("seeds") or plan.get("seeds") or []


def is_selected(key: str, spec: Mapping[str, Any], only: list[str] | None) -> bool:
    """Whether `only` selects an experiment; files of others may be from another configuration."""
    return not only or bool({key, spec["family"], spec["origin"]} & set(only))


def load_experiment(
    folder: Path, key: str, spec: Mapping[str, Any], seeds: list[int], study: Study, keep_going: bool
) -> Experiment:
    """One experiment with its runs; StudyError for a wrong one or, to `keep_going`, "failed" with the reason."""
    runs, problems = [], []
    for seed in seeds:
        try:
            run = load_run(folder, key, seed, study)
        except StudyError as error:
            if not keep_going:
                raise
            problems.append(str(error).replace(f"{folder}/", ""))
            continue
        if run:
            runs.append(run)
    status = "done" if runs else "failed" if problems else "not run"
    return Experiment(key, spec, status, "; ".join(problems), tuple(runs))


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
    answers = {key: read_answers(folder, experiment) for key, experiment in results.experiments.items()}
    scorers = {key: experiment.scorer for key, experiment in results.experiments.items()}
    used = {
        f"{key}/seed{run.seed}": run.metrics["predictions"]
        for key, experiment in results.experiments.items()
        for run in experiment.runs
    }
    measured = {
        **measure_ladders(results.study, answers, scorers),
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
