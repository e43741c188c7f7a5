"""Sentences that state results, computed from the numbers.

Each says only what the tests support: above chance, below it, or not separable from it.
"""

import html
from collections.abc import Mapping, Sequence
from typing import Any

from nli.base.labels import LABELS
from nli.measure.paired import LEVEL
from nli.reporting.markup import code, counted, decimal, escape, integer, interval, listing, percent, scientific, typst
from nli.reporting.results import Experiment, Results, chance_test, reported_training
from nli.reporting.tables.ladders import p_equation, points, signed

LEAST_PARSED = 0.5  # share of a prompt's answers; below it, the accuracy of parsed answers means too little
ROUNDING = 1e-6  # share of the mean square; half precision rounds each entry by some 5e-4, squared 2.5e-7


def notice(results: Results) -> str:
    """The box at the top of the report with the scale's `notice:`; nothing without one."""
    stated = results.study.get("notice")
    if not stated:
        return ""
    title = escape(stated["title"]).replace("\\'", "'")  # Pandoc makes it typographic
    return f"::: {{.scale-notice}}\n**{title}**\n\n{stated['detail']}\n:::\n"


def notice_html(results: Results) -> str:
    """The bar fixed to the top of the HTML page; nothing without a notice."""
    stated = results.study.get("notice")
    title = html.escape(stated["title"], quote=False) if stated else ""
    return f'<aside class="scale-bar" aria-label="Notice">{title}</aside>\n' if stated else ""


def notice_typst(results: Results) -> str:
    """The line in the header of every PDF page, as a Typst variable; `none` without a notice."""
    stated = results.study.get("notice")
    value = f"[{typst(stated['title'])}]" if stated else "none"
    return f"#let study-notice = {value}\n"


def accuracy(experiment: Experiment, scores: Mapping[str, Any]) -> str:
    """ "Full fine-tuning answers 84.17% right (95% interval 81.2 to 87.0)"."""
    shown = f"{percent(scores['accuracy'])}% (95% interval {interval(scores['clustered_interval'])})"
    return f"**{escape(experiment.title)}** reaches {shown}"


def gap(results: Results, first: str | None, second: str) -> str:
    """How the second experiment differs from the first on the pairs that both answered, and the test's result."""
    found = comparison_of(results, first, second) if first else None
    if found is None:
        return ""
    test, turned, p, correction = found
    difference = -test["difference"] if turned else test["difference"]
    ends = test["clustered_interval"]
    low, high = (-ends[1], -ends[0]) if turned else ends
    one, two = (f"**{escape(results.experiments[key].title)}**" for key in (first, second))
    meeting = "a significant difference" if p < LEVEL else "no evidence of a difference"
    return (
        f"{two} is {points(difference)} {one} on {counted(test['n'], 'pair')} (95% interval {signed(low)} to "
        f"{signed(high)} points): {meeting} ({p_equation(p)}, {correction})."
    )


def comparison_of(results: Results, first: str, second: str) -> tuple[Mapping[str, Any], bool, float, str] | None:
    """The comparison of two experiments, whether it is second to first, the p that counts, and its correction.

    A comparison in a ladder has the ladder's p, any other that of the matrix of all pairs, so that the report gives
    only one p for it.
    """
    matched = [ladder for ladder in (results.ladders.get("ladders") or {}).values() if ladder["split"] == "matched"]
    for ladder in matched:
        for rung in ladder["rungs"]:
            step = rung["step"]
            if not step or step["same_answers"]:
                continue
            sides = [ladder["rungs"][step["from"]], rung]
            plain = all(side["scorer"] is None and side["counted"] == "all" for side in sides)
            keys = [side["experiment"] for side in sides]
            if plain and sorted(keys) == sorted((first, second)):
                title = escape(ladder["title"])
                return step, keys == [second, first], step["p_holm"], f"Holm over the ladder *{title}*"
    tests = (results.ladders.get("pairs") or {}).get("comparisons") or []
    test = next((t for t in tests if {t["first"], t["second"]} == {first, second} and "clustered_interval" in t), None)
    return test and (test, test["first"] == second, test["p_holm"], "Holm over all pairs of experiments")


