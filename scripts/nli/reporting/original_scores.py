"""What the original's accuracies can show: their intervals, and which cannot be separated from chance.

The original printed accuracies without the number of examples. For RoBERTa that number is the split's size. For the
prompts the printed digits allow one fraction or a few (`fits` in reported.yaml). For the rest, printed to four digits
or two, every fraction of at most 250 examples that rounds to the printed value is tried. Among several fractions the
one with the fewest examples is shown, which has the widest interval; the verdict is that of all of them, or left open.

Chance is the best constant answer, as everywhere in the study. It is not known which pairs Llama answered, so we use
the share of the most frequent label in the whole matched split.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from nli.measure.paired import LEVEL, mid_p, mid_p_interval
from nli.reporting.markup import counted, escape, integer, interval, listing, percent, table
from nli.reporting.results import Experiment, Results, reported_accuracy, reported_entry

MOST_EXAMPLES = 250  # reported.yaml: the original's samples of Llama's answers had at most some 250 rows
MARKS = {"same as chance": "†", "open": "‡", "differs": ""}
MEANING = "†: not separable from chance. ‡: separable or not, depending on the unknown number of examples."


@dataclass(frozen=True)
class Judged:
    """A printed accuracy: the fractions (right, examples) that it can be, smallest first, and the verdict on them.

    `interval` (95%) and `p` (against chance) are those of the first fraction, both by the binomial mid-p.
    """

    fractions: tuple[tuple[int, int], ...]
    interval: tuple[float, float]
    p: float
    verdict: str  # a key of MARKS


def judge(reported: Mapping[str, Any], key: str, split: str = "matched", scorer: str | None = None) -> Judged | None:
    """What a reported accuracy can show; None if nothing was printed or no fraction gives the printed value."""
    printed = reported_accuracy(reported, key, split, scorer)
    if printed is None:
        return None
    fractions = possible_fractions(reported, key, split, printed)
    if not fractions:
        return None
    chance = chance_level(reported)
    verdicts = {verdict(right, n, chance) for right, n in fractions}
    right, n = fractions[0]
    return Judged(
        tuple(fractions),
        tuple(mid_p_interval(right, n)),
        mid_p(right, n, chance),
        verdicts.pop() if len(verdicts) == 1 else "open",
    )


def chance_level(reported: Mapping[str, Any]) -> float:
    """The accuracy of the best constant answer: the share of the most frequent label in the matched split."""
    counts = reported["data"]["matched_label_counts"]["derived"]
    return max(counts.values()) / sum(counts.values())


def verdict(right: int, n: int, chance: float) -> str:
    """Whether `right` of `n` differs from chance; a key of MARKS."""
    return "differs" if mid_p(right, n, chance) < LEVEL else "same as chance"


def possible_fractions(reported: Mapping[str, Any], key: str, split: str, printed: str) -> list[tuple[int, int]]:
    """The fractions (right, examples) that a printed accuracy can be, smallest number of examples first."""
    if fits := reported_entry(reported, key).get("fits"):
        return sorted((tuple(map(int, fit.split("/"))) for fit in fits), key=lambda fit: fit[1])
    if "answered" in reported["families"].get(key.split("/")[0], {}):
        n = reported["data"]["splits"][f"validation_{split}"]
        return rounding_to(printed, n, n)
    return rounding_to(printed, 1, MOST_EXAMPLES)


def rounding_to(printed: str, fewest: int, most: int) -> list[tuple[int, int]]:
    """Fractions of `fewest` to `most` examples that give `printed` ("0.3429", "about 0.30") when rounded to its digits.

    Numbers printed to the last digit of a float are compared as floats.
    """
    text = printed.split()[-1]
    digits = len(text.partition(".")[2])
    value, half = Fraction(text), Fraction(1, 2 * 10**digits)
    tolerance = max(half, Fraction(1, 10**12))
    low, high = value - tolerance, value + tolerance
    return [
        (right, n) for n in range(fewest, most + 1) for right in range(math.ceil(low * n), math.floor(high * n) + 1)
    ]


# ------------------------------------------------------------------------------------------------ report


def reported_cell(reported: Mapping[str, Any], key: str, split: str = "matched", scorer: str | None = None) -> str:
    """A reported accuracy in percent, marked if it may be due to chance."""
    judged = judge(reported, key, split, scorer)
    return percent(reported_accuracy(reported, key, split, scorer)) + (MARKS[judged.verdict] if judged else "")


def epoch_cell(reported: Mapping[str, Any], accuracy: str | None) -> str:
    """RoBERTa's accuracy on the matched split after an epoch, marked if it may be due to chance."""
    if accuracy is None:
        return percent(None)
    n = reported["data"]["splits"]["validation_matched"]
    chance = chance_level(reported)
    marks = {MARKS[verdict(right, n, chance)] for right, n in rounding_to(accuracy, n, n)}
    return percent(accuracy) + (marks.pop() if len(marks) == 1 else "")


