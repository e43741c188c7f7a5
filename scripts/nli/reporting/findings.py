"""The first page: a sentence for each finding, with its interval and its test, and what failed or did not run."""

from collections.abc import Mapping
from typing import Any

from nli.reporting.changes import in_words
from nli.reporting.markup import counted, escape, interval, listing, percent
from nli.reporting.results import Results, reported_accuracy
from nli.reporting.tables.ladders import figure_label, p_equation, points, rung_title, settled, signed, stands

Ladder = Mapping[str, Any]
REPAIRED = "Failures of the original that this run reproduces, and the change that repairs each"
OTHER = "Other questions, and the change with the largest effect"
UNTESTED = "Questions of which too little ran for an answer"


def findings(results: Results) -> str:
    """The ladders' findings in groups, then every experiment that failed or did not run, with the reason."""
    ladders = results.ladders.get("ladders") or {}
    groups: dict[str, list[str]] = {REPAIRED: [], OTHER: [], UNTESTED: []}
    for name, ladder in ladders.items():
        groups[group(ladder)].append(finding(results, name, ladder))
    parts = [f"**{title}**\n\n{bullets(lines)}" for title, lines in groups.items() if lines]
    return "\n\n".join([*parts, missing(results)])


def bullets(lines: list[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def group(ladder: Ladder) -> str:
    """Whether a ladder's first experiment fails in this run and one of its steps repairs it."""
    if 0 not in answered(ladder) or len(answered(ladder)) < 2:
        return UNTESTED
    return REPAIRED if fails(ladder) and repair(ladder) is not None else OTHER


def fails(ladder: Ladder) -> bool:
    """Whether no test puts the first rung above chance."""
    test = ladder["rungs"][0]["chance"]
    return bool(test) and test["standing"] != "above"


def answered(ladder: Ladder) -> list[int]:
    """The rungs with answers to judge."""
    rungs = ladder["rungs"]
    return [i for i, rung in enumerate(rungs) if rung["scores"] and rung["scores"]["accuracy"] is not None]


def tested_steps(ladder: Ladder) -> list[int]:
    """The rungs that a test tells apart from those they are compared with, the largest difference first."""
    steps = {i: ladder["rungs"][i]["step"] for i in answered(ladder)}
    told = [i for i, step in steps.items() if settled(step) and not step["same_answers"]]
    return sorted(told, key=lambda i: -abs(steps[i]["difference"]))


def repair(ladder: Ladder) -> int | None:
    """The rung whose step raises the accuracy most and that is above chance; None if there is none."""
    for i in tested_steps(ladder):
        rung = ladder["rungs"][i]
        if rung["step"]["difference"] > 0 and rung["chance"] and rung["chance"]["standing"] == "above":
            return i
    return None


def finding(results: Results, name: str, ladder: Ladder) -> str:
    """A ladder's question, its first experiment's accuracy next to the original's, and the step that matters most."""
    text = f"[{escape(ladder['title'])}](#sec-{figure_label(name)}). *{escape(ladder['question'])}*"
    if group(ladder) == UNTESTED:
        return f"{text} {len(answered(ladder))} of {counted(len(ladder['rungs']), 'rung')} ran."
    if group(ladder) == REPAIRED:
        return f"{text} {start(results, ladder)} {step_in_words(ladder, repair(ladder))}"
    unrepaired = " No step of this ladder repairs that." if fails(ladder) else ""
    largest = next(iter(tested_steps(ladder)), None)
    said = "No test tells two of its rungs apart." if largest is None else step_in_words(ladder, largest)
    return f"{text} {start(results, ladder)}{unrepaired} {said}"


def start(results: Results, ladder: Ladder) -> str:
    """ "**Prompt tuning** reaches 32.8% (31.2 to 34.5), not separable from chance; the original: 35.45%."."""
    rung = ladder["rungs"][0]
    scores = rung["scores"]
    printed = reported_accuracy(results.reported, rung["experiment"], ladder["split"], rung["scorer"])
    original = f"; the original printed {percent(printed)}%" if printed else ""
    chance = f", {stands(rung['chance'])} chance" if rung["chance"] else ""
    return (
        f"**{escape(rung_title(ladder, 0))}** reaches {percent(scores['accuracy'], 1)}% "
        f"({interval(scores['clustered_interval'])}){chance}{original}."
    )


def step_in_words(ladder: Ladder, i: int) -> str:
    """What a step changes, the difference with its interval and p, and the accuracy that it leads to."""
    rung = ladder["rungs"][i]
    step = rung["step"]
    below, this = (f"**{escape(rung_title(ladder, place))}**" for place in (step["from"], i))
    low, high = step["clustered_interval"]
    changes = "; ".join(escape(change) for change in in_words(rung["changed"]))
    return (
        f"{this}{f' ({changes})' if changes else ''} is {points(step['difference'])} {below} "
        f"({signed(low)} to {signed(high)}; {p_equation(step['p_holm'])}), "
        f"at {percent(rung['scores']['accuracy'], 1)}%."
    )


def missing(results: Results) -> str:
    """Every experiment that failed or did not run, and why."""
    said = {"failed": [], "not run": []}
    for experiment in results.experiments.values():
        if experiment.status in said:
            why = f" ({escape(experiment.problem)})" if experiment.problem else ""
            said[experiment.status].append(f"**{escape(experiment.title)}**{why}")
    lines = [f"{status.capitalize()}: {listing(names)}." for status, names in said.items() if names]
    return f"**What is missing**\n\n{bullets(lines)}" if lines else "Every experiment of this run finished."
