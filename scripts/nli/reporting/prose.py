"""Sentences that state results. They are computed, so they change when the numbers do.

Each says what the intervals allow and no more: above the majority baseline, below it, or not separable.
"""

import html
from collections.abc import Mapping, Sequence
from typing import Any

from nli.labels import LABELS
from nli.paired import LEVEL
from nli.reporting.markup import counted, escape, integer, interval, listing, percent
from nli.reporting.results import Arm, Results
from nli.reporting.tables_ladders import p_equation, points, signed

ROUNDING = 1e-6  # share of the mean square; half precision rounds each entry by some 5e-4 of it, squared 2.5e-7
DEMO_NOTICE = "Demo scale: this report shows the machinery and the mechanisms, not the study's results."
DEMO_DETAIL = (
    "Every step below ran through the same code as the full study, on far smaller "
    "models. Set our figures beside the reported ones to compare *patterns* (what learns, what "
    "collapses, what cannot be parsed), never levels."
)


def notice(results: Results) -> str:
    """The box at the top of a report of demo runs; nothing at paper scale."""
    if results.scale != "demo":
        return ""
    return f"::: {{.demo-notice}}\n**{DEMO_NOTICE}**\n\n{DEMO_DETAIL}\n:::\n"


def notice_html(results: Results) -> str:
    """The bar that stays above the HTML page; nothing at paper scale."""
    if results.scale != "demo":
        return ""
    return f'<div class="demo-bar" role="note">{html.escape(DEMO_NOTICE, quote=False)}</div>\n'


def notice_typst(results: Results) -> str:
    """The line in the header of every PDF page, as a Typst variable; `none` at paper scale."""
    value = f"[{DEMO_NOTICE}]" if results.scale == "demo" else "none"
    return f"#let study-notice = {value}\n"


def standing(scores: Mapping[str, Any]) -> str:
    """Where an accuracy stands beside the majority baseline, as its 95% interval allows."""
    share = percent(scores["majority_accuracy"], 1)
    low, high = scores["interval"]
    if low > scores["majority_accuracy"]:
        return f"above the majority baseline of {share}%"
    if high < scores["majority_accuracy"]:
        return f"below the majority baseline of {share}%"
    return f"not separable from the majority baseline of {share}%"


def accuracy(arm: Arm, scores: Mapping[str, Any]) -> str:
    """ "Full fine-tuning answers 84.17% right (95% interval 81.2 to 87.0)"."""
    shown = f"{percent(scores['accuracy'])}% (95% interval {interval(scores['interval'])})"
    return f"**{escape(arm.title)}** reaches {shown}"


def statement(results: Results, key: str) -> str:
    """One full sentence on an experiment: its accuracy, or that it has none."""
    arm = results.arms.get(key)
    if arm is None:
        return ""
    scores = arm.scores()
    if scores is None:
        return f"**{escape(arm.title)}**: {arm.status}."
    text = f"{accuracy(arm, scores)}, {standing(scores)}"
    return f"{text}; {answers(scores)}." if scores["collapsed"] else f"{text}."


def answers(scores: Mapping[str, Any]) -> str:
    """What a collapsed experiment answers."""
    label = max(LABELS, key=lambda name: scores["answers"][name])
    share = scores["answers"][label] / max(1, scores["parsed"])
    return f"it has collapsed: {percent(share, 1)}% of its answers are *{label}*"


def gap(results: Results, first: str, second: str) -> str:
    """How the second experiment stands beside the first on the pairs that both answered, and what the test says."""
    tests = (results.ladders.get("pairs") or {}).get("comparisons") or []
    test = next((test for test in tests if {test["first"], test["second"]} == {first, second}), None)
    if test is None:
        return ""
    turned = test["first"] == second
    difference = -test["difference"] if turned else test["difference"]
    ends = [-end for end in reversed(test["interval"])] if turned else test["interval"]
    one, two = (f"**{escape(results.arms[key].title)}**" for key in (first, second))
    settled = test["p_holm"] < LEVEL
    meeting = "a difference beyond chance" if settled else "no evidence of a difference"
    return (
        f"{two} is {points(difference)} {one} on {counted(test['n'], 'pair')} (95% interval {signed(ends[0])} to "
        f"{signed(ends[1])} points): {meeting} ({p_equation(test['p_holm'])}, McNemar, Holm over all pairs of methods)."
    )