def summary(results: Results) -> str:
    """The result in a few lines: what ran, what leads, what stays at chance, what collapsed."""
    ran, all_of_them = len(results.done()), counted(len(results.experiments), "experiment")
    lines = [f"{ran} of {all_of_them} ran at the *{results.scale}* scale."]
    scored = [(experiment, scores) for experiment in results.methods() if (scores := experiment.scores())]
    if scored:
        best, scores = max(scored, key=lambda pair: pair[1]["accuracy"])
        lines.append(f"Highest accuracy on the matched split: {accuracy(best, scores)}.")
        tests = [(experiment, chance_test(results, experiment)) for experiment, _ in scored]
        chance = [experiment for experiment, test in tests if test and test["standing"] == "no evidence"]
        below = [experiment for experiment, test in tests if test and test["standing"] == "below"]
        collapsed = [experiment for experiment, s in scored if s["collapsed"]]
        lines.append(_named("Not separable from chance, the best constant answer", chance))
        lines.append(_named("Worse than even the worst constant answer (unparsed answers count as wrong)", below))
        lines.append(_named("Collapsed to one class (over 95% of the answers)", collapsed))
    return "\n".join(f"- {line}" for line in lines)


def _named(what: str, experiments: Sequence[Experiment]) -> str:
    return f"{what}: {listing([f'**{escape(experiment.title)}**' for experiment in experiments]) or 'none'}."


def data_source(results: Results) -> str:
    """Where the pairs come from, and the warnings from reading them."""
    description = results.description
    if not description:
        return "*The description of the data is missing: the data stage has not run.*"
    kinds = {
        "synthetic": "The study's own **generator** made the pairs: their labels are right by construction",
        "files": "The pairs come from **files** given to the study",
    }
    source = str(description.get("source"))
    kind, _, name = source.partition(" ")  # "synthetic", "files", or "hub NAME"
    text = f"The pairs come from the hub's {code(name)}" if kind == "hub" else kinds[kind]
    revision = description.get("revision")
    text += f", at revision `{revision[:12]}`." if revision else "."
    dropped = sum((description.get("dropped") or {}).values())
    text += f" {counted(dropped, 'row')} without a gold label {'was' if dropped == 1 else 'were'} dropped."
    for name, own in (description.get("sets") or {}).items():
        text += f" **{escape(results.sets[name]['title'])}** is from {escape(listing(sorted(own['sha256'])))}."
    warnings = [f"- {escape(warning)}" for warning in description.get("warnings") or []]
    return "\n".join([text, "", "Noticed while reading:", "", *warnings]) if warnings else text


def roberta(results: Results) -> str:
    """How each of the original's RoBERTa experiments differs from the one it is compared with."""
    lines = [
        gap(results, experiment.spec["compared_with"], experiment.key)
        for experiment in results.family("roberta")
        if experiment.origin == "reported"
    ]
    return "\n".join(f"- {line}" for line in lines if line)


def prompt_tuning(results: Results) -> str:
    """Which weights the original's prompt tuning changed."""
    audits = [
        experiment.first.run.get("parameters")
        for experiment in results.family("roberta")
        if experiment.spec["method"] == "prompt_tuning" and experiment.origin == "reported" and experiment.first
    ]
    return "\n".join(gradient(audit) for audit in audits if audit)


def gradient(audit: Mapping[str, Any]) -> str:
    """Which tensors were trainable, and which of them got a gradient."""
    names = audit.get("trainable_tensors") or []
    moved = audit.get("gradient_tensors") or []
    shown = listing([code(name.removeprefix("base_model.")) for name in names[:3]])
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    steps = audit.get("audited_steps")  # missing from records of earlier versions
    within = f" within the first {counted(steps, 'training step')}" if steps else ""
    return (
        f"The audit of our run: {counted(len(names), 'trainable tensor')} ({shown}{more}), of which "
        f"{len(moved)} had a non-zero gradient{within}; "
        f"{integer(audit.get('trainable'))} trainable weights in all."
    )