def explained(caption: str, rows: Sequence[Sequence[str]]) -> str:
    """The caption, with the meaning of the marks if a row has one."""
    marked = any(mark and mark in cell for row in rows for cell in row for mark in MARKS.values())
    return f"{caption} {MEANING}" if marked else caption


def printed_scores(results: Results) -> list[tuple[str, str, str | None]]:
    """(experiment, split, scorer or None) of every accuracy that the original printed, in the study's order."""
    every = (
        (key, split, scorer)
        for key, experiment in results.experiments.items()
        for split in experiment.spec["evaluation"]["splits"]
        for scorer in (experiment.spec.get("scorers") or [None])
    )
    return [score for score in every if reported_accuracy(results.reported, *score) is not None]


def titled(experiment: Experiment, scorer: str | None) -> str:
    """The experiment's title, with the scorer if its answers are judged in several ways."""
    several = len(experiment.spec.get("scorers") or ()) > 1
    return f"{experiment.title}, {scorer.replace('_', ' ')}" if several and scorer else experiment.title


def reported_scores(results: Results) -> str:
    """Every printed accuracy with the fractions that it can be, its interval, and whether it differs from chance."""
    rows = []
    for key, split, scorer in printed_scores(results):
        judged = judge(results.reported, key, split, scorer)
        title = escape(titled(results.experiments[key], scorer))
        printed = percent(reported_accuracy(results.reported, key, split, scorer))
        if judged is None:
            rows.append([title, split, printed, "no fraction fits", "–", "–", "–"])
            continue
        right, n = judged.fractions[0]
        more = len(judged.fractions) - 1
        fraction = f"{integer(right)}/{integer(n)}" + (f" (or one of {more} others)" if more else "")
        p = "\\< 0.001" if judged.p < 0.001 else f"{judged.p:.3f}"
        differs = {"differs": "yes", "same as chance": "no †", "open": "depends ‡"}[judged.verdict]
        rows.append([title, split, printed, fraction, interval(judged.interval), p, differs])
    columns = {
        "Experiment": "l",
        "Split": "l",
        "reported": "r",
        "Right/examples": "r",
        "95% interval": "r",
        "p": "r",
        "Differs from chance?": "l",
    }
    chance = percent(chance_level(results.reported), 1)
    caption = (
        "The original's accuracies, in percent. *Right/examples*: the fraction that gives the printed digits. If "
        "several do, the one with the fewest examples is shown, which has the widest interval; the last column is "
        f"about all of them. Chance is the best constant answer, right for {chance}% of the matched split. Interval "
        "and p are by the binomial mid-p. The p-values are not adjusted for their number. Pairs count as independent, "
        f"because it is not known which of them share a premise. {MEANING}"
    )
    return table(columns, rows, caption, "tbl-reported-scores")


def reported_conclusion(results: Results) -> str:
    """Which of the original's accuracies may be due to chance, and which cannot be judged."""
    said = {name: [] for name in MARKS}
    for key, split, scorer in printed_scores(results):
        judged = judge(results.reported, key, split, scorer)
        suffix = f" ({split})" if split != "matched" else ""
        if judged:
            said[judged.verdict].append(f"**{escape(titled(results.experiments[key], scorer))}**{suffix}")
    known = sum(map(len, said.values()))
    lines = [
        f"Of {counted(known, 'reported accuracy', 'reported accuracies')}, {len(said['differs'])} differ from chance.",
        f"Not separable from chance: {listing(said['same as chance']) or 'none'}.",
        f"Undecided without the number of examples, which was not printed: {listing(said['open']) or 'none'}.",
    ]
    return "\n".join(f"- {line}" for line in lines)
