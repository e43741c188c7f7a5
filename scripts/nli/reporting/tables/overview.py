"""Tables over all experiments: results, the closing comparison, parameters, costs and provenance."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nli.base.labels import LABELS
from nli.reporting.markup import GROUP, MISSING, code, decimal, escape, integer, interval, percent, short_commit, table
from nli.reporting.original_scores import MARKS, explained, judge, reported_cell
from nli.reporting.results import (
    Experiment,
    Results,
    chance_test,
    find_scores,
    reported_accuracy,
    reported_parameters,
    reported_training,
)
from nli.reporting.tables.data import two_classes
from nli.reporting.tables.ladders import stands
from nli.reporting.tables.roberta import status_cells
from nli.study.selected import seeds_of

ORIGINS = {
    "reported": "reported",
    "described": "described",
    "repaired": "repair (ours)",
    "ours": "ours",
    "baseline": "baseline (ours)",
}


def by_family(results: Results, width: int, row: Callable[[Experiment], Sequence[str]]) -> list[Sequence[str]]:
    """A row for each experiment under a heading row for each family; `width` columns."""
    rows: list[Sequence[str]] = []
    for family, title in results.family_titles.items():
        experiments = results.family(family)
        if experiments:
            rows.append([f"**{escape(title)}**", *[""] * (width - 1)])
            rows += [row(experiment) for experiment in experiments]
    return rows


def experiments(results: Results) -> str:
    """The origin and status of every experiment."""
    rows = by_family(
        results,
        4,
        lambda experiment: [
            escape(experiment.title),
            ORIGINS[experiment.origin],
            experiment.status,
            escape(experiment.problem) if experiment.problem else "",
        ],
    )
    columns = {"Experiment": "l", "Origin": "l", "Status": "l", "Remark": "l"}
    if not any(experiment.problem for experiment in results.experiments.values()):
        rows = [row[:3] for row in rows]
        columns.pop("Remark")
    caption = (
        "The experiments. *Reported*: in the original, with numbers. *Described*: named there without numbers. "
        "*Repair*: our repair of an experiment that failed there, or a step towards one. *Ours*: not in the original. "
        "*Baseline*: ours, for comparison."
    )
    return table(columns, rows, caption, "tbl-experiments")


def all_results(results: Results) -> str:
    """Accuracy of every experiment on the matched split by its own way of scoring."""

    def row(experiment: Experiment) -> Sequence[str]:
        scores = experiment.scores()
        printed = reported_cell(results.reported, experiment.key)
        if scores is None:
            return [escape(experiment.title), *status_cells(experiment, 6), printed, MISSING]
        test = chance_test(results, experiment)
        return [
            escape(experiment.title),
            integer(scores["n"]),
            percent(scores["accuracy"]),
            interval(scores["interval"]),
            interval(scores["clustered_interval"]),
            decimal(scores["design_effect"], 2),
            percent(scores["parsed_accuracy"]),
            printed,
            f"{stands(test)} {percent(test['accuracy'], 1)}" if test else MISSING,
        ]

    columns = {
        "Experiment": "l",
        "n": "r",
        f"Accuracy, %{GROUP}all": "r",
        f"95% interval{GROUP}rows": "r",
        f"95% interval{GROUP}premises": "r",
        "Design effect": "r",
        f"Accuracy, %{GROUP}parsed only": "r",
        f"Accuracy, %{GROUP}reported": "r",
        "Chance, %": "l",
    }
    caption = (
        "All experiments on the matched split. *All*: an answer that names no label is wrong. *Parsed only*: "
        "such answers are left out, as the original did for its prompts. *95% interval, rows*: as if rows were "
        "independent; *premises*: with the number of rows divided by the design effect, because rows share premises. "
        "*Chance*: the best constant answer on the same pairs; *above*: better than it (McNemar's mid-p by premise, "
        "Holm over all experiments and ways of judging them); *below*: worse than even the worst constant answer; "
        "*not separable*: neither."
    )
    rows = by_family(results, len(columns), row)
    return table(columns, rows, explained(caption, rows), "tbl-all-results")


def comparison(results: Results) -> str:
    """The original's closing table as printed, with our numbers next to its own."""
    rows: list[Sequence[str]] = []
    for entry in results.reported["comparison_table"]:
        key, theirs = entry["experiment"], entry["printed"]
        experiment = results.experiments.get(key)
        ours = [f"*{experiment.status if experiment else 'not run'}*", MISSING, MISSING]
        if experiment and experiment.first:
            train = experiment.first.history.get("train", {})
            scores = experiment.scores() or {}
            ours = [
                decimal(train.get("loss"), 4),
                percent(scores.get("accuracy")),
                decimal(train.get("seconds"), 0),
            ]
        judged = judge(results.reported, key)
        mark = MARKS[judged.verdict] if judged else ""
        printed = [decimal(theirs["loss"], 4), decimal(theirs["accuracy"], 2) + mark, integer(theirs["seconds"])]
        pairs = [cell for pair in zip(ours, printed, strict=True) for cell in pair]
        rows.append([escape(entry["approach"]), *pairs])
    columns = {"Approach": "l"}
    for measure in ("Training loss", "Accuracy, %", "Runtime, s"):
        columns |= {f"{measure}{GROUP}ours": "r", f"{measure}{GROUP}reported": "r"}
    caption = "The original's closing comparison, under its own names, with our numbers next to its own."
    return table(columns, rows, explained(caption, rows), "tbl-comparison")


