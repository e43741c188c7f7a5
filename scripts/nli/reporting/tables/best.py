"""The best that each method can do, from ladders.json."""

from collections.abc import Mapping
from typing import Any

from nli.reporting.changes import SCORERS
from nli.reporting.markup import MISSING, counted, escape, interval, percent, table
from nli.reporting.results import Results
from nli.reporting.tables.ladders import signed

NOTHING = "This run has no candidates: they are extra steps, which run with `--config rungs=all`."
COLUMNS = {
    "Experiment": "l",
    "Tuning, %": "r",
    "Accuracy, %": "r",
    "95% interval": "r",
    "Difference, points": "r",
    "Its interval": "r",
}


def best(results: Results) -> str:
    """For each method: the experiment as reported, the candidates, and what the chosen one gains."""
    found = results.ladders.get("best") or {}
    rows = [row for method in found.values() for row in method_rows(results, method)]
    if not rows:
        return NOTHING
    splits = sorted({method["split"] for method in found.values()})
    caption = (
        "The best of each method. The candidate most often right on the tuning pairs is chosen, and it alone is "
        f"compared with the experiment as reported, on the {' and '.join(splits)} split. Both are judged in the same "
        "way, by their first scorer unless another stands in brackets. *Difference*: on the same pairs. No pair of the "
        "comparison has a part in the choice, so the intervals need no adjustment for it."
    )
    return table(COLUMNS, rows, caption, "tbl-best")


def method_rows(results: Results, method: Mapping[str, Any]) -> list[list[str]]:
    def title(key: str) -> str:
        return escape(results.experiments[key].title)

    reported, chosen = method["reported"], method["best"]
    rows = [
        [f"**{escape(method['title'])}**{judged_by(method)}", *[""] * 5],
        [
            f"As reported: {title(reported['experiment'])}",
            MISSING,
            percent(reported["accuracy"]),
            interval(reported["interval"]),
            MISSING,
            MISSING,
        ],
    ]
    for candidate in method["candidates"]:
        cells = [MISSING] * 4
        if candidate["experiment"] == method["chosen"]:
            cells = [percent(chosen["accuracy"]), interval(chosen["interval"]), *difference_cells(method["difference"])]
        mark = "Chosen: " if candidate["experiment"] == method["chosen"] else ""
        rows.append([f"{mark}{title(candidate['experiment'])}", percent(candidate["accuracy"]), *cells])
    if published := method["published"]:
        rows.append(
            [f"Published: {escape(published['title'])}", MISSING, percent(published["accuracy"]), *[MISSING] * 3]
        )
    return rows


def judged_by(method: Mapping[str, Any]) -> str:
    """ " (200 tuning pairs, judged by label words)": how many pairs choose, and the scorer if the config names one."""
    scorer = f", judged by {SCORERS.get(method['scorer'], method['scorer'])}" if method["scorer"] else ""
    return f" ({counted(method['n'], 'tuning pair')}{scorer})"


def difference_cells(difference: Mapping[str, Any] | None) -> list[str]:
    """The difference in points, and its interval."""
    if difference is None:
        return [MISSING, MISSING]
    low, high = difference["clustered_interval"]
    return [signed(difference["difference"]), f"{signed(low)} to {signed(high)}"]
