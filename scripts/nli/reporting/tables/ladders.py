"""The ladders in words and tables, and the sentences on all pairs of methods: all from ladders.json.

Verdicts and conclusions are computed: they say what the tests support, and "no evidence" if they support nothing.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from nli.measure.paired import LEVEL
from nli.reporting.changes import SCORERS, in_words
from nli.reporting.markup import GROUP, MISSING, counted, decimal, escape, integer, interval, listing, percent, table
from nli.reporting.results import Results

Rung = Mapping[str, Any]
VERDICTS = ("supported", "refuted", "no evidence", "not tested")
TALLY = {"no evidence": "without evidence"}
NOTHING = "The study states no ladders, or they have not been measured."


def ladders(results: Results) -> str:
    """Every ladder: its question, conclusion, figure and claims."""
    found = results.ladders.get("ladders") or {}
    if not found:
        return NOTHING
    return "\n\n".join(section(name, ladder) for name, ladder in found.items())


def section(name: str, ladder: Mapping[str, Any]) -> str:
    """One ladder's part of the report; its figure is made by `figures.ladders`."""
    label = figure_label(name)
    parts = [
        f"## {escape(ladder['title'])} {{#sec-{label}}}",
        f"*{escape(ladder['question'])}* {shown(ladder)}",
        f"{claims(ladder)} {tally(ladder)} @tbl-{label} has the tests; @tbl-{label}-changes says what changes.",
        f"{{{{< include figures/{label}.md >}}}}",
    ]
    return "\n\n".join(parts)


def numbers(results: Results) -> str:
    """Two tables for every ladder, for the appendix."""
    found = results.ladders.get("ladders") or {}
    labels = {name: f"tbl-{figure_label(name)}" for name in found}
    parts = [(measures(found[name], label), reasons(found[name], f"{label}-changes")) for name, label in labels.items()]
    return "\n\n".join(table for pair in parts for table in pair) or NOTHING


def figure_label(name: str) -> str:
    """ "prompt_tuning" -> "ladder-prompt-tuning": the figure's name and the stem of the ladder's labels."""
    return f"ladder-{name.replace('_', '-')}"


# ------------------------------------------------------------------------------------------------ words


def shown(ladder: Mapping[str, Any]) -> str:
    """What the experiments that the ladder's question is about answer; its figure has their accuracies."""
    keys = ladder["shows"] or [ladder["rungs"][0]["experiment"]]
    rungs = [next(rung for rung in ladder["rungs"] if rung["experiment"] == key) for key in keys]
    said = [f"**{escape(rung['title'])}** {outcome(rung['scores'])}" for rung in rungs]
    return f"In this run {listing(said)}."


def outcome(scores: Mapping[str, Any] | None) -> str:
    """ "answers with 3 of 3 labels (contradiction 52%)", or that there is nothing to judge."""
    if not scores or scores["accuracy"] is None:
        return "has no answers to judge"
    return f"answers with {classes(scores).replace(' (', ' labels (')}" if scores["parsed"] else "names no label"


def rung_title(ladder: Mapping[str, Any], i: int) -> str:
    """The experiment's title, with scorer and counting if the ladder judges its answers in several ways."""
    rung = ladder["rungs"][i]
    twins = [other for other in ladder["rungs"] if other["experiment"] == rung["experiment"]]
    several = {key for key in ("scorer", "counted") if len({other[key] for other in twins}) > 1}
    title = rung["title"]
    if "scorer" in several:
        title += f", by {SCORERS.get(rung['scorer'], rung['scorer']) if rung['scorer'] else 'its own answers'}"
    if "counted" in several:
        title += ", every answer" if rung["counted"] == "all" else ", parsed answers only"
    return title


def p_value(p: float | None) -> str:
    """0.0345 -> "0.035"; 1e-9 -> "< 0.001"."""
    if p is None:
        return MISSING
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def p_equation(p: float) -> str:
    return f"p {escape(p_value(p))}" if p < 0.001 else f"p = {p_value(p)}"


def points(difference: float) -> str:
    """0.123 -> "12.3 points above"; 0 -> "level with"."""
    if round(1000 * difference) == 0:
        return "level with"
    return f"{abs(100 * difference):.1f} points {'above' if difference > 0 else 'below'}"


