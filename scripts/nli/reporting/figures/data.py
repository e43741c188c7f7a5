"""What each figure shows, as records: a CSV goes with it, so that no number has to be read off a picture."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nli.base.labels import LABELS
from nli.reporting.figures.comparison import costs, hours, reliable, trained
from nli.reporting.figures.workflow import PLACES, rules_of, total
from nli.reporting.results import Experiment, Results, reported_accuracy
from nli.reporting.tables.data import described_splits, split_titles

Record = dict[str, Any]


def about(experiment: Experiment) -> Record:
    return {"experiment": experiment.key, "title": experiment.title}


def accuracies(results: Results, experiments: Sequence[Experiment]) -> list[Record]:
    """Strict and parsed-only accuracy with their intervals, chance, and the original's accuracy, all as shares."""
    return [{**about(each), **accuracy_of(each), "reported": reported(results, each)} for each in experiments]


def accuracy_of(experiment: Experiment) -> Record:
    scores = experiment.scores()
    if scores is None:
        return {"status": experiment.status}
    return {
        "status": experiment.status,
        **{key: scores[key] for key in ("n", "parsed", "accuracy")},
        **ends("", scores["clustered_interval"]),
        "parsed_accuracy": scores["parsed_accuracy"],
        **ends("parsed_", scores["parsed_clustered_interval"]),
        "chance": scores["majority_accuracy"],
    }


def ends(prefix: str, bounds: Sequence[float] | None) -> Record:
    """The ends of an interval, as `low` and `high`."""
    low, high = bounds or (None, None)
    return {f"{prefix}low": low, f"{prefix}high": high}


def reported(results: Results, experiment: Experiment) -> str | None:
    return reported_accuracy(results.reported, experiment.key)


def accuracy(results: Results) -> list[Record]:
    return accuracies(results, [each for family in results.family_titles for each in results.family(family)])


def prompts(results: Results) -> list[Record]:
    return accuracies(results, results.family("icl"))


def answers(results: Results) -> list[Record]:
    """How often each experiment gives each answer."""
    return [
        {**about(experiment), "answer": name, "count": count, "share": count / scores["n"]}
        for experiment in results.done()
        if (scores := experiment.scores())
        for name, count in scores["answers"].items()
    ]


def labels(results: Results) -> list[Record]:
    """How often each label is right in each split."""
    titles = split_titles(results)
    return [
        {"split": name, "title": titles[name], "label": label, "count": split["labels"].get(label, 0), "n": split["n"]}
        for name, split in described_splits(results).items()
        for label in LABELS
    ]


def curves(*families: str) -> Callable[[Results], list[Record]]:
    """The logged losses and, if there are any, the scores after each epoch of the trainings of some families."""

    def records(results: Results) -> list[Record]:
        trained = [each for family in families for each in results.family(family) if each.first]
        return [
            {"experiment": each.key, "at": at, **entry}
            for each in trained
            for at, entries in (("step", "steps"), ("epoch", "epochs"))
            for entry in each.first.history.get(entries, [])
        ]

    return records


def confusion(family: str) -> Callable[[Results], list[Record]]:
    """The counts of one family's confusion matrices."""

    def records(results: Results) -> list[Record]:
        return [
            {**about(experiment), "gold": gold, "answer": answer, "count": count}
            for experiment in results.family(family)
            if (scores := experiment.scores())
            for gold, counts in zip(LABELS, scores["confusion"]["counts"], strict=True)
            for answer, count in zip((*LABELS, "unparsed"), counts, strict=True)
        ]

    return records


def pairs(results: Results) -> list[Record]:
    """Every comparison of two experiments: the accuracy of the second minus that of the first, and the adjusted p."""
    found = (results.ladders.get("pairs") or {}).get("comparisons") or []
    return [{key: test.get(key) for key in ("first", "second", "n", "difference", "p_holm")} for test in found]


def cost(results: Results) -> list[Record]:
    """Accuracy in percent, hours of training and trained parameters."""
    return [
        {**about(experiment), "accuracy": accuracy, "hours": hours(experiment), "trained": int(trained(experiment))}
        for experiment, _, accuracy in costs(results, hours)
    ]


def reliability(results: Results) -> list[Record]:
    """The bins of every diagram, and the calibration errors."""
    return [
        {**about(experiment), "scorer": scorer, "calibration_error": found["error"], **bin}
        for experiment, by_scorer in reliable(results)
        for scorer, found in by_scorer.items()
        for bin in found["bins"]
    ]


def ladder(measured: Mapping[str, Any]) -> list[Record]:
    """Every rung: its accuracy, its paired difference from the rung it is compared with, and its claim's verdict."""
    return [
        {
            "rung": i,
            **{key: rung[key] for key in ("experiment", "title", "scorer", "counted", "status", "claim", "verdict")},
            **rung_scores(rung["scores"]),
            **rung_step(rung["step"]),
        }
        for i, rung in enumerate(measured["rungs"], start=1)
    ]


def rung_scores(scores: Mapping[str, Any] | None) -> Record:
    return {} if not scores else {"accuracy": scores["accuracy"], **ends("", scores["clustered_interval"])}


def rung_step(step: Mapping[str, Any] | None) -> Record:
    if not step:
        return {}
    difference = {"from_rung": step["from"] + 1, "difference": step["difference"], "p_holm": step["p_holm"]}
    return {**difference, **ends("difference_", step["clustered_interval"])}


def sweep(results: Results, measured: Mapping[str, Any]) -> list[Record]:
    """Every point of a sweep's curves: its value, accuracy, and those of its seeds."""
    return [
        {
            **about(results.everything[point["experiment"]]),
            "curve": base,
            "value": point["value"],
            "accuracy": point["accuracy"],
            **ends("", point["interval"] if point["accuracy"] is not None else None),
            **{f"seed{seed}": accuracy for seed, accuracy in (point.get("seeds") or {}).get("values", {}).items()},
        }
        for base, curve in measured["curves"].items()
        for point in curve
    ]


def tasks(results: Results) -> list[Record]:
    """Each task in each arrangement: accuracy, and the bytes that it adds to the base."""
    return [
        {
            "experiment": arrangement["experiment"],
            "task": name,
            **{key: task.get(key) for key in ("n", "accuracy", "chance", "bytes", "trained", "left_out")},
            **ends("", task.get("interval")),
        }
        for arrangement in results.ladders["tasks"]
        for name, task in arrangement["tasks"].items()
    ]


def jobs(results: Results) -> list[Record]:
    """Every rule with its finished jobs and their seconds together."""
    by_rule = {name: [job for job in results.jobs if job.rule in rules_of(name)] for name in PLACES}
    return [{"rule": name, "jobs": len(jobs), "seconds": round(total(jobs), 1)} for name, jobs in by_rule.items()]