def icl(results: Results) -> str:
    """The best prompt under each way of counting, and how much the counting matters."""
    scored = [(experiment, scores) for experiment in results.family("icl") if (scores := experiment.scores())]
    if not scored:
        return "No prompt has run, so there is nothing to conclude."
    lines = [best_parsed(scored)]
    experiment, scores = max(scored, key=lambda pair: pair[1]["accuracy"])
    lines.append(f"Counting all answers, the highest accuracy: {accuracy(experiment, scores)}.")
    shares = [scores["parsed"] / scores["n"] for _, scores in scored]
    low, high = percent(min(shares), 1), percent(max(shares), 1)
    lines.append(
        f"{low}% of the answers could be parsed."
        if low == high
        else f"Between {low}% and {high}% of the answers could be parsed."
    )
    above = [
        experiment
        for experiment, _ in scored
        if (test := chance_test(results, experiment)) and test["standing"] == "above"
    ]
    lines.append(_named("Above chance, with every answer counted", above))
    silent = [
        f"**{escape(experiment.title)}** (no *{label}*)"
        for experiment, scores in scored
        for label in LABELS
        if scores["parsed"] and not scores["answers"][label]
    ]
    unread = [f"**{escape(experiment.title)}**" for experiment, scores in scored if not scores["parsed"]]
    lines.append(f"Prompts that never answer with one of the labels: {listing(silent) or 'none'}.")
    if unread:
        lines.append(f"Prompts none of whose answers names a label: {listing(unread)}.")
    lines += drawn(results.family("icl"))
    return "\n".join(f"- {line}" for line in lines)


def best_parsed(scored: Sequence[tuple[Experiment, Mapping[str, Any]]]) -> str:
    """The best prompt by parsed answers, among those with enough of them, and the number of prompts with too few."""
    enough = [(experiment, scores) for experiment, scores in scored if scores["parsed"] >= LEAST_PARSED * scores["n"]]
    least = f"{percent(LEAST_PARSED, 0)}% of the answers"
    if not enough:
        return f"By parsed answers only, no prompt is ranked: for none of them could {least} be parsed."
    experiment, scores = max(enough, key=lambda pair: pair[1]["parsed_accuracy"])
    share = f"{percent(scores['parsed_accuracy'])}% of {integer(scores['parsed'])} parsed answers"
    left_out = len(scored) - len(enough)
    verb = "is" if left_out == 1 else "are"
    note = f"; {counted(left_out, 'prompt')} with under {least} parsed {verb} left out" if left_out else ""
    return f"Counting parsed answers only, the highest is **{escape(experiment.title)}** with {share}{note}."


def qlora(results: Results) -> str:
    """The two scorings of the same answers, how they were generated, and what the limits on tokens do."""
    lines = [line for experiment in results.family("qlora") if (line := two_readings(experiment))]
    lines += drawn(results.family("qlora"))
    lines += [line for experiment in results.family("qlora") if (line := lost_labels(experiment))]
    lines += [line for experiment in results.family("qlora") if (line := padding_in_loss(experiment, results.reported))]
    return "\n".join(f"- {line}" for line in lines)


def two_readings(experiment: Experiment) -> str:
    """The scores of two ways of reading the same answers; "" if the original does not use both."""
    scores = [experiment.scores("matched", name) for name in ("first_label", "most_frequent_label")]
    if experiment.origin != "reported" or not all(scores):
        return ""
    moved = 100 * abs(scores[1]["accuracy"] - scores[0]["accuracy"])
    return (
        f"The same answers of **{escape(experiment.title)}** score {percent(scores[0]['accuracy'])}% by their first "
        f"label and {percent(scores[1]['accuracy'])}% by their most frequent one: the scoring alone accounts for "
        f"{moved:.1f} points."
    )


def drawn(experiments: Sequence[Experiment]) -> list[str]:
    """How answers were generated, as recorded in run.json: one sentence for each way, with its experiments."""
    ways: dict[str, list[Experiment]] = {}
    for experiment in experiments:
        values = experiment.first.run.get("generation") if experiment.first else None
        if values:
            ways.setdefault(way_of_drawing(values), []).append(experiment)
    return [
        f"{way}: {listing([f'**{escape(experiment.title)}**' for experiment in experiments])}."
        for way, experiments in ways.items()
    ]


def way_of_drawing(values: Mapping[str, Any]) -> str:
    """The effective settings of a generation in words."""
    if not values["do_sample"]:
        way = "Answered greedily"
    else:
        top_k = f"the {values['top_k']} most probable tokens" if values["top_k"] else "all tokens"
        way = f"Sampled at temperature {values['temperature']}, from {top_k} within a top_p of {values['top_p']}"
    return f"{way}, at most {values['max_new_tokens']} tokens (set by {values['source']})"