def signed(value: float | None) -> str:
    """0.123 -> "+12.3" (points)."""
    return MISSING if value is None else f"{100 * value:+.1f}".replace("-", "−")


def claims(ladder: Mapping[str, Any]) -> str:
    """The ladder's claims by the number of their rung, with the margin of those that need one."""
    said = [
        f"**{i}**\N{NO-BREAK SPACE}*{escape(rung['claim'])}*{margin(rung)}"
        for i, rung in enumerate(ladder["rungs"], start=1)
        if rung["claim"]
    ]
    return f"The rungs claim: {' '.join(said)}" if said else "No rung makes a claim."


def margin(rung: Rung) -> str:
    """ " (margin: 3 points)" for a claim that two accuracies are equal."""
    equal = rung["expects"] in ("at_chance", "no_difference")
    return f" (margin: {100 * rung['margin']:g} points)" if equal else ""


def tally(ladder: Mapping[str, Any]) -> str:
    """How many claims there are of each verdict."""
    found = [(sum(rung["verdict"] == verdict for rung in ladder["rungs"]), verdict) for verdict in VERDICTS]
    said = listing([f"{n} {TALLY.get(word, word)}" for n, word in found if n])
    return f"Of {counted(sum(n for n, _ in found), 'claim')}: {said}."


def same_seeds(ladder: Mapping[str, Any], i: int) -> bool:
    """Whether both rungs of a step show numbers of exactly the compared seeds."""
    step = ladder["rungs"][i]["step"]
    compared = step["seeds"]["values"].keys()
    return all(ladder["rungs"][place]["seeds"]["values"].keys() == compared for place in (step["from"], i))


def stands(test: Mapping[str, Any]) -> str:
    return {"above": "above", "below": "below"}.get(test["standing"], "not separable from")


def settled(step: Mapping[str, Any] | None) -> bool:
    """Whether a difference is more than chance, by the test, or by arithmetic if the answers are the same."""
    if not step:
        return False
    return step["difference"] != 0 if step["same_answers"] else step["p_holm"] < LEVEL


# ------------------------------------------------------------------------------------------------ tables


def measures(ladder: Mapping[str, Any], label: str) -> str:
    """Accuracy, paired difference and tests of every rung, below chance and the hypothesis-only baseline."""
    rows = []
    if ladder["chance"]:
        level = ladder["chance"]
        rows.append(
            [f"Chance: always {level['label']}", integer(ladder["n"]), percent(level["accuracy"]), *[MISSING] * 8]
        )
    rows += [[escape(rung["title"]), *accuracy_cells(rung), *[MISSING] * 7] for rung in ladder["baselines"]]
    rows += [
        [rung_cell(ladder, i), *accuracy_cells(rung), *step_cells(ladder, i), rung["verdict"]]
        for i, rung in enumerate(ladder["rungs"])
    ]
    columns = {
        "Rung": "l",
        "n": "r",
        f"Accuracy, %{GROUP}share": "r",
        f"Accuracy, %{GROUP}95% interval": "r",
        f"Difference, points{GROUP}paired": "r",
        f"Difference, points{GROUP}95% interval": "r",
        f"p{GROUP}rows": "r",
        f"p{GROUP}premises": "r",
        f"p{GROUP}Holm": "r",
        "Design effect": "r",
        "Claim": "l",
    }
    pairs = f"the {counted(ladder['n'], 'pair')} of the {ladder['split']} split that all of them answered"
    caption = f"{escape(ladder['title'])}: the rungs and the tests on {pairs}."
    return table(columns, rows, caption, label)


def rung_cell(ladder: Mapping[str, Any], i: int) -> str:
    """ "3. Title" with a non-breaking space, because Typst reads "3. " at the beginning of a cell as a list."""
    return f"{i + 1}.\N{NO-BREAK SPACE}{escape(rung_title(ladder, i))}"


def accuracy_cells(rung: Rung) -> list[str]:
    scores = rung["scores"]
    if not scores:
        return [MISSING, f"*{rung['status']}*", MISSING]
    if scores["accuracy"] is None:
        return [integer(scores["n"]), "*no answer names a label*", MISSING]
    return [integer(scores["n"]), percent(scores["accuracy"]), interval(scores["clustered_interval"])]


