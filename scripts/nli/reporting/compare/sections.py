"""The parts of a comparison: what made both runs, accuracies, verdicts and settings, as tables of plain text."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nli.measure.comparisons import adjust
from nli.measure.paired import LEVEL
from nli.measure.two_runs import compare_apart, compare_paired
from nli.reporting.compare.settings import different_settings
from nli.reporting.compare.sides import Side
from nli.reporting.markup import MISSING, counted, interval, listing, percent
from nli.reporting.tables.ladders import p_value, signed
from nli.reporting.tables.overview import short_commit
from nli.study.experiments import FAMILIES
from nli.study.ladders import COMPARING


@dataclass(frozen=True)
class Section:
    """A heading with a paragraph and a table; all text is plain.

    Attributes:
        columns: header -> "l" or "r"; "Group › Column" groups columns.
    """

    title: str
    text: str
    columns: Mapping[str, str]
    rows: Sequence[Sequence[str]]


def compare_sides(first: Side, second: Side, split: str) -> list[dict[str, Any]]:
    """Each experiment that both runs have: `key`, the `scores` of both (None without), and their `test`, p adjusted."""
    found = []
    for key in (key for key in first.experiments if key in second.experiments):
        frames = [side.frames(key, split) for side in (first, second)]
        scores = [side.scores(key, split, own) for side, own in zip((first, second), frames, strict=True)]
        test = (all(frames) and compare_paired(*frames)) or (all(scores) and compare_apart(*scores)) or None
        found.append({"key": key, "scores": scores, "test": test})
    adjust([entry["test"] for entry in found])
    return found


def sections(first: Side, second: Side, split: str, compared: Sequence[Mapping[str, Any]]) -> list[Section]:
    """The page's sections, after its summary."""
    return [made_from(first, second), accuracies(split, compared), verdicts(first, second), settings(first, second)]


# ---------------------------------------------------------------------------------------------- in short


def in_short(first: Side, second: Side, compared: Sequence[Mapping[str, Any]]) -> list[str]:
    """The comparison in a few sentences."""
    tests = [entry["test"] for entry in compared if entry["test"]]
    paired = [test for test in tests if test["n"]]
    differ = [entry["key"] for entry in compared if is_different(entry["test"])]
    lines = [
        f"{counted(len(compared), 'experiment')} ran in both; {len(paired)} of them are compared pair by pair, "
        f"{len(tests) - len(paired)} as independent samples, {len(compared) - len(tests)} not at all.",
        f"Different accuracy (p < {LEVEL} after Holm): {listing(differ) or 'none'}.",
    ]
    same = sum(1 for test in paired if test["relabelled"] == 0)
    if paired:
        lines.append(f"Every label is the same in {same} of the {len(paired)}.")
    for one, other in ((first, second), (second, first)):
        if alone := [key for key in one.experiments if key not in other.experiments]:
            lines.append(f"Only in {one.name}: {listing(alone)}.")
    return lines


def is_different(test: Mapping[str, Any] | None) -> bool:
    return bool(test) and test["p_holm"] < LEVEL


# ---------------------------------------------------------------------------------------------- what made them


def made_from(first: Side, second: Side) -> Section:
    """Scale, code, data, models, device and versions of both, what differs marked."""
    facts = [made(side) for side in (first, second)]
    names = [*facts[0], *(name for name in facts[1] if name not in facts[0])]
    rows = []
    for name in names:
        one, two = (side.get(name, MISSING) for side in facts)
        known = MISSING not in (one, two)
        rows.append([name, one, two, "" if one == two else "differs" if known else "not known"])
    text = "A run names what it was made with in its files (run.json)."
    if not (first.study and second.study):
        text += " A summary alone has neither device nor versions."
    return Section("What made them", text, {"What": "l", "A": "l", "B": "l", "Same?": "l"}, rows)


def made(side: Side) -> dict[str, str]:
    """What a run was made with, by name, each as one text."""
    summary = side.summary
    if not side.study:
        data = summary["data"]
        facts = {"Scale": [summary["scale"]], "Commit": map(short_commit, summary["commits"])}
        facts |= {"Data": [named(data["source"], data.get("revision"), None)]}
        facts |= {role.capitalize(): [model_in_words(model)] for role, model in summary["models"].items()}
        return {name: joined(values) for name, values in facts.items()}
    facts = {
        "Scale": [side.study["scale"]],
        "Commit": distinct(side, lambda run: short_commit(run["git_commit"] or "unknown")),
        "Data": distinct(side, lambda run: named(run["data"]["source"], run["data"]["revision"], None)),
        **{role.capitalize(): distinct(side, model_of(role)) for role in side.study["models"]},
        "Device": distinct(side, lambda run: run["device"]),
        "Number format": distinct(side, lambda run: run["dtype"]),
        "Last run ended": [max((run.get("finished") or "" for run in side.records), default="")[:16].replace("T", " ")],
    }
    packages = dict.fromkeys(name for run in side.records for name in run["versions"])
    facts |= {name: distinct(side, lambda run, name=name: run["versions"].get(name)) for name in packages}
    return {name: joined(values) for name, values in facts.items()}