def all_parameters(results: Results) -> str:
    """Total and trainable parameters of every experiment, next to the original's."""

    def row(experiment: Experiment) -> Sequence[str]:
        printed = reported_parameters(results.reported, experiment.key)
        theirs = [integer(printed.get("total")), integer(printed.get("trainable"))]
        audit = experiment.first.run.get("parameters") if experiment.first else None
        if not audit:
            cells = status_cells(experiment, 3) if not experiment.first else [MISSING] * 3
        else:
            total, trainable = audit.get("total"), audit.get("trainable")
            share = percent(trainable / total, 2) if total and trainable is not None else MISSING
            cells = [integer(total), integer(trainable), share]
        return [escape(experiment.title), cells[0], theirs[0], cells[1], theirs[1], cells[2]]

    columns = {
        "Experiment": "l",
        f"Total{GROUP}ours": "r",
        f"Total{GROUP}reported": "r",
        f"Trainable{GROUP}ours": "r",
        f"Trainable{GROUP}reported": "r",
        "Trainable, %": "r",
    }
    caption = (
        "Parameters of every experiment, each counted once. Four-bit weights are counted as they are packed, two to an "
        "element, as in the original's counts."
    )
    return table(columns, by_family(results, len(columns), row), caption, "tbl-all-parameters")


def class_scores(results: Results) -> str:
    """Precision, recall and F1 of each label, on the matched split."""

    def row(experiment: Experiment) -> Sequence[str]:
        scores = experiment.scores()
        if scores is None:
            return [escape(experiment.title), *status_cells(experiment, 10)]
        cells = [
            percent(scores["per_class"][label][measure], 0)
            for label in LABELS
            for measure in ("precision", "recall", "f1")
        ]
        return [escape(experiment.title), *cells, percent(scores["macro_f1"], 0)]

    columns = {"Experiment": "l"}
    for label in LABELS:
        columns |= {f"{label.capitalize()}{GROUP}{short}": "r" for short in ("P", "R", "F1")}
    columns["Macro F1"] = "r"
    caption = (
        "Precision (P), recall (R) and F1 by label, matched split, in percent. A label that is never "
        "answered has precision and F1 of 0."
    )
    return table(columns, by_family(results, len(columns), row), caption, "tbl-class-scores")


def set_scores(results: Results) -> str:
    """Accuracy on the evaluation sets with their own rows; a sentence if no experiment answers one."""
    sets = {
        name: each
        for name, each in results.sets.items()
        if isinstance(each["source"], Mapping) and each["role"] == "validation"
    }
    rows = []
    for experiment in results.experiments.values():
        scores = {name: experiment.scores(name) for name in sets}
        if any(scores.values()):
            cells = [
                f"{percent(s['accuracy'])} ({interval(s['clustered_interval'])})" if s else MISSING
                for s in scores.values()
            ]
            rows.append([escape(experiment.title), *cells])
    if not rows:
        return "No experiment of this study answers an evaluation set with rows of its own."
    columns = {"Experiment": "l"} | {f"{escape(each['title'])}, %": "r" for each in sets.values()}
    two = [escape(each["title"]) for each in sets.values() if two_classes(each)]
    caption = "Accuracy on further evaluation sets, with 95% intervals. Nothing was trained or chosen on them."
    if two:
        caption += (
            f" {' and '.join(two)}: two classes. The models answer with three labels, and those that the set does not "
            "tell apart count as one."
        )
    return table(columns, rows, caption, "tbl-set-scores")