def summary(results: Results) -> str:
    """The result in a few lines: what ran, what leads, what stays at chance, what collapsed."""
    arms, done = list(results.arms.values()), results.done()
    lines = [f"{len(done)} of {counted(len(arms), 'experiment')} ran at the *{results.scale}* scale."]
    for status in ("failed", "not run"):
        names = [f"**{escape(arm.title)}**" for arm in arms if arm.status == status]
        if names:
            lines.append(f"{status.capitalize()}: {listing(names)}.")
    scored = [(arm, scores) for arm in results.methods() if (scores := arm.scores())]
    if scored:
        best, scores = max(scored, key=lambda pair: pair[1]["accuracy"])
        lines.append(f"Highest on the matched split: {accuracy(best, scores)}.")
        chance = [arm for arm, s in scored if "not separable" in standing(s)]
        below = [arm for arm, s in scored if standing(s).startswith("below")]
        collapsed = [arm for arm, s in scored if s["collapsed"]]
        lines.append(_named("Not separable from the majority baseline", chance))
        lines.append(_named("Below it, with unparsed answers counted as wrong", below))
        lines.append(_named("Collapsed to one class (over 95% of the answers)", collapsed))
    return "\n".join(f"- {line}" for line in lines)


def _named(what: str, arms: Sequence[Arm]) -> str:
    return f"{what}: {listing([f'**{escape(arm.title)}**' for arm in arms]) or 'none'}."


def data_source(results: Results) -> str:
    """Where the pairs come from, and what was noticed while reading them."""
    description = results.description
    if not description:
        return "*The description of the data is missing: the data stage has not run.*"
    kinds = {
        "synthetic": "The study's own **generator** made the pairs: their labels are right by construction",
        "files": "The pairs come from **files** given to the study",
    }
    source = str(description.get("source"))
    kind, _, name = source.partition(" ")  # "synthetic", "files", or "hub NAME"
    text = f"The pairs come from the hub's `{name}`" if kind == "hub" else kinds[kind]
    revision = description.get("revision")
    text += f", at revision `{revision[:12]}`." if revision else "."
    dropped = sum((description.get("dropped") or {}).values())
    text += f" {counted(dropped, 'row')} without a gold label {'was' if dropped == 1 else 'were'} dropped."
    warnings = [f"- {escape(warning)}" for warning in description.get("warnings") or []]
    return "\n".join([text, "", "Noticed while reading:", "", *warnings]) if warnings else text


def roberta(results: Results) -> str:
    """Every RoBERTa experiment in a sentence, and LoRA beside full fine-tuning."""
    lines = [statement(results, arm.key) for arm in results.family("roberta")]
    lines += [line for line in [gap(results, "roberta/full", "roberta/lora")] if line]
    return "\n".join(f"- {line}" for line in lines)


def prompt_tuning(results: Results) -> str:
    """What prompt tuning answers and what moved in it; and its repair."""
    lines = [statement(results, "roberta/prompt_tuning")]
    arm = results.arms.get("roberta/prompt_tuning")
    audit = arm.first.run.get("parameters") if arm and arm.first else None
    if audit:
        lines.append(gradient(audit))
    lines += [
        statement(results, "roberta/prompt_tuning_repaired"),
        gap(results, "roberta/prompt_tuning", "roberta/prompt_tuning_repaired"),
    ]
    return "\n".join(f"- {line}" for line in lines if line)


def gradient(audit: Mapping[str, Any]) -> str:
    """Which tensors were set to train, and which of them got a gradient."""
    names = audit.get("trainable_tensors") or []
    moved = audit.get("gradient_tensors") or []
    shown = listing([f"`{name.removeprefix('base_model.')}`" for name in names[:3]])
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return (
        f"The audit of our run: {counted(len(names), 'trainable tensor')} ({shown}{more}), of which "
        f"{len(moved)} had a non-zero gradient at the first step; "
        f"{integer(audit.get('trainable'))} trainable weights in all."
    )


