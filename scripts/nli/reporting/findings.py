"""The first page: a sentence for each finding, with its interval and its test, and what failed or did not run."""

from collections.abc import Mapping
from typing import Any

from nli.measure.paired import LEVEL
from nli.reporting.changes import in_words
from nli.reporting.markup import counted, escape, interval, listing, percent
from nli.reporting.results import Results, reported_accuracy
from nli.reporting.tables.ladders import figure_label, p_equation, points, rung_title, settled, signed, stands

Ladder = Mapping[str, Any]
REPAIRED = "Failures of the original that this run reproduces, and the change that repairs each"
OTHER = "Other questions, and the change with the largest effect"
UNTESTED = "Questions of which too little ran for an answer"
STRENGTHS = {0.001: "very strong", 0.01: "strong", LEVEL: "moderate"}  # bound on the adjusted p -> what it is called


def findings(results: Results) -> str:
    """The ladders' findings in groups, then every experiment that failed or did not run, with the reason."""
    ladders = results.ladders.get("ladders") or {}
    groups: dict[str, list[str]] = {REPAIRED: [], OTHER: [], UNTESTED: []}
    for name, ladder in ladders.items():
        groups[group(ladder)].append(with_picture(name, ladder, finding(results, name, ladder)))
    parts = ["\n\n".join([f"**{title}**", *shown]) for title, shown in groups.items() if shown]
    return "\n\n".join([*([legend(results)] if ladders else []), *parts, missing(results)])


def legend(results: Results) -> str:
    """How to read the small pictures and what the words for the evidence mean."""
    words = listing([f"*{word}* if p is below {bound:g}" for bound, word in STRENGTHS.items()])
    seeds = max((len(experiment.runs) for experiment in results.done()), default=0)
    once = "the choice of test pairs alone: each model was trained once"
    cover = "test pairs and seeds" if seeds > 1 else once
    return (
        "The small pictures show the accuracies named beside them, with 95% intervals, on a line from 0 to 100%; "
        f"dashed: chance; diamond: the original. Evidence is called {words}. Intervals cover {cover}."
    )


def bullets(lines: list[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def with_picture(name: str, ladder: Ladder, text: str) -> str:
    """A finding beside its small picture, if there is anything to draw."""
    if not rungs_shown(ladder):
        return text
    return f"::: {{.finding}}\n![{escape(described(ladder))}](figures/{picture(name)}.svg) {text}\n:::"


def picture(name: str) -> str:
    """The name of a finding's picture."""
    return f"finding-{name.replace('_', '-')}"


def described(ladder: Ladder) -> str:
    """The alternative text of the small picture; its finding gives intervals and the original's accuracy."""
    rungs = [(rung_title(ladder, i), ladder["rungs"][i]["scores"]["accuracy"]) for i in rungs_shown(ladder)]
    rungs += [("chance", ladder["chance"]["accuracy"])] if ladder["chance"] else []
    said = ", ".join(f"{title} {percent(accuracy, 0)}%" for title, accuracy in rungs)
    return f"{ladder['title']}, accuracies: {said}"


def rungs_shown(ladder: Ladder) -> list[int]:
    """The rungs that a finding names and that have answers, from the first to the last."""
    step = shown_step(ladder)
    named = {0} if step is None else {0, ladder["rungs"][step]["step"]["from"], step}
    return sorted(named.intersection(answered(ladder)))


def shown_step(ladder: Ladder) -> int | None:
    """The rung that a finding is about: the one that repairs the first, or else that of the largest step."""
    if group(ladder) == UNTESTED:
        return None
    return repair(ladder) if group(ladder) == REPAIRED else next(iter(tested_steps(ladder)), None)


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
    unrepaired = " No step of this ladder repairs that." if fails(ladder) and group(ladder) != REPAIRED else ""
    step = shown_step(ladder)
    said = (
        "No test tells two of its rungs apart: there is no evidence of an effect."
        if step is None
        else step_in_words(ladder, step)
    )
    return f"{text} {start(results, ladder)}{unrepaired} {said}"


def start(results: Results, ladder: Ladder) -> str:
    """ "**Prompt tuning** reaches 32.8% (31.2 to 34.5), not separable from chance; the original: 35.45%."."""
    rung = ladder["rungs"][0]
    scores = rung["scores"]
    printed = printed_first(results, ladder)
    original = f"; the original printed {percent(printed)}%" if printed else ""
    chance = f", {stands(rung['chance'])} chance" if rung["chance"] else ""
    return (
        f"**{escape(rung_title(ladder, 0))}** reaches {percent(scores['accuracy'], 1)}% "
        f"({interval(scores['clustered_interval'])}){chance}{original}."
    )


def printed_first(results: Results, ladder: Ladder) -> str | None:
    """The original's accuracy of a ladder's first rung, as printed; None for none."""
    rung = ladder["rungs"][0]
    return reported_accuracy(results.reported, rung["experiment"], ladder["split"], rung["scorer"])


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
        f"at {percent(rung['scores']['accuracy'], 1)}%. Evidence: {strength(step['p_holm'])}."
    )


def strength(p: float) -> str:
    """A p below 5% in words, in the terms of Muff et al. (2022)."""
    return next(word for bound, word in STRENGTHS.items() if p < bound)


def missing(results: Results) -> str:
    """Every experiment that failed or did not run, and why."""
    said = {"failed": [], "not run": []}
    for experiment in results.experiments.values():
        if experiment.status in said:
            why = f" ({escape(experiment.problem)})" if experiment.problem else ""
            said[experiment.status].append(f"**{escape(experiment.title)}**{why}")
    lines = [f"{status.capitalize()}: {listing(names)}." for status, names in said.items() if names]
    return f"**What is missing**\n\n{bullets(lines)}" if lines else "Every experiment of this run finished."
