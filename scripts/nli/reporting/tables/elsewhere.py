"""Tables of whether results hold elsewhere: on other sets and on the hard part of the matched pairs."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from nli.measure.elsewhere import HARD
from nli.measure.paired import LEVEL
from nli.reporting.markup import GROUP, MISSING, counted, escape, integer, interval, listing, percent, table
from nli.reporting.results import Experiment, Results
from nli.reporting.tables.ladders import p_equation, p_value, points, signed
from nli.reporting.tables.overview import by_family
from nli.reporting.tables.roberta import status_cells

NOTHING = "No experiment has answered other pairs than the matched ones."


def accuracies(results: Results) -> str:
    """Accuracy of every experiment on the matched pairs, the mismatched ones, and the hard part of the matched ones."""
    found = results.ladders.get("elsewhere") or {}
    shown = [name for name in (HARD, "mismatched") if name in found]
    if not shown:
        return NOTHING

    def row(experiment: Experiment) -> Sequence[str]:
        scores = experiment.scores()
        if scores is None:
            return [escape(experiment.title), *status_cells(experiment, 1 + len(shown))]
        cells = [found[name]["accuracies"].get(experiment.key) for name in shown]
        return [
            escape(experiment.title),
            percent(scores["accuracy"]),
            *(
                f"{percent(each['value'])} ({interval(each['clustered_interval'])})" if each else MISSING
                for each in cells
            ),
        ]

    columns = {"Experiment": "l", "Matched, %": "r"} | {f"{escape(found[name]['title'])}, %": "r" for name in shown}
    caption = "Accuracy on other pairs, with 95% intervals."
    if HARD in found:
        caption += (
            f" *{escape(found[HARD]['title'])}*: the {counted(found[HARD]['n'], 'matched pair')} that the "
            "hypothesis-only classifier gets wrong, whose labels the hypothesis does not give away."
        )
    methods = replace(results, experiments={experiment.key: experiment for experiment in results.methods()})
    return table(columns, by_family(methods, len(columns), row), caption, "tbl-elsewhere")


def comparisons(results: Results) -> str:
    """Every two of the compared experiments on every set, and in words where they differ though level on matched."""
    found = results.ladders.get("elsewhere") or {}
    rows: list[Sequence[str]] = []
    for each in found.values():
        if each["pairs"]:
            rows.append([f"**{escape(each['title'])}**", *[""] * 8])
            rows += [comparison_cells(results, pair) for pair in each["pairs"]]
    if not rows:
        return "Fewer than two of the experiments to compare have answered the same pairs."
    columns = {
        "Experiment": "l",
        "Than": "l",
        "n": "r",
        f"Difference, points{GROUP}here": "r",
        f"Difference, points{GROUP}95% interval": "r",
        f"Difference, points{GROUP}p, Holm": "r",
        f"Difference, points{GROUP}matched": "r",
        f"Beyond matched, points{GROUP}excess": "r",
        f"Beyond matched, points{GROUP}95% interval": "r",
    }
    caption = (
        "Every two of the compared experiments, pair by pair: the accuracy of the first minus that of the second. *p*: "
        "McNemar's mid-p by premise, adjusted (Holm) over this table. *Excess*: how much the difference here exceeds "
        "that on all matched pairs, with percentiles of a bootstrap over premises and seeds."
    )
    return f"{robustness(results)}\n\n{table(columns, rows, caption, 'tbl-elsewhere-pairs')}"


def comparison_cells(results: Results, pair: Mapping[str, Any]) -> list[str]:
    low, high = pair["clustered_interval"]
    least, most = pair["excess_interval"]
    return [
        escape(results.experiments[pair["second"]].title),
        escape(results.experiments[pair["first"]].title),
        integer(pair["n"]),
        signed(pair["difference"]),
        f"{signed(low)} to {signed(high)}",
        escape(p_value(pair["p_holm"])),
        signed(pair["on_matched"]["difference"]),
        signed(pair["excess"]),
        f"{signed(least)} to {signed(most)}",
    ]


def robustness(results: Results) -> str:
    """The experiments that no test tells apart on the matched pairs, and where one tells them apart elsewhere."""
    found = results.ladders["elsewhere"]
    level, lines = set(), []
    for each in found.values():
        for pair in each["pairs"]:
            if pair["on_matched"]["clustered_p"] < LEVEL:
                continue
            level.add((pair["first"], pair["second"]))
            if pair["p_holm"] < LEVEL:
                first, second = (f"**{escape(results.experiments[pair[key]].title)}**" for key in ("first", "second"))
                lines.append(
                    f"- {second} is {points(pair['difference'])} {first} on *{escape(each['title'])}* "
                    f"({p_equation(pair['p_holm'])}), though no test tells the two apart on the matched pairs."
                )
    if lines:
        return "\n".join(lines)
    if not level:
        return "On the matched pairs, a test tells every two of the compared experiments apart."
    named = [" and ".join(f"**{escape(results.experiments[key].title)}**" for key in pair) for pair in sorted(level)]
    return f"No test tells {listing(named)} apart on the matched pairs, and none does elsewhere."


def groups(results: Results) -> str:
    """Accuracy by genre and gold label on sets of their own rows, such as HANS by heuristic; "" without any."""
    found = {name: each for name, each in (results.ladders.get("elsewhere") or {}).items() if each["groups"]}
    return "\n\n".join(group_table(results, name, each) for name, each in found.items())


def group_table(results: Results, name: str, each: Mapping[str, Any]) -> str:
    """One set's accuracies by genre and gold label."""
    keys = list(each["groups"][0]["accuracies"])
    words = label_words(results.sets[name])
    rows = [
        [
            escape(group["genre"]),
            escape(words.get(group["gold"], group["gold"])),
            integer(group["n"]),
            *(percent(group["accuracies"][key]) for key in keys),
        ]
        for group in each["groups"]
    ]
    columns = {"Genre": "l", "Label": "l", "n": "r"} | {f"{escape(results.experiments[k].title)}, %": "r" for k in keys}
    return table(columns, rows, f"{escape(each['title'])}, by kind of pair.", f"tbl-elsewhere-{name.replace('_', '-')}")


def label_words(described: Mapping[str, Any]) -> dict[str, str]:
    """Our label -> the set's own word for it, such as non-entailment."""
    stated = described["source"]["labels"]
    return {value if isinstance(value, str) else value[0]: word for word, value in stated.items()}


def exchanged(results: Results) -> str:
    """A warning for every set whose labels fit the answers better in another order; "" without any."""
    lines = []
    for name, each in (results.ladders.get("elsewhere") or {}).items():
        for other in each["exchanged"]:
            order = listing([f"{stated} for {fits}" for stated, fits in other["order"].items()])
            lines.append(
                f"**Warning: the labels of {escape(each['title'])} may be exchanged.** "
                f"{escape(results.experiments[other['experiment']].title)} is right on "
                f"{percent(other['accuracy'], 1)}% of its pairs as they are labelled, and on "
                f"{percent(other['reordered'], 1)}% with {order}. Check `data.sets.{name}.source.labels` against the "
                "set's own description."
            )
    return "\n\n".join(lines)
