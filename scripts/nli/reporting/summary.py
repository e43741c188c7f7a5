"""The summary of a scale's results, small enough to commit and to compare: summary.json and summary.csv."""

import csv
import io
from collections.abc import Iterator, Mapping
from statistics import stdev
from typing import Any

from nli.reporting.results import Experiment, Results, Run
from nli.study.experiments import FAMILIES

VERSION = 1
SCORES = ("n", "parsed", "accuracy", "parsed_accuracy", "macro_f1", "calibration_error")
INTERVALS = {"interval": "clustered_interval", "parsed_interval": "parsed_clustered_interval"}
COLUMNS = ("experiment", "split", "scorer", "n", "parsed", "accuracy", "low", "high", "parsed_accuracy", "seeds", "sd")


def summarize(results: Results) -> dict[str, Any]:
    """The scores, sizes and lengths of every experiment, the verdict on every claim, and what they were made from.

    Holds no times, paths or machine, so that equal results give an equal summary.
    """
    runs = [run for experiment in results.done() for run in experiment.runs]
    return {
        "version": VERSION,
        "scale": results.scale,
        "notice": results.study.get("notice"),
        "commits": sorted({run.run.get("git_commit") or "unknown" for run in runs}),
        "data": _data(results),
        "models": _models(results),
        "experiments": {experiment.key: _experiment(experiment) for experiment in results.experiments.values()},
        "claims": list(_claims(results)),
        "sweeps": results.ladders.get("sweeps") or {},
        "best": results.ladders.get("best") or {},
        "elsewhere": results.ladders.get("elsewhere") or {},
        "seeds": results.ladders.get("seeds") or {},
        "tasks": [_arrangement(each) for each in results.ladders.get("tasks") or []],
    }


def _arrangement(measured: Mapping[str, Any]) -> dict[str, Any]:
    """One arrangement of the several tasks, without the times in it."""
    tasks = {name: {k: v for k, v in task.items() if k != "seconds"} for name, task in measured["tasks"].items()}
    return {"experiment": measured["experiment"], "tasks": tasks}


def _data(results: Results) -> dict[str, Any]:
    splits = results.description.get("splits", {})
    known = {key: results.description.get(key) for key in ("source", "revision", "sha256")}
    return {**known, "rows": {name: split.get("n") for name, split in splits.items()}}


def _models(results: Results) -> dict[str, Any]:
    """The base models by role: title, licence, and the id, revision and hash that the runs recorded."""
    found: dict[str, Any] = {}
    for role, planned in results.study["models"].items():
        runs = (e.first.run for e in results.done() if e.first and FAMILIES[e.family].model == role)
        used = next((run["model"] for run in runs), {})
        found[role] = {"title": results.model_titles[role], "licence": planned.get("licence"), **used}
    return found


def _experiment(experiment: Experiment) -> dict[str, Any]:
    about = {key: getattr(experiment, key) for key in ("title", "origin", "family", "status", "problem", "scorer")}
    first = experiment.first
    if first is None:
        return about
    parameters, train = first.run.get("parameters") or {}, first.history.get("train") or {}
    return {
        **about,
        "seeds": [run.seed for run in experiment.runs],
        "parameters": {key: parameters.get(key) for key in ("total", "trainable")},
        "training": {key: train.get(key) for key in ("steps", "examples", "loss")},
        "scores": {split: _scores(experiment, first, split) for split in first.metrics["results"]},
    }


def _scores(experiment: Experiment, first: Run, split: str) -> dict[str, Any]:
    """The scores of a split by scorer, with intervals that account for shared premises.

    With several seeds, accuracies and intervals are those over the seeds; the other scores are the first seed's.
    """
    found = {}
    for scorer in first.metrics["results"][split]:
        scores = experiment.scores(split, scorer) or {}
        found[scorer] = {key: scores.get(key) for key in SCORES}
        found[scorer] |= {name: scores.get(key) for name, key in INTERVALS.items()}
        found[scorer]["by_seed"] = {
            str(run.seed): run.metrics["results"][split][scorer]["accuracy"]
            for run in experiment.runs
            if scorer in run.metrics["results"].get(split, {})
        }
    return found


def _claims(results: Results) -> Iterator[dict[str, Any]]:
    for name, ladder in results.ladders.get("ladders", {}).items():
        for rung in ladder["rungs"]:
            if rung["claim"] is None:
                continue
            step, scores = rung.get("step") or {}, rung.get("scores") or {}
            asked = {key: rung[key] for key in ("experiment", "scorer", "counted", "against", "expects", "margin")}
            yield {
                "ladder": name,
                "title": ladder["title"],
                "claim": rung["claim"],
                **asked,
                "verdict": rung.get("verdict"),
                "accuracy": scores.get("accuracy"),
                "difference": step.get("difference"),
                "interval": step.get("clustered_interval"),
                "p": step.get("p_holm"),
            }


def as_csv(summary: Mapping[str, Any]) -> str:
    """One line per experiment, split and scorer; accuracies are shares."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for key, experiment in summary["experiments"].items():
        for split, scorers in experiment.get("scores", {}).items():
            for scorer, scores in scorers.items():
                low, high = scores["interval"] or (None, None)
                row = {"experiment": key, "split": split, "scorer": scorer, "low": low, "high": high}
                values = {column: scores[column] for column in COLUMNS if column in scores}
                writer.writerow({**row, **values, "seeds": len(scores["by_seed"]), "sd": _spread(scores["by_seed"])})
    return stream.getvalue()


def _spread(by_seed: Mapping[str, float]) -> float | None:
    """The sample standard deviation over the seeds; None for one."""
    return stdev(by_seed.values()) if len(by_seed) > 1 else None