def step_cells(ladder: Mapping[str, Any], i: int) -> list[str]:
    """Difference, its interval, the three p-values and the design effect."""
    step = ladder["rungs"][i]["step"]
    if not step:
        return [MISSING] * 6
    ends = step["clustered_interval"]
    bounds = f"{signed(ends[0])} to {signed(ends[1])}" if ends else MISSING
    ps = [escape(p_value(step[key])) for key in ("p", "clustered_p", "p_holm")]
    return [signed(step["difference"]) + over_seeds(ladder, i), bounds, *ps, decimal(step["design_effect"], 2)]


def over_seeds(ladder: Mapping[str, Any], i: int) -> str:
    """A step's standard deviation over several seeds, and its seeds if one of its rungs shows numbers of others too."""
    seeds = ladder["rungs"][i]["step"]["seeds"]
    said = [] if seeds["sd"] is None else [f"SD {percent(seeds['sd'], 1)}"]
    said += [] if same_seeds(ladder, i) else [f"seeds {', '.join(seeds['values'])}"]
    return f" ({'; '.join(said)})" if said else ""


def reasons(ladder: Mapping[str, Any], label: str) -> str:
    """What changed at every rung, what it answers, and which parts of the model got a gradient."""
    rows = []
    for i, rung in enumerate(ladder["rungs"]):
        rows.append(
            [
                rung_cell(ladder, i),
                MISSING if rung["from"] is None else f"{rung['from'] + 1}",
                "; ".join(escape(change) for change in in_words(rung["changed"])) or MISSING,
                classes(rung["scores"]),
                standing_cell(rung["chance"]),
                standing_cell(rung["hypothesis_only"]),
                audit(rung["audit"]),
            ]
        )
    columns = {
        "Rung": "l",
        "From rung": "c",
        "What changed": "l",
        "Classes answered": "l",
        f"Against{GROUP}chance": "l",
        f"Against{GROUP}hypotheses": "l",
        "Gradient reaches": "l",
    }
    caption = f"{escape(ladder['title'])}: what each rung changes, what it answers, and what trains."
    return table(columns, rows, caption, label)


def standing_cell(test: Mapping[str, Any] | None) -> str:
    """ "above: +10.0 (+8.1 to +12.0)", with the difference alone if the test says neither above nor below."""
    if not test:
        return MISSING
    ends = test.get("clustered_interval")
    said = signed(test["difference"]) + (f" ({signed(ends[0])} to {signed(ends[1])})" if ends else "")
    return said if test["standing"] == "no evidence" else f"{test['standing']}: {said}"


def classes(scores: Mapping[str, Any] | None) -> str:
    """ "1 of 3 (entailment 100%)"."""
    if not scores or not scores["parsed"]:
        return MISSING
    most = max(scores["answers"], key=scores["answers"].get)
    return f"{scores['classes']} of {len(scores['answers'])} ({most} {percent(scores['top_share'], 0)}%)"


def audit(parts: Sequence[Mapping[str, Any]] | None) -> str:
    """ "adapter, head", with the number of tensors that got a gradient if not all of a part did."""
    if not parts:
        return MISSING
    return ", ".join(
        part["part"]
        if part["with_gradient"] == part["trainable"]
        else f"{part['part']} ({part['with_gradient']} of {part['trainable']})"
        for part in parts
    )


# ------------------------------------------------------------------------------------------------ all pairs


def pairs(results: Results) -> str:
    """How many pairs of methods differ."""
    tests = (results.ladders.get("pairs") or {}).get("comparisons") or []
    if not tests:
        return "Fewer than two experiments have answers: there is nothing to compare."
    apart = sum(test["p_holm"] < LEVEL for test in tests)
    return (
        f"Of {counted(len(tests), 'pair')} of experiments, {apart} differ (McNemar's mid-p by premise, Holm over all "
        f"pairs); for {len(tests) - apart} there is no evidence of a difference. This comparison is exploratory: with "
        "so many tests only large differences stand out, and no claim of a ladder rests on it."
    )
