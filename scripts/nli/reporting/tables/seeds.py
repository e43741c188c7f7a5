"""Tables of what several seeds show: intervals over seeds and premises, and verdicts by seed."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from nli.reporting.markup import GROUP, counted, decimal, escape, interval, percent, table
from nli.reporting.results import Results
from nli.reporting.tables.ladders import VERDICTS

NOTHING = "Every experiment of this run has one seed, so nothing can be said about other seeds."


def intervals(results: Results) -> str:
    """Each experiment's accuracy over its seeds, with the interval of the multi-bootstrap."""
    found = (results.ladders.get("seeds") or {}).get("accuracies") or {}
    if not found:
        return NOTHING
    rows: list[Sequence[str]] = []
    for key, each in found.items():
        scores = results.experiments[key].scores() or {}
        rows.append(
            [
                escape(results.experiments[key].title),
                str(each["seeds"]),
                percent(each["accuracy"]),
                interval(each["interval"]),
                interval(scores.get("clustered_interval")),
                decimal(100 * each["error_of_premises"], 2),
                decimal(100 * each["error_of_seeds"], 2),
            ]
        )
    columns = {
        "Experiment": "l",
        "Seeds": "r",
        "Accuracy, %": "r",
        f"95% interval{GROUP}multi-bootstrap": "r",
        f"95% interval{GROUP}design effect": "r",
        f"Standard error, points{GROUP}premises": "r",
        f"Standard error, points{GROUP}seeds": "r",
    }
    caption = (
        "Accuracy over the seeds on the matched split. *Multi-bootstrap*: percentiles of the mean over resampled seeds "
        "and premises. *Design effect*: the interval of the other tables, which allows for few seeds by Student's t "
        "and is the wider one. *Standard error*: of resampling premises alone, and what resampling the seeds adds."
    )
    return table(columns, rows, caption, "tbl-seed-intervals")


def verdicts(results: Results) -> str:
    """How often each claim's verdict would have been another with one of the seeds alone."""
    found = (results.ladders.get("seeds") or {}).get("verdicts") or []
    if not found:
        return ""
    stable = sum(not each["disagreeing"] for each in found)
    lines = f"{stable} of {counted(len(found), 'claim')} have the same verdict under every seed alone."
    rows, ladder = [], ""
    for each in found:
        if each["ladder"] != ladder:
            ladder = each["ladder"]
            rows.append([f"**{escape(results.ladders['ladders'][ladder]['title'])}**", *[""] * 7])
        rows.append(verdict_cells(each))
    columns = {"Rung": "l", "Claim": "l", f"Verdict{GROUP}all seeds": "l"}
    columns |= {f"Seeds with the verdict{GROUP}{verdict}": "r" for verdict in VERDICTS}
    columns["Pairs of seeds that differ, %"] = "r"
    caption = (
        "The verdict on each claim over all seeds, and the number of seeds that give each verdict when the study has "
        "that seed alone, with p adjusted over the experiments of these ladders. The last column is the probability "
        "that two studies with one of these seeds each disagree. An experiment that ran once, such as a baseline, "
        "serves every seed."
    )
    return f"{lines}\n\n{table(columns, rows, caption, 'tbl-seed-verdicts')}"


def verdict_cells(each: Mapping[str, Any]) -> list[str]:
    counts = Counter(each["by_seed"].values())
    tally = [str(counts[verdict]) if counts[verdict] else "" for verdict in VERDICTS]
    return [escape(each["title"]), escape(each["claim"]), each["verdict"], *tally, percent(each["disagreeing"], 0)]
