"""Figures of the sweeps, one each: accuracy against the value of a key."""

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from nli.reporting.figures.style import INK, LINES, MUTED, WIDTH, add_legend
from nli.reporting.markup import percent
from nli.reporting.results import Results
from nli.study.sweeps import shown_value

SWEEP = (
    "accuracy at every value, with 95% intervals clustered by premise. Small dots are the single seeds, where an "
    "experiment has several. The dotted line is chance, the best constant answer."
)


def draw_point(axes: Axes, point: Mapping[str, Any], colour: str, marker: str) -> None:
    """Draw one accuracy with its interval, and those of its seeds if there are several."""
    at, seeds = point["value"], [100 * accuracy for accuracy in point["seeds"]["values"].values()]
    axes.plot([at, at], [100 * end for end in point["interval"]], color=colour, lw=1.2, zorder=2)
    axes.plot(at, 100 * point["accuracy"], marker, color=colour, ms=4.5, mec="white", mew=0.4, zorder=4)
    if len(seeds) > 1:
        axes.plot([at] * len(seeds), seeds, ".", color=colour, ms=3, alpha=0.6, zorder=3)


def draw_sweep(results: Results, sweep: Mapping[str, Any]) -> tuple[Figure, str]:
    """Draw one curve for each experiment of a sweep."""
    figure, axes = plt.subplots(figsize=(WIDTH, 3.4))
    handles, said = [], []
    for (base, curve), (colour, marker, dashes) in zip(sweep["curves"].items(), LINES, strict=False):
        title = results.everything[base].title
        measured = [point for point in curve if point["accuracy"] is not None]
        places = [point["value"] for point in measured]
        axes.plot(places, [100 * point["accuracy"] for point in measured], color=colour, ls=dashes, lw=1.2, zorder=2)
        for point in measured:
            draw_point(axes, point, colour, marker)
        handles.append(Line2D([], [], color=colour, marker=marker, ls=dashes, ms=4.5, lw=1.2, label=title))
        values = ", ".join(f"{percent(p['accuracy'], 1)} at {shown_value(sweep['key'], p['value'])}" for p in measured)
        said.append(f"{title} {values or 'not run'}")
    if sweep["chance"]:
        axes.axhline(100 * sweep["chance"]["accuracy"], color=MUTED, lw=1.1, ls=":", zorder=1)
        handles.append(Line2D([], [], color=MUTED, lw=1.1, ls=":", label="chance"))
    values = sorted({point["value"] for curve in sweep["curves"].values() for point in curve})
    if sweep["log"]:
        axes.set_xscale("log")
        axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(values, [shown_value(sweep["key"], value) for value in values])
    axes.set(xlabel=sweep["title"], ylabel=f"Accuracy on the {sweep['split']} split, %")
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    add_legend(figure, handles, columns=3)
    if not any(point["accuracy"] is not None for curve in sweep["curves"].values() for point in curve):
        axes.text(0.5, 0.5, "no point has run", transform=axes.transAxes, ha="center", color=INK)
    return figure, f"Curves of accuracy in percent against {sweep['title'].lower()}: {'; '.join(said)}."
