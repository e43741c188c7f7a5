"""The ladders in words and tables, and the sentences on all pairs of methods: all from ladders.json.

A verdict or a conclusion is never typed: it says what the tests allow, and "no evidence" where they allow nothing.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from nli.paired import LEVEL
from nli.reporting.markup import GROUP, MISSING, counted, escape, integer, interval, listing, percent, table
from nli.reporting.results import Results

Rung = Mapping[str, Any]
VERDICTS = ("supported", "refuted", "no evidence", "not tested")
LONGEST_VALUE = 40  # characters of a value that "what changed" shows


def ladders(results: Results) -> str:
    """Every ladder: its question, what came of it, picture, claims, and two tables."""
    found = results.ladders.get("ladders") or {}
    if not found:
        return "The study states no ladders, or they have not been measured."
    return "\n\n".join(section(name, ladder) for name, ladder in found.items())


def section(name: str, ladder: Mapping[str, Any]) -> str:
    """One ladder's part of the report; its figure is made by `figures_ladders`."""
    label = figure_label(name)
    parts = [
        f"## {escape(ladder['title'])} {{#sec-{label}}}",
        f"*{escape(ladder['question'])}* {conclusion(ladder)}",
        f"{{{{< include figures/{label}.md >}}}}",
        "\n".join(f"{i}. {sentence(ladder, i - 1)}" for i in range(1, len(ladder["rungs"]) + 1)),
        measures(ladder, f"tbl-{label}"),
        reasons(ladder, f"tbl-{label}-changes"),
    ]
    return "\n\n".join(parts)


def figure_label(name: str) -> str:
    """ "prompt_tuning" -> "ladder-prompt-tuning": the figure's name and the stem of the ladder's labels."""
    return f"ladder-{name.replace('_', '-')}"


def summary(results: Results) -> str:
    """One line a ladder: what came of it."""
    found = results.ladders.get("ladders") or {}
    lines = [
        f"- [{escape(ladder['title'])}](#sec-{figure_label(name)}). {conclusion(ladder)}"
        for name, ladder in found.items()
    ]
    return "\n".join(lines) or "The study states no ladders, or they have not been measured."


# ------------------------------------------------------------------------------------------------ words


def rung_title(ladder: Mapping[str, Any], i: int) -> str:
    """The experiment's title, with scorer and counting where the ladder judges its answers in several ways."""
    rung = ladder["rungs"][i]
    twins = [other for other in ladder["rungs"] if other["experiment"] == rung["experiment"]]
    said = [
        str(rung[key] or "own scorer").replace("_", " ")
        for key in ("scorer", "counted")
        if len({other[key] for other in twins}) > 1
    ]
    return ", ".join([rung["title"], *said])


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


def sentence(ladder: Mapping[str, Any], i: int) -> str:
    """One rung: its accuracy, how it stands beside the rung it is compared with, and its claim's verdict."""
    rung = ladder["rungs"][i]
    title, claim = f"**{escape(rung_title(ladder, i))}**", f"*{escape(rung['claim'])}*"
    if not rung["scores"] or rung["scores"]["accuracy"] is None:
        problem = rung["problem"] or ("no answer names a label" if rung["status"] == "done" else "")
        why = f" ({escape(problem)})" if problem else ""
        return f"{claim} {title}: {rung['status']}{why}, so this is **not tested**."
    scores = rung["scores"]
    text = f"{title} answers {percent(scores['accuracy'])}% right (95% interval {interval(scores['interval'])})"
    if rung["step"]:
        text += f", {beside(rung['step'])}{other_seed(ladder, i)}"
    elif rung["against"]:
        text += "; there are no answers to compare it with"
    if rung["expects"] == "one_class" and scores["top_share"] is not None:
        text += f"; its most frequent answer is {percent(scores['top_share'], 1)}% of all"
    if rung["expects"] == "at_chance":
        text += f"; the most frequent label is right for {percent(scores['majority_accuracy'], 1)}%"
    if rung["expects"] == "above_chance":
        text += f"; {chance(rung)}"
    return f"{claim} {text}. {judgement(rung['verdict'])}"


def beside(step: Mapping[str, Any]) -> str:
    """How far above or below, and what the test says."""
    text = f"{points(step['difference'])} rung {step['from'] + 1}"
    if step["same_answers"]:
        return f"{text} (the same answers, so there is nothing to test)"
    test = f"McNemar's {p_equation(step['p_holm'])} after Holm, {integer(step['n'])} pairs"
    text += f" (95% interval {signed(step['interval'][0])} to {signed(step['interval'][1])} points; {test})"
    seeds = step["seeds"]
    if seeds["sd"] is not None:
        several = f"over {len(seeds['values'])} seeds {signed(seeds['mean'])} points, SD {percent(seeds['sd'], 1)}"
        text += f"; {several}"
    return text