def padding_in_loss(experiment: Experiment, reported: Mapping[str, Any]) -> str:
    """How far a loss over the padding explains the original's two losses; "" if the loss does not count the padding.

    Padding with zero loss divides the mean loss by the ratio of positions to tokens, which is the largest effect.
    """
    closing = experiment.first.history.get("texts", {}).get("closing") if experiment.first else None
    if not closing or experiment.spec.get("loss_on") != "padded":
        return ""
    limit = experiment.spec["tokenization"]["max_length"]
    long, short = (reported_training(reported, key)["loss"] for key in reported["families"]["qlora"]["losses_apart"])
    most, printed = limit / closing["tokens"], long / short
    explains = "could explain all of that" if most >= printed else "cannot explain that alone"
    return (
        f"**{escape(experiment.title)}** counts the padding: after training its loss is "
        f"{decimal(closing['loss_on_padded'], 3)} over all {limit} positions and {decimal(closing['loss_on_text'], 3)} "
        f"over the texts' own tokens, {decimal(closing['tokens'], 0)} on average. The losses that the original prints "
        f"for attempts 2 and 3, {decimal(long)} and {decimal(short)}, differ by a factor of {decimal(printed, 1)}. "
        f"Padding that costs nothing divides a loss of such texts by {decimal(most, 1)}, so it {explains}."
    )


def lost_labels(experiment: Experiment) -> str:
    """How many training texts lose their label to the limit on tokens; "" if none does."""
    texts = experiment.first.history.get("texts", {}) if experiment.first else {}
    if not texts.get("lost_labels"):
        return ""
    return (
        f"The limit on tokens cuts the label off {integer(texts['lost_labels'])} of {integer(texts['rows'])} training "
        f"texts of **{escape(experiment.title)}**."
    )


def merge(results: Results) -> str:
    """How far each merge moves the next-token distributions."""
    merged = [experiment for experiment in results.family("qlora") if experiment.spec.get("method") == "merge"]
    lines = [line for experiment in merged if (line := merge_error(experiment))]
    return "\n".join(f"- {line}" for line in lines) or "The merge has not run."


def merge_error(experiment: Experiment) -> str:
    """How far the merge moves the next-token distributions, relative to the adapter's effect; "" if unknown."""
    measured = experiment.first.run.get("merge") if experiment.first else None
    if not measured or measured["kl_ratio"] is None:
        return ""
    merged, base = (nats(measured[key]) for key in ("kl_adapter_merged", "kl_adapter_base"))
    ratio = measured["kl_ratio"]
    share = f"{percent(ratio)}% of" if ratio < 2 else f"{decimal(ratio, 1)} times"
    return (
        f"**{escape(experiment.title)}**: its next-token distributions are {merged} nats from the adapter's "
        f"(Kullback-Leibler divergence, mean over the {integer(measured['rows'])} pairs answered), {share} the {base} "
        "nats between the adapter's and its base's."
    )


def nats(value: float) -> str:
    """Three decimals, or a power of ten if they would be zero."""
    return decimal(value, 3) if value >= 5e-4 or not value else scientific(value)


def linear_head(results: Results) -> str:
    """How much the input of each linear head varies between pairs."""
    lines = [line for experiment in results.family("linear_head") if (line := states_read(experiment))]
    return "\n".join(f"- {line}" for line in lines)


def states_read(experiment: Experiment) -> str:
    """How much the hidden states that a head reads vary over pairs, relative to their size; "" if not measured."""
    states = experiment.first.run.get("states_read") if experiment.first else None
    if not states:
        return ""
    share = states["variance"] / states["mean_square"]
    text = f"The hidden state that **{escape(experiment.title)}** reads is "
    over = f"over {integer(states['examples'])} pairs"
    if share == 0:
        return f"{text}exactly the same for every pair, {over}."
    said = "the same for every pair, up to rounding" if share < ROUNDING else "different for every pair"
    size = f"{percent(share, 1)}%" if share >= 1e-3 else scientific(share)
    return f"{text}{said}: {over}, its variance is {size} of its mean square."