def model_of(role: str) -> Callable[[Mapping[str, Any]], str | None]:
    """What a run records about its base model, for the runs that use the model of this role."""
    return lambda run: model_in_words(run["model"]) if FAMILIES[run["family"]].model == role else None


def distinct(side: Side, get: Callable[[Mapping[str, Any]], Any]) -> list[str]:
    return sorted({str(value) for run in side.records if (value := get(run))})


def joined(values: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(value for value in values if value)) or MISSING


def model_in_words(model: Mapping[str, Any]) -> str:
    return named(model.get("id"), model.get("revision"), model.get("sha256"))


def named(name: str | None, revision: str | None, digest: str | None) -> str:
    """ "roberta-large at 722cf37b1afa (SHA-256 8f1d7f6e0b1c)"; "" without a name."""
    at = f" at {revision[:12]}" if revision else ""
    return f"{name}{at}" + (f" (SHA-256 {digest[:12]})" if digest else "") if name else ""


# ---------------------------------------------------------------------------------------------- accuracies


def accuracies(split: str, compared: Sequence[Mapping[str, Any]]) -> Section:
    """A row per experiment: both accuracies, the difference, its test, and how many labels differ."""
    columns = {
        "Experiment": "l",
        "A, %": "r",
        "B, %": "r",
        "B − A, points": "r",
        "p": "r",
        "Pairs": "r",
        "Other label, %": "r",
    }
    text = (
        f"Accuracy on {split} with its 95% interval; an answer without a label is wrong. Where both answered the same "
        "pairs, the test is paired. Without a number of pairs the two runs answered different pairs, or a summary is "
        "all there is, and the interval is that of two independent samples. Intervals and tests account for pairs that "
        "share a premise; p is adjusted (Holm) over this table. Equal seeds are compared with each other. "
        "With one seed, a difference is one between two trained models: another seed may give another one."
    )
    return Section("Accuracy", text, columns, [row_of(entry) for entry in compared])


def row_of(entry: Mapping[str, Any]) -> list[str]:
    test = entry["test"]
    cells = [entry["key"], *map(in_percent, entry["scores"])]
    if test is None:
        return [*cells, MISSING, MISSING, MISSING, MISSING]
    low, high = test["clustered_interval"]
    return [
        *cells,
        f"{signed(test['difference'])} ({signed(low)} to {signed(high)})",
        p_value(test["p_holm"]),
        f"{test['n']:,}" if test["n"] else MISSING,
        percent(test["relabelled"], 1),
    ]


def in_percent(scores: Mapping[str, Any] | None) -> str:
    """ "84.2 (81.2 to 87.0)"."""
    return f"{percent(scores['accuracy'], 1)} ({interval(scores['interval'])})" if scores else MISSING


# ---------------------------------------------------------------------------------------------- verdicts


def verdicts(first: Side, second: Side) -> Section:
    """The claims of which the verdict differs."""
    columns = {"Ladder": "l", "Claim": "l", "Experiment": "l", "A": "l", "B": "l"}
    without = [side.name for side in (first, second) if not side.summary]
    if without:
        text = f"Not compared: {listing(without)} has no summary.json; finish the study there first."
        return Section("Verdicts", text, columns, [])
    there = {identity(claim): claim for claim in second.summary["claims"]}
    both = [(claim, there[identity(claim)]) for claim in first.summary["claims"] if identity(claim) in there]
    differ = [(one, two) for one, two in both if one["verdict"] != two["verdict"]]
    alone = len(first.summary["claims"]) + len(second.summary["claims"]) - 2 * len(both)
    text = f"{len(differ)} of {counted(len(both), 'claim')} have another verdict."
    if alone:
        text += f" {counted(alone, 'claim')} only in one of the two."
    rows = [[one["title"], one["claim"], experiment_of(one), verdict_of(one), verdict_of(two)] for one, two in differ]
    return Section("Verdicts", text, columns, rows)


def identity(claim: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(str(claim[key]) for key in ("ladder", "claim", "experiment", "scorer", "counted"))


def experiment_of(claim: Mapping[str, Any]) -> str:
    how = ", ".join(filter(None, (claim["scorer"], "parsed only" if claim["counted"] == "parsed" else "")))
    return f"{claim['experiment']} ({how})" if how else claim["experiment"]


def verdict_of(claim: Mapping[str, Any]) -> str:
    """ "supported (+12.3 points)"."""
    known = claim["difference"] is not None and claim["expects"] in COMPARING
    return f"{claim['verdict']} ({signed(claim['difference'])} points)" if known else str(claim["verdict"])


# ---------------------------------------------------------------------------------------------- settings


def settings(first: Side, second: Side) -> Section:
    """Every key of the resolved configurations that differs."""
    columns = {"Key": "l", "A": "l", "B": "l", "Experiments": "l"}
    without = [side.name for side in (first, second) if not side.study]
    if without:
        text = f"Not compared: {listing(without)} is a summary, without settings; give the results folder."
        return Section("Settings", text, columns, [])
    rows = different_settings(first.study, second.study)
    text = "Every key of study.json that differs, scale and defaults resolved." if rows else "All settings are equal."
    return Section("Settings", text, columns, rows)