def other_seed(ladder: Mapping[str, Any], i: int) -> str:
    """The seed of a step and both accuracies under it, where a rung shows its figures of another seed."""
    step = ladder["rungs"][i]["step"]
    pair = [ladder["rungs"][place] for place in (step["from"], i)]
    if shows_seed_of_step(ladder, i):
        return ""
    shares = [percent(rung["scores_by_seed"][step["seed"]]["accuracy"], 1) for rung in pair]
    return f" under seed {step['seed']}, where they answer {shares[0]}% and {shares[1]}% right"


def shows_seed_of_step(ladder: Mapping[str, Any], i: int) -> bool:
    """Whether both rungs of a step show their figures of the seed that was tested: the first of each."""
    step = ladder["rungs"][i]["step"]
    return all(next(iter(ladder["rungs"][place]["scores_by_seed"])) == step["seed"] for place in (step["from"], i))


def judgement(verdict: str) -> str:
    return {
        "supported": "The claim is **supported**.",
        "refuted": "The claim is **refuted**.",
        "no evidence": "There is **no evidence** for the claim.",
        "not tested": "The claim is **not tested**.",
    }.get(verdict, "It stands here for comparison.")


def chance(rung: Rung) -> str:
    """Where a rung stands beside the chance baselines."""
    return {
        "yes": "it beats every chance baseline",
        "no": "a chance baseline beats it",
        "no evidence": "there is no evidence that it beats chance",
    }.get(rung["above_chance"], "the chance baselines have not all run")


def settled(step: Mapping[str, Any] | None) -> bool:
    """Whether a difference is more than chance: by the test, or by arithmetic where the answers are the same."""
    if not step:
        return False
    return step["difference"] != 0 if step["same_answers"] else step["p_holm"] < LEVEL


def conclusion(ladder: Mapping[str, Any]) -> str:
    """What the ladder shows: its largest step, where its last rung stands, and the tally of its claims."""
    rungs = ladder["rungs"]
    done = [i for i, rung in enumerate(rungs) if rung["scores"] and rung["scores"]["accuracy"] is not None]
    tally = [(sum(rung["verdict"] == verdict for rung in rungs), verdict) for verdict in VERDICTS]
    claims = f"Of {counted(sum(n for n, _ in tally), 'claim')}: {listing([f'{n} {word}' for n, word in tally if n])}."
    if len(done) < 2:
        return f"No evidence: {len(done)} of {counted(len(rungs), 'rung')} ran. {claims}"
    steps = [i for i in done if settled(rungs[i]["step"])]
    if steps:
        i = max(steps, key=lambda place: abs(rungs[place]["step"]["difference"]))
        step = rungs[i]["step"]
        text = (
            f"The largest step is rung {i + 1}, **{escape(rung_title(ladder, i))}**: {points(step['difference'])} "
            f"rung {step['from'] + 1}, at {percent(rungs[i]['scores']['accuracy'], 1)}%."
        )
    else:
        text = "No evidence that any rung differs from the one it is compared with."
    last = done[-1]
    end = f"Rung {last + 1} ends at {percent(rungs[last]['scores']['accuracy'], 1)}%: {chance(rungs[last])}."
    return f"{text} {end} {claims}"


# ------------------------------------------------------------------------------------------------ tables


def measures(ladder: Mapping[str, Any], label: str) -> str:
    """Accuracy, paired difference and test of every rung, under the chance baselines."""
    rows = [[escape(rung["title"]), *accuracy_cells(rung), *[MISSING] * 6] for rung in ladder["baselines"]]
    for i, rung in enumerate(ladder["rungs"]):
        cells = [*accuracy_cells(rung), *step_cells(rung["step"])]
        rows.append([rung_cell(ladder, i), *cells, rung["above_chance"] or MISSING, rung["verdict"]])
    columns = {
        "Rung": "l",
        "n": "r",
        f"Accuracy, %{GROUP}share": "r",
        f"Accuracy, %{GROUP}95% interval": "r",
        f"Difference, points{GROUP}paired": "r",
        f"Difference, points{GROUP}95% interval": "r",
        f"McNemar p{GROUP}exact": "r",
        f"McNemar p{GROUP}Holm": "r",
        "Above chance?": "l",
        "Claim": "l",
    }
    caption = (
        f"{escape(ladder['title'])}: every rung on the {counted(ladder['n'], 'pair')} of the {ladder['split']} split "
        "that all of them answered, beside what chance gives. The difference is from the rung that @"
        f"{label}-changes names; its p is adjusted over this ladder."
    )
    return table(columns, rows, caption, label)