def genre_scores(results: Results) -> str:
    """Accuracy by genre of the experiments whose accuracy on both validation splits the original printed."""
    experiments = [
        experiment
        for experiment in results.experiments.values()
        if reported_accuracy(results.reported, experiment.key, "mismatched")
    ]
    cells: dict[tuple[str, str], list[str]] = {}
    for i, experiment in enumerate(experiments):
        for split in ("matched", "mismatched"):
            for genre, scores in (experiment.scores(split) or {}).get("genres", {}).items():
                row = cells.setdefault((split, genre), [MISSING] * (1 + len(experiments)))
                row[0], row[i + 1] = integer(scores["n"]), percent(scores["accuracy"], 1)
    if not cells:
        return "No scores by genre: the source names no genres, or the runs have not finished."
    columns = {"Split": "l", "Genre": "l", "n": "r"} | {
        f"{escape(experiment.title)}, %": "r" for experiment in experiments
    }
    rows = [[split, escape(genre), *row] for (split, genre), row in cells.items()]
    return table(columns, rows, "Accuracy by genre.", "tbl-genre-scores")


def seeds(results: Results) -> str:
    """Mean and spread over seeds; a sentence if every experiment has one seed."""
    if all(len(seeds) < 2 for seeds in planned_seeds(results)):
        return (
            "The study ran with one seed, so the intervals of this report describe the uncertainty of "
            "the test sample, not that of training: another seed can fall outside them."
        )

    def row(experiment: Experiment) -> Sequence[str]:
        found = [find_scores(run, "matched", experiment.scorer) for run in experiment.runs]
        values = [scores["accuracy"] for scores in found if scores]
        if not values:
            return [escape(experiment.title), *status_cells(experiment, 4)]
        spread = percent(statistics.stdev(values)) if len(values) > 1 else MISSING
        ends = f"{percent(min(values))} to {percent(max(values))}"
        return [escape(experiment.title), str(len(values)), percent(statistics.mean(values)), spread, ends]

    columns = {"Experiment": "l", "Seeds": "r", "Mean, %": "r", "SD, points": "r", "Range, %": "r"}
    caption = "Accuracy over seeds on the matched split: how much the outcome of training varies."
    said = (
        "Accuracies, with their intervals and tests, are means over the seeds of each experiment. Confusion matrices, "
        "scores by label and by genre, training curves and costs are from its first seed."
    )
    return f"{said}\n\n{table(columns, by_family(results, len(columns), row), caption, 'tbl-seeds')}"


def planned_seeds(results: Results) -> dict[tuple[int, ...], list[str]]:
    """Seeds -> titles of the families that use them, or experiments' keys if a family has several."""
    planned: dict[tuple[int, ...], list[str]] = {}
    for family, title in results.family_titles.items():
        own = {experiment.key: tuple(seeds_of(results.study, experiment.spec)) for experiment in results.family(family)}
        for key, seeds in own.items():
            name = escape(title) if len(set(own.values())) == 1 else f"`{key}`"
            names = planned.setdefault(seeds, [])
            if name not in names:
                names.append(name)
    return planned


def _seeds_cell(results: Results) -> str:
    """The seeds, and whose they are if families or experiments set their own."""

    def listed(seeds: Sequence[int]) -> str:
        return ", ".join(map(str, seeds)) or MISSING

    planned = planned_seeds(results)
    others = planned.pop(tuple(results.study.get("seeds", [])), None)
    if not planned:
        return listed(results.study.get("seeds", []))
    stated = [f"{listed(seeds)} for {' and '.join(names)}" for seeds, names in planned.items()]
    return "; ".join([*stated, *([f"{listed(results.study['seeds'])} for all others"] if others else [])])