def icl(results: Results) -> str:
    """The best prompt under each way of counting, and how much the counting matters."""
    scored = [(arm, scores) for arm in results.family("icl") if (scores := arm.scores())]
    if not scored:
        return "No prompt has been run, so there is nothing to conclude."
    lines = []
    parsed = [pair for pair in scored if pair[1]["parsed_accuracy"] is not None]
    if parsed:
        arm, scores = max(parsed, key=lambda pair: pair[1]["parsed_accuracy"])
        share = f"{percent(scores['parsed_accuracy'])}% of {integer(scores['parsed'])} parsed answers"
        lines.append(f"Counting parsed answers only, **{escape(arm.title)}** leads with {share}.")
    arm, scores = max(scored, key=lambda pair: pair[1]["accuracy"])
    lines.append(f"Counting all answers, {accuracy(arm, scores)} and leads.")
    shares = [scores["parsed"] / scores["n"] for _, scores in scored]
    lines.append(f"Between {percent(min(shares), 1)}% and {percent(max(shares), 1)}% of the answers could be parsed.")
    above = [arm for arm, scores in scored if standing(scores).startswith("above")]
    lines.append(_named("Above the majority baseline, counted strictly", above))
    silent = [
        f"**{escape(arm.title)}** (no *{label}*)"
        for arm, scores in scored
        for label in LABELS
        if scores["parsed"] and not scores["answers"][label]
    ]
    lines.append(f"Prompts that never give one of the labels: {listing(silent) or 'none'}.")
    return "\n".join(f"- {line}" for line in lines)


def qlora(results: Results) -> str:
    """Every QLoRA experiment, and the two scorings of the same answers."""
    lines = [statement(results, arm.key) for arm in results.family("qlora")]
    arm = results.arms.get("qlora/attempt1")
    scores = [arm.scores("matched", name) for name in ("first_label", "most_frequent_label")] if arm else []
    if scores and all(scores):
        points = 100 * (scores[1]["accuracy"] - scores[0]["accuracy"])
        lines.append(
            f"The same answers of **{escape(arm.title)}** score {percent(scores[0]['accuracy'])}% by their "
            f"first label and {percent(scores[1]['accuracy'])}% by their most frequent one: the way of "
            f"scoring alone moves the figure by {abs(points):.1f} points."
        )
    lines += [line for arm in results.family("qlora") if (line := lost_labels(arm))]
    return "\n".join(f"- {line}" for line in lines)


def lost_labels(arm: Arm) -> str:
    """How many training texts lose their label to the limit on tokens; nothing where none does."""
    texts = arm.first.history.get("texts", {}) if arm.first else {}
    if not texts.get("lost_labels"):
        return ""
    return (
        f"In the training of **{escape(arm.title)}**, {integer(texts['lost_labels'])} of "
        f"{integer(texts['rows'])} texts lose their label to the limit on tokens."
    )


def merge(results: Results) -> str:
    """What the merge changed."""
    merged = [arm for arm in results.family("qlora") if arm.spec.get("method") == "merge"]
    lines = [line for arm in merged for line in (gap(results, arm.spec["adapter"], arm.key), merge_error(arm))]
    return "\n".join(f"- {line}" for line in lines if line) or "The merge has not been run and scored."


def merge_error(arm: Arm) -> str:
    """The merge's error in the logits as a share of the adapter's own effect; nothing where it is not known."""
    measured = arm.first.run.get("merge") if arm.first else None
    if not measured or measured["relative_error"] is None:
        return ""
    share, rows = percent(measured["relative_error"], 1), integer(measured["rows"])
    return (
        f"**{escape(arm.title)}**: the merge moves the logits away from the adapter's by {share}% of what the adapter "
        f"itself moves them (over {rows} pairs)."
    )


def linear_head(results: Results) -> str:
    """The linear heads, how much what they read differs from pair to pair, and what another position changes."""
    arms = results.family("linear_head")
    lines = [statement(results, arm.key) for arm in arms]
    lines += [states_read(arm) for arm in arms]
    lines.append(gap(results, "linear_head/first_token", "linear_head/last_token"))
    return "\n".join(f"- {line}" for line in lines if line)


def states_read(arm: Arm) -> str:
    """How much the hidden states that a head reads differ between pairs, beside their size; "" if not measured."""
    states = arm.first.run.get("states_read") if arm.first else None
    if not states:
        return ""
    share = states["variance"] / states["mean_square"]
    said = "the same for every pair, up to rounding" if share < ROUNDING else "another for every pair"
    return (
        f"The hidden state that **{escape(arm.title)}** reads is {said}: over {integer(states['examples'])} pairs its "
        f"variance is {share:.1e} of its mean square."
    )


def comparison(results: Results) -> str:
    """How every repair stands beside what it repairs."""
    repairs = {
        "roberta/prompt_tuning_repaired": "roberta/prompt_tuning",
        "qlora/attempt1_label_loss": "qlora/attempt1",
        "qlora/attempt2_rate": "qlora/attempt2",
        "linear_head/last_token": "linear_head/first_token",
    }
    lines = [gap(results, before, after) for after, before in repairs.items()]
    lines = [line for line in lines if line]
    return "\n".join(f"- {line}" for line in lines) or "No repair and its original have both been run."
