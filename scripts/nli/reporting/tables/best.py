"""The best that each method can do, from ladders.json."""

from collections.abc import Mapping
from typing import Any

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
    pairs = max(method["n"] for method in found.values())
    caption = (
        f"The best of each method. Of its candidates the one most often right on {counted(pairs, 'tuning pair')} is "
        f"chosen, and it alone is scored on the {' and '.join(splits)} split, next to the experiment as reported. "
        "*Difference*: from that experiment, on the same pairs. No validation pair has a part in the choice, so the "
        "intervals need no adjustment for it."
    )
    return table(COLUMNS, rows, caption, "tbl-best")


def method_rows(results: Results, method: Mapping[str, Any]) -> list[list[str]]:
    def title(key: str) -> str:
        return escape(results.experiments[key].title)

    reported, chosen = method["reported"], method["best"]
    rows = [
        [f"**{escape(method['title'])}**", *[""] * 5],
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


def difference_cells(difference: Mapping[str, Any] | None) -> list[str]:
    """The difference in points, and its interval."""
    if difference is None:
        return [MISSING, MISSING]
    low, high = difference["clustered_interval"]
    return [signed(difference["difference"]), f"{signed(low)} to {signed(high)}"]
