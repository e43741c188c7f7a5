"""The sweeps in words and tables, all from ladders.json."""

from collections.abc import Mapping, Sequence
from typing import Any

from nli.reporting.markup import MISSING, counted, decimal, escape, integer, interval, percent, table
from nli.reporting.results import Results
from nli.reporting.tables.roberta import status_cells
from nli.study.sweeps import ALL, SHARES, shown_value

NOTHING = "This run has no sweep: they are extra steps, which run with `--config rungs=all`."


def sweeps(results: Results) -> str:
    """Every sweep: its question, its figure, its crossings and its points."""
    found = results.ladders.get("sweeps") or {}
    return "\n\n".join(section(results, name, sweep) for name, sweep in found.items()) or NOTHING


def section(results: Results, name: str, sweep: Mapping[str, Any]) -> str:
    """One sweep's part of the report; its figure is made by `figures.sweeps`."""
    label = sweep_label(name)
    parts = [
        f"### {escape(sweep['title'])} {{#sec-{label}}}",
        f"*{escape(sweep['question'])}* @fig-{label} shows the curves, @tbl-{label} their points.",
        f"{{{{< include figures/{label}.md >}}}}",
        crossings(results, sweep, f"tbl-{label}-crossings"),
        points(results, sweep, f"tbl-{label}"),
    ]
    return "\n\n".join(parts)


def sweep_label(name: str) -> str:
    """ "train_pairs" -> "sweep-train-pairs": the figure's name and the stem of the sweep's labels."""
    return f"sweep-{name.replace('_', '-')}"


def crossings(results: Results, sweep: Mapping[str, Any], label: str) -> str:
    """From which value on each curve stays above another, with the interval of that value."""
    key = sweep["key"]
    rows = [
        [
            escape(results.everything[each["leader"]].title),
            escape(results.everything[each["other"]].title),
            "every value" if each["at"] is None else between(key, each["at"]),
            interval_of(sweep, each),
            percent(each["throughout"], 0),
            percent(each["behind"], 0),
        ]
        for each in sweep["crossings"]
    ]
    if not rows:
        return "Too few points have answers to compare two curves."
    columns = {
        "Higher at the last value": "l",
        "Than": "l",
        "From": "r",
        "95% interval": "r",
        "At every value, %": "r",
        "Not at the last, %": "r",
    }
    caption = (
        f"{escape(sweep['title'])}: the value from which the first curve stays above the second, up to the last value "
        "that both have. A curve is a straight line between its points. Intervals are percentiles of a bootstrap over "
        "premises and, where an experiment has several, seeds; the last two columns are the shares of its resamples "
        "in which the first curve is above at every value, and in which it is not above at the last. They are not "
        "adjusted for the number of pairs."
    )
    return table(columns, rows, caption, label)


def interval_of(sweep: Mapping[str, Any], crossing: Mapping[str, Any]) -> str:
    """ "below 1% to 12.3%": an end without a number lies outside the values of both curves."""
    low, high = (end if isinstance(end, str) else between(sweep["key"], end) for end in crossing["interval"])
    values = [point["value"] for base in (crossing["leader"], crossing["other"]) for point in sweep["curves"][base]]
    outside = {"below": f"below {shown_value(sweep['key'], min(values))}", "beyond": "beyond the last"}
    low, high = (outside.get(end, end) for end in (low, high))
    return low if low == high else f"{low} to {high}"


def between(key: str, value: float) -> str:
    """A value between those of a sweep, with three digits."""
    return f"{100 * value:.3g}%" if key in SHARES and value <= ALL else f"{value:.3g}"


def points(results: Results, sweep: Mapping[str, Any], label: str) -> str:
    """Every point of every curve: accuracy with its interval, spread over seeds, optimizer steps."""
    rows: list[Sequence[str]] = []
    for base, curve in sweep["curves"].items():
        rows.append([f"**{escape(results.everything[base].title)}**", *[""] * 5])
        rows += [point_cells(results, sweep["key"], point) for point in curve]
    columns = {
        escape(sweep["title"]): "l",
        "Accuracy, %": "r",
        "95% interval": "r",
        "Seeds": "r",
        "SD, points": "r",
        "Steps": "r",
    }
    caption = (
        f"{escape(sweep['title'])}: the points of @fig-{label.removeprefix('tbl-')}, on the "
        f"{counted(sweep['n'], 'pair')} of the {sweep['split']} split that all of them answered. *SD*: of the accuracy "
        "over the seeds. *Steps*: optimizer steps of the first seed. An experiment that trains for a number of epochs "
        "takes fewer steps on fewer pairs, one that trains for a number of steps sees each pair more often."
    )
    return table(columns, rows, caption, label)


def point_cells(results: Results, key: str, point: Mapping[str, Any]) -> list[str]:
    value = shown_value(key, point["value"])
    if point["accuracy"] is None:
        return [value, *status_cells(results.everything[point["experiment"]], 5)]
    first = results.everything[point["experiment"]].first
    steps = (first.history.get("train") or {}).get("steps") if first else None
    spread = point["seeds"]["sd"]
    return [
        value,
        percent(point["accuracy"]),
        interval(point["interval"]),
        str(len(point["seeds"]["values"])),
        MISSING if spread is None else decimal(100 * spread, 2),
        integer(steps),
    ]
