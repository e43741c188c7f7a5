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
FAMILY = "Holm over all experiments and ways of judging them"  # for the tests against chance and hypothesis-only


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
        conclusion(ladder),
        f"{{{{< include figures/{label}.md >}}}}",
        "\n".join(f"{i}. {sentence(ladder, i - 1)}" for i in range(1, len(ladder["rungs"]) + 1)),
        f"@tbl-{label} has the numbers; @tbl-{label}-changes says what changes, and what each rung answers.",
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
    """What this run shows about the question: the accuracies of its experiments, in each way they are judged."""
    keys = ladder["shows"] or [ladder["rungs"][0]["experiment"]]
    judged = {rung_title(ladder, i): ladder["rungs"][i]["scores"] for key in keys for i in places(ladder, key)}
    said = [f"**{escape(title)}** {outcome(scores)}" for title, scores in judged.items()]
    level = ladder["chance"]
    constant = f"; always answering *{level['label']}* scores {percent(level['accuracy'], 1)}%" if level else ""
    return f"In this run: {listing(said)}{constant}."


def places(ladder: Mapping[str, Any], key: str) -> list[int]:
    """The rungs of an experiment."""
    return [i for i, rung in enumerate(ladder["rungs"]) if rung["experiment"] == key]


def outcome(scores: Mapping[str, Any] | None) -> str:
    """ "33.20%, with 3 of 3 labels (contradiction 52%)", or that there is nothing to judge."""
    if not scores or scores["accuracy"] is None:
        return "has no answers to judge"
    if not scores["parsed"]:
        return f"{percent(scores['accuracy'])}%: no answer names a label"
    return f"{percent(scores['accuracy'])}%, with {classes(scores).replace(' (', ' labels (')}"


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


def sentence(ladder: Mapping[str, Any], i: int) -> str:
    """One rung: its accuracy, how it differs from the rung it is compared with, and its claim's verdict."""
    rung = ladder["rungs"][i]
    title, claim = f"**{escape(rung_title(ladder, i))}**", f"*{escape(rung['claim'])}*"
    if not rung["scores"] or rung["scores"]["accuracy"] is None:
        problem = rung["problem"] or ("no answer names a label" if rung["status"] == "done" else "")
        why = f" ({escape(problem)})" if problem else ""
        return f"{claim} {title}: {rung['status']}{why}, so this is **not tested**."
    scores = rung["scores"]
    within = interval(scores["clustered_interval"])
    text = f"{title} answers {percent(scores['accuracy'])}% right (95% interval {within})"
    if rung["step"]:
        text += f", {difference(rung['step'])}{seeds_of_step(ladder, i)}"
    elif rung["against"]:
        text += "; there are no answers to compare it with"
    if rung["expects"] == "one_class" and scores["top_share"] is not None:
        text += f"; its most frequent answer is {percent(scores['top_share'], 1)}% of all"
    if rung["expects"] in ("at_chance", "above_chance"):
        text += f"; it is {chance(rung)}"
    if rung["expects"] == "at_chance" and rung["chance"]:
        low, high = rung["chance"]["clustered_interval"]
        text += f", a difference of {signed(low)} to {signed(high)} points from the best constant answer"
    if rung["expects"] in ("at_chance", "no_difference"):
        text += f" (margin: {100 * rung['margin']:g} points)"
    if rung["expects"] == "above_hypothesis_only":
        text += f"; it is {hypothesis_only(rung)}"
    return f"{claim} {text}. {judgement(rung['verdict'])}"


def difference(step: Mapping[str, Any]) -> str:
    """The difference, above or below, and the test's result."""
    text = f"{points(step['difference'])} rung {step['from'] + 1}"
    if step["same_answers"]:
        return f"{text} (the same answers, so there is nothing to test)"
    low, high = step["clustered_interval"]
    test = f"{p_equation(step['p_holm'])} after Holm, {counted(step['n'], 'pair')}"
    text += f" (95% interval {signed(low)} to {signed(high)} points; {test})"
    seeds = step["seeds"]
    if seeds["sd"] is not None:
        text += f"; SD over {len(seeds['values'])} seeds {percent(seeds['sd'], 1)} points"
    return text


def seeds_of_step(ladder: Mapping[str, Any], i: int) -> str:
    """The seeds of a step, if one of its rungs shows numbers of other seeds too."""
    if same_seeds(ladder, i):
        return ""
    return f" under the seeds of both, {listing(list(ladder['rungs'][i]['step']['seeds']['values']))}"


def same_seeds(ladder: Mapping[str, Any], i: int) -> bool:
    """Whether both rungs of a step show numbers of exactly the compared seeds."""
    step = ladder["rungs"][i]["step"]
    compared = step["seeds"]["values"].keys()
    return all(ladder["rungs"][place]["seeds"]["values"].keys() == compared for place in (step["from"], i))


def judgement(verdict: str) -> str:
    return {
        "supported": "The claim is **supported**.",
        "refuted": "The claim is **refuted**.",
        "no evidence": "There is **no evidence** for the claim.",
        "not tested": "The claim is **not tested**.",
    }.get(verdict, "It is shown for comparison.")


def chance(rung: Rung) -> str:
    """A rung compared with the best constant answer."""
    test = rung["chance"]
    if not test:
        return "not compared with chance"
    own = f" on its own {counted(test['n'], 'pair')}" if rung["scores"] and test["n"] != rung["scores"]["n"] else ""
    return f"{stands(test)} chance{own} ({level_of(test)}; {of_test(test)})"