def rung_cell(ladder: Mapping[str, Any], i: int) -> str:
    """ "3. Title", its space a fixed one: Typst would read "3. " at a cell's beginning as a list."""
    return f"{i + 1}.\N{NO-BREAK SPACE}{escape(rung_title(ladder, i))}"


def accuracy_cells(rung: Rung) -> list[str]:
    scores = rung["scores"]
    if not scores:
        return [MISSING, f"*{rung['status']}*", MISSING]
    return [integer(scores["n"]), percent(scores["accuracy"]), interval(scores["interval"])]


def step_cells(step: Mapping[str, Any] | None) -> list[str]:
    """Difference, interval, p and adjusted p."""
    if not step:
        return [MISSING] * 4
    bounds = f"{signed(step['interval'][0])} to {signed(step['interval'][1])}" if step["interval"] else MISSING
    return [signed(step["difference"]), bounds, escape(p_value(step["p"])), escape(p_value(step["p_holm"]))]


def reasons(ladder: Mapping[str, Any], label: str) -> str:
    """What changed at every rung, what it answers, and which parts of the model a gradient reached."""
    rows = []
    for i, rung in enumerate(ladder["rungs"]):
        step = rung["step"]
        rows.append(
            [
                rung_cell(ladder, i),
                f"{step['from'] + 1}" if step else MISSING,
                "; ".join(escape(change) for change in changed(rung)) or MISSING,
                classes(rung["scores"]),
                audit(rung["audit"]),
            ]
        )
    columns = {"Rung": "l", "Beside": "c", "What changed": "l", "Classes answered": "l", "Gradient reaches": "l"}
    caption = (
        f"{escape(ladder['title'])}: what each rung changes in the configuration, beside the rung it is compared with; "
        "the labels that it answers; and the parts of the model that train, with the number of tensors that got a "
        "gradient where not all did."
    )
    return table(columns, rows, caption, label)


def changed(rung: Rung) -> list[str]:
    """ "training.learning_rate: 3e-05 → 0.01" for every key that differs."""
    return [f"{item['key']}: {value(item['before'])} → {value(item['after'])}" for item in rung["changed"]]


def value(given: Any) -> str:
    """A configuration value as one would write it, cut where it is long."""
    if given is None:
        return MISSING
    if isinstance(given, bool):
        return str(given).lower()
    if isinstance(given, float):
        return f"{given:g}"
    if isinstance(given, Sequence) and not isinstance(given, str):
        return ", ".join(value(item) for item in given)
    text = " ".join(str(given).split())
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"


def classes(scores: Mapping[str, Any] | None) -> str:
    """ "1 of 3 (entailment 100%)"."""
    if not scores or not scores["parsed"]:
        return MISSING
    most = max(scores["answers"], key=scores["answers"].get)
    return f"{scores['classes']} of {len(scores['answers'])} ({most} {percent(scores['top_share'], 0)}%)"


def audit(parts: Sequence[Mapping[str, Any]] | None) -> str:
    """ "adapter, head"; a part of which not every tensor got a gradient says how many did."""
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
    """How many pairs of methods differ, and which methods do not differ from a chance baseline."""
    found = results.ladders.get("pairs") or {}
    tests = found.get("comparisons") or []
    if not tests:
        return "Fewer than two experiments have answers: there is nothing to compare."
    apart = sum(test["p_holm"] < LEVEL for test in tests)
    lines = [
        f"Of {counted(len(tests), 'pair')} of experiments, {apart} differ beyond chance (McNemar, Holm over all); "
        f"for {len(tests) - apart} there is no evidence of a difference."
    ]
    for key in found["experiments"]:
        if key.startswith("baseline/"):
            near = [
                _other(test, key)
                for test in tests
                if key in (test["first"], test["second"]) and test["p_holm"] >= LEVEL
            ]
            names = [f"**{escape(results.arms[other].title)}**" for other in near if not other.startswith("baseline/")]
            lines.append(
                f"No evidence of a difference from *{escape(results.arms[key].title)}*: {listing(names) or 'none'}."
            )
    return "\n".join(f"- {line}" for line in lines)


def _other(test: Mapping[str, Any], key: str) -> str:
    return test["second"] if test["first"] == key else test["first"]