def costs(results: Results) -> str:
    """Time, speed and memory of every experiment."""

    def row(experiment: Experiment) -> Sequence[str]:
        if not experiment.first:
            return [escape(experiment.title), *status_cells(experiment, 8)]
        run = experiment.first.run
        seconds, speed, memory = (run.get(k) or {} for k in ("seconds", "throughput", "peak_memory_gib"))
        return [
            escape(experiment.title),
            decimal(seconds.get("train"), 0),
            integer(reported_training(results.reported, experiment.key).get("seconds")),
            decimal(seconds.get("evaluation"), 0),
            decimal(speed.get("tokens_per_second"), 0),
            decimal(memory.get("process"), 2),
            decimal(memory.get("device"), 2),
            decimal((run.get("energy_kwh") or {}).get("train"), 3),
            integer(run.get("sessions")),
        ]

    columns = {
        "Experiment": "l",
        f"Training, s{GROUP}ours": "r",
        f"Training, s{GROUP}reported": "r",
        "Evaluation, s": "r",
        "Tokens/s": "r",
        f"Peak memory, GiB{GROUP}process": "r",
        f"Peak memory, GiB{GROUP}device": "r",
        f"Training{GROUP}kWh": "r",
        f"Training{GROUP}sessions": "r",
    }
    caption = (
        "Cost of each experiment: time, real (unpadded) tokens per second in training, memory, the GPU's energy where "
        "it can be read, and the number of training sessions (more than one: training was interrupted and resumed)."
    )
    return table(columns, by_family(results, len(columns), row), caption, "tbl-costs")


def date(results: Results) -> str:
    """The day on which the last of the runs ended, "2026-11-28" (UTC); "" if no run says so."""
    ends = [run.run.get("finished") or "" for experiment in results.done() for run in experiment.runs]
    return max(ends, default="")[:10]


def versions(results: Results) -> str:
    """The library versions of the runs; several if runs differ."""
    found: dict[str, set[str]] = {}
    for experiment in results.done():
        for run in experiment.runs:
            for package, version in (run.run.get("versions") or {}).items():
                found.setdefault(package, set()).add(str(version))
    if not found:
        return "*No run has finished: no versions to show.*"
    rows = [[escape(name), escape(", ".join(sorted(found[name])))] for name in sorted(found)]
    columns = {"Package": "l", "Version": "l"}
    return table(columns, rows, "Versions of the libraries that made the runs.", "tbl-versions")


def provenance(results: Results) -> str:
    """Commit, seeds, device, and the identity of data and models."""
    runs = [run.run for experiment in results.done() for run in experiment.runs]

    def distinct(get: Callable[[dict[str, Any]], Any]) -> str:
        values = sorted({str(value) for run in runs if (value := get(run))})
        return ", ".join(code(value) for value in values) or MISSING

    rows: list[Sequence[str]] = [
        ["Scale", f"`{results.scale}`"],
        ["Seeds", _seeds_cell(results)],
        ["Commit", distinct(lambda run: short_commit(run.get("git_commit") or ""))],
        ["Device", distinct(lambda run: run.get("device"))],
        ["Number format", distinct(lambda run: run.get("dtype"))],
        ["Data", _identity(results.description, "source")],
    ]
    for name, digest in (results.description.get("sha256") or {}).items():
        rows.append([f"SHA-256 of {escape(name)}", f"`{digest[:16]}`"])
    models = {}
    for model in (run["model"] for run in runs if run.get("model")):
        models[(str(model.get("id")), model.get("revision"), str(model.get("sha256"))[:16])] = model
    for (name, revision, digest), _ in sorted(models.items(), key=str):
        at = f" at `{revision[:12]}`" if revision else ""
        rows.append([f"Model {escape(name)}", f"SHA-256 `{digest}`{at}"])
    columns = {"What": "l", "Value": "l"}
    caption = "Where the numbers come from. Hashes and revisions are cut to their first characters."
    return table(columns, rows, caption, "tbl-provenance")


def _identity(part: Any, key: str) -> str:
    revision = part.get("revision")
    return code(part.get(key, MISSING)) + (f" at `{revision[:12]}`" if revision else "")