def level_of(test: Mapping[str, Any]) -> str:
    """Chance in a comparison: the best constant answer and, if a method is no better, also the worst."""
    best = f"{percent(test['accuracy'], 1)}%, always *{test['label']}*"
    if test["standing"] == "above" or test["worst"] == test["accuracy"]:
        return best
    return f"{percent(test['worst'], 1)}% to {best}: the worst to the best constant answer"


def hypothesis_only(rung: Rung) -> str:
    """A rung compared with the classifier that never sees the premise."""
    test = rung["hypothesis_only"]
    if not test:
        return "not compared with hypothesis-only, which has not run"
    return f"{stands(test)} hypothesis-only ({signed(test['difference'])} points; {of_test(test)})"


def stands(test: Mapping[str, Any]) -> str:
    return {"above": "above", "below": "below"}.get(test["standing"], "not separable from")


def of_test(test: Mapping[str, Any]) -> str:
    return f"{p_equation(test['p_holm'])}, {FAMILY}"


def settled(step: Mapping[str, Any] | None) -> bool:
    """Whether a difference is more than chance, by the test, or by arithmetic if the answers are the same."""
    if not step:
        return False
    return step["difference"] != 0 if step["same_answers"] else step["p_holm"] < LEVEL


def conclusion(ladder: Mapping[str, Any]) -> str:
    """What the ladder shows: its largest step, its last rung, and the tally of its claims."""
    rungs = ladder["rungs"]
    done = [i for i, rung in enumerate(rungs) if rung["scores"] and rung["scores"]["accuracy"] is not None]
    tally = [(sum(rung["verdict"] == verdict for rung in rungs), verdict) for verdict in VERDICTS]
    said = listing([f"{n} {TALLY.get(word, word)}" for n, word in tally if n])
    claims = f"Of {counted(sum(n for n, _ in tally), 'claim')}: {said}."
    if len(done) < 2:
        return f"No evidence: {len(done)} of {counted(len(rungs), 'rung')} ran. {claims}"
    steps = [i for i in done if settled(rungs[i]["step"]) and not rungs[i]["step"]["same_answers"]]
    if steps:
        i = max(steps, key=lambda place: abs(rungs[place]["step"]["difference"]))
        step = rungs[i]["step"]
        text = (
            f"The largest step is rung {i + 1}, **{escape(rung_title(ladder, i))}**: {points(step['difference'])} "
            f"rung {step['from'] + 1}, at {percent(rungs[i]['scores']['accuracy'], 1)}%."
        )
    else:
        text = "No test shows that a rung differs from the one it is compared with."
    last = done[-1]
    end = f"The last rung, {last + 1}, is at {percent(rungs[last]['scores']['accuracy'], 1)}%, {chance(rungs[last])}."
    return f"{text} {end} {claims}"


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
        [rung_cell(ladder, i), *accuracy_cells(rung), *step_cells(rung["step"]), rung["verdict"]]
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
    caption = (
        f"{escape(ladder['title'])}: every rung on the {counted(ladder['n'], 'pair')} of the {ladder['split']} split "
        "that all of them answered; n is smaller where only parsed answers count. @"
        f"{label}-changes names the rung that the difference is from. *p, rows*: McNemar's mid-p as if rows were "
        "independent; *premises*: the same with counts divided by the design effect, as in the intervals; *Holm*: the "
        "latter adjusted over this ladder, by which the claim is judged. Intervals are not adjusted."
    )
    return table(columns, rows, caption, label)


def rung_cell(ladder: Mapping[str, Any], i: int) -> str:
    """ "3. Title" with a non-breaking space, because Typst reads "3. " at the beginning of a cell as a list."""
    return f"{i + 1}.\N{NO-BREAK SPACE}{escape(rung_title(ladder, i))}"


def accuracy_cells(rung: Rung) -> list[str]:
    scores = rung["scores"]
    if not scores:
        return [MISSING, f"*{rung['status']}*", MISSING]
    return [integer(scores["n"]), percent(scores["accuracy"]), interval(scores["clustered_interval"])]


def step_cells(step: Mapping[str, Any] | None) -> list[str]:
    """Difference, its interval, the three p-values and the design effect."""
    if not step:
        return [MISSING] * 6
    ends = step["clustered_interval"]
    bounds = f"{signed(ends[0])} to {signed(ends[1])}" if ends else MISSING
    ps = [escape(p_value(step[key])) for key in ("p", "clustered_p", "p_holm")]
    return [signed(step["difference"]), bounds, *ps, decimal(step["design_effect"], 2)]


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
    caption = (
        f"{escape(ladder['title'])}, for each rung: what it changes in the configuration of the rung it is compared "
        "with; how many labels it answers with, the most frequent one and its share of the parsed answers; whether it "
        "is above the best or below the worst constant answer, and above or below the hypothesis-only baseline "
        f"(McNemar's mid-p by premise, {FAMILY}); and which parts of the model train, with the number of tensors that "
        "got a gradient if not all did."
    )
    return table(columns, rows, caption, label)


def standing_cell(test: Mapping[str, Any] | None) -> str:
    """ "above", "below", or a dash if the test says neither."""
    return test["standing"] if test and test["standing"] != "no evidence" else MISSING


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
