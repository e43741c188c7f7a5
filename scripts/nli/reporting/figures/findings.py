"""The small picture beside each finding of the first page."""

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nli.reporting.figures.style import FAMILY_COLOURS, GRID, INK, MUTED
from nli.reporting.findings import rungs_shown
from nli.reporting.markup import percent

WIDTH, ROW = 1.75, 0.16  # inches
GAP, NUMBER = 3.0, 12.0  # between a mark and its number, and the number's width, in points of the axis


def draw_finding(ladder: Mapping[str, Any], printed: str | None) -> Figure:
    """The rungs that a finding names on a line from 0 to 100%, with intervals, chance, and the original's accuracy.

    Args:
        printed: the original's accuracy of the first rung, as printed; None for none.
    """
    places = rungs_shown(ladder)
    figure, axes = plt.subplots(figsize=(WIDTH, ROW * (len(places) + 1)))
    bottom = len(places) - 0.4
    axes.plot([0, 100], [bottom, bottom], color=GRID, lw=1.5, solid_capstyle="butt")
    if ladder["chance"]:
        level = 100 * ladder["chance"]["accuracy"]
        axes.plot([level, level], [-0.5, bottom], color=MUTED, lw=0.9, ls="--", zorder=1)
    original = None if printed is None else 100 * float(printed.split()[-1])
    if original is not None:
        axes.plot(original, 0, "D", color=MUTED, mfc="white", ms=3.6, zorder=2)
    for row, i in enumerate(places):
        draw_row(axes, ladder["rungs"][i], row, original if row == 0 else None)
    axes.set(xlim=(-2, 118), ylim=(bottom + 0.1, -0.6))
    axes.set_axis_off()
    return figure


def draw_row(axes: Axes, rung: Mapping[str, Any], row: int, original: float | None) -> None:
    """One rung's interval, accuracy and number; the number gives way, to the right, to the original's mark."""
    scores, colour = rung["scores"], FAMILY_COLOURS[rung["experiment"].split("/")[0]]
    ends = [100 * end for end in scores["clustered_interval"]]
    axes.plot(ends, [row, row], color=colour, lw=1.8, solid_capstyle="butt", zorder=3)
    axes.plot(100 * scores["accuracy"], row, "o", color=colour, ms=4, zorder=4)
    place = max(ends)
    if original is not None and place < original < place + GAP + NUMBER:
        place = original + GAP / 2
    axes.text(place + GAP, row, percent(scores["accuracy"], 0), va="center_baseline", size=6.5, color=INK)
