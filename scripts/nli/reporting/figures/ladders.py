"""Figures of the ladders, one each, and of every pair of methods."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from nli.measure.paired import LEVEL
from nli.reporting.changes import in_words
from nli.reporting.figures.style import FAMILY_COLOURS, GRID, HEIGHT, INK, MUTED, VERDICT_COLOURS, WIDTH, add_legend
from nli.reporting.markup import percent
from nli.reporting.results import Results
from nli.reporting.tables.ladders import p_value, rung_title, same_seeds, settled, signed

LADDER = "accuracy of each rung with its interval, what it changes, and the verdict on its claim."
PAIRS = (
    "Every pair of experiments, compared on the matched pairs that both answered. Below the diagonal: accuracy of the "
    "row minus that of the column, in points; without numbers where they would be too small to read. Above it: dots "
    "for McNemar's mid-p by premise, adjusted (Holm) over all pairs. Coloured cells and dark numbers: adjusted p below "
    "0.05. Columns have the numbers of the rows."
)
CHANCE_STYLES = ("--", ":", "-.")
LINE = {"title": 0.137, "change": 0.11, "room": 0.14}  # inches: of a rung's name, of its changes, and around them
TITLE_WIDTH, CHANGE_WIDTH = 38, 46  # characters per line
MOST_TEXT = 28  # the largest number of experiments for which numbers fit in the cells of the matrix
SMALLEST = 5.5  # points: the smallest lettering of a figure
P_DOTS = {0.001: 3.4, 0.01: 2.3, LEVEL: 1.2}  # bound on p -> size of its dot, in points


def draw_ladder(ladder: Mapping[str, Any]) -> tuple[Figure, str]:
    """Draw the rungs from top to bottom: accuracy with interval, what changed, difference and verdict."""
    rungs = ladder["rungs"]
    figure, axes = plt.subplots(figsize=(WIDTH, min(row_height(ladder) * len(rungs), HEIGHT - 0.35) + 0.95))
    low, high = limits(ladder)
    handles = draw_chance(axes, ladder)
    for i, rung in enumerate(rungs):
        if i:
            draw_step(axes, ladder, i)
        name_rung(axes, ladder, i)
        draw_rung(axes, rung, i, low)
    edge = 0.02 * (high - low)
    axes.set(
        xlim=(low - edge, high + edge),
        ylim=(len(rungs) - 0.5, -0.6),
        xlabel=f"Accuracy on the {ladder['split']} split, %",
    )
    axes.set_yticks([])
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    axes.spines["left"].set_visible(False)
    add_legend(figure, handles)
    return figure, f"Ladder, from top to bottom: {'; '.join(described(ladder, i) for i in range(len(rungs)))}."


def row_height(ladder: Mapping[str, Any]) -> float:
    """Inches for each rung, so that what stands below a name and the name of the next rung have room."""
    sizes = [spread(*lettering(ladder, row)) for row in range(len(ladder["rungs"]))]
    return max(0.42, *(below + above + LINE["room"] for (_, below), (above, _) in pairwise([*sizes, (0, 0)])))


def spread(title: str, changes: str) -> tuple[float, float]:
    """Inches that a rung's lettering takes above and below the rung's height, as `name_rung` writes it."""
    names = LINE["title"] * (title.count("\n") + 1)
    return (names, LINE["change"] * (changes.count("\n") + 1)) if changes else (names / 2, names / 2)


def lettering(ladder: Mapping[str, Any], row: int) -> tuple[str, str]:
    """A rung's name and what changed, as they stand left of the axes."""
    title = wrap(f"{row + 1}. {rung_title(ladder, row)}", TITLE_WIDTH)
    return title, in_two_lines(in_words(ladder["rungs"][row]["changed"]))


def limits(ladder: Mapping[str, Any]) -> tuple[float, float]:
    """Limits of the accuracy axis in percent: all intervals and chance lines, and at least 30 points."""
    every = [rung["scores"] for rung in (*ladder["baselines"], *ladder["rungs"]) if rung["scores"]]
    ends = [100 * end for scores in every if scores["clustered_interval"] for end in scores["clustered_interval"]]
    ends = [*ends, *([100 * ladder["chance"]["accuracy"]] if ladder["chance"] else [])] or [0, 100]
    low, high = max(0, min(ends) - 6), min(100, max(ends) + 6)
    missing = max(0, 30 - (high - low)) / 2
    return max(0, low - missing), min(100, high + missing)


def draw_chance(axes: Axes, ladder: Mapping[str, Any]) -> list[Line2D]:
    """Draw a vertical line for chance and for each baseline that ran; returns the legend's handles."""
    handles = [Line2D([], [], marker="o", color=INK, ms=5, lw=1.6, label="rung, with 95% interval")]
    lines = [(f"chance, always {level['label']}", level) for level in [ladder["chance"]] if level]
    lines += [(rung["title"].lower(), rung["scores"]) for rung in ladder["baselines"]]
    for (name, level), style in zip(lines, CHANCE_STYLES * len(lines), strict=False):
        label = f"{name} (not run)"
        if level:
            axes.axvline(100 * level["accuracy"], color=MUTED, lw=1.1, ls=style, zorder=1)
            label = f"{name}, {100 * level['accuracy']:.1f}"
        handles.append(Line2D([], [], color=MUTED, lw=1.1, ls=style, label=label))
    return handles


def write_beside(axes: Axes, text: str, row: float, right: float, **looks: Any) -> None:
    """Write a text outside the axes at the height of a row, `right` points from their right end, or left if < 0."""
    place = (float(right > 0), row)
    axes.annotate(text, place, (right, 0), xycoords=axes.get_yaxis_transform(), textcoords="offset points",
                  annotation_clip=False, **{"va": "center", **looks})  # fmt: skip


def name_rung(axes: Axes, ladder: Mapping[str, Any], row: int) -> None:
    """Write left of the axes the rung's name and, below it, what changed."""
    title, changes = lettering(ladder, row)
    write_beside(axes, title, row - 0.02, -6, ha="right", va="bottom" if changes else "center", size=8)
    write_beside(axes, changes, row + 0.04, -6, ha="right", va="top", size=6.5, color=MUTED)


def draw_rung(axes: Axes, rung: Mapping[str, Any], row: int, low: float) -> None:
    """Draw the accuracy with its interval; write it and the verdict right of the axes."""
    scores = rung["scores"]
    verdict = "" if rung["verdict"] == "no claim" else rung["verdict"]
    write_beside(axes, verdict, row, 36, size=8, weight="bold", color=VERDICT_COLOURS.get(verdict, MUTED))
    if not scores or scores["accuracy"] is None:
        axes.text(low + 0.5, row, rung["status"], va="center", style="italic", color=MUTED,
                  bbox={"facecolor": "white", "edgecolor": "none", "pad": 1})  # fmt: skip
        return
    write_beside(axes, percent(scores["accuracy"], 1), row, 30, ha="right", size=8, weight="bold")
    colour = FAMILY_COLOURS[rung["experiment"].split("/")[0]]
    ends = [100 * end for end in scores["clustered_interval"]]
    axes.plot(ends, [row, row], color=colour, lw=2, solid_capstyle="butt", zorder=3)
    axes.plot(100 * scores["accuracy"], row, "o", color=colour, ms=6, zorder=4)


def draw_step(axes: Axes, ladder: Mapping[str, Any], row: int) -> None:
    """Draw an arrow from one rung's accuracy to the other; write the difference right of the axes."""
    step = ladder["rungs"][row]["step"]
    if not step:
        return
    start, end = (ladder["rungs"][place]["scores"]["accuracy"] for place in (step["from"], row))
    colour = INK if settled(step) else MUTED
    if None not in (start, end) and same_seeds(ladder, row):
        arrow = {"arrowstyle": "->", "color": colour, "lw": 0.9, "shrinkA": 4, "shrinkB": 5}
        axes.annotate("", (100 * end, row), (100 * start, step["from"]), zorder=2, arrowprops=arrow)
    p = "same answers" if step["same_answers"] else f"p {p_value(step['p_holm']).replace('< ', '<')}"
    note = f"{signed(step['difference'])}, {p}"
    write_beside(axes, note, row - 0.5, 8, size=7, color=colour)


def described(ladder: Mapping[str, Any], i: int) -> str:
    """A rung in the alternative text."""
    rung = ladder["rungs"][i]
    title = rung_title(ladder, i)
    if not rung["scores"] or rung["scores"]["accuracy"] is None:
        return f"{title}, {rung['status']}"
    step = f", {signed(rung['step']['difference'])} points" if rung["step"] else ""
    return f"{title} {percent(rung['scores']['accuracy'], 1)}%{step}, claim {rung['verdict']}"


def in_two_lines(changes: Sequence[str]) -> str:
    """As many of the changes as fit on two lines, and how many are left out; the table has them all."""
    lines = [""]
    for i, change in enumerate(changes):
        change = change if len(change) <= CHANGE_WIDTH else f"{change[: CHANGE_WIDTH - 1]}…"
        if lines[-1] and len(lines[-1]) + len(change) + 2 > CHANGE_WIDTH:
            if len(lines) == 2:
                lines[-1] += f"; and {len(changes) - i} more"
                break
            lines.append(change)
        else:
            lines[-1] = f"{lines[-1]}; {change}" if lines[-1] else change
    return "\n".join(lines)


def wrap(title: str, width: int) -> str:
    """A title in at most three lines."""
    lines = [""]
    for word in title.split():
        if lines[-1] and len(lines[-1]) + len(word) >= width and len(lines) < 3:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(lines)


# ------------------------------------------------------------------------------------------------ all pairs


def pairs(results: Results) -> tuple[Figure, str]:
    """Every pair of methods: below the diagonal the difference in points, above it dots for the adjusted p."""
    found = results.ladders.get("pairs") or {"experiments": [], "comparisons": []}
    keys = found["experiments"]
    size = max(2.0, min(WIDTH - 2, 0.27 * len(keys)), min(HEIGHT - 0.8, 0.105 * len(keys)))
    figure, axes = plt.subplots(figsize=(WIDTH, size + 0.75))
    differences, adjusted = matrices(keys, found["comparisons"])
    if keys:
        draw_matrix(axes, differences, adjusted)
    else:
        axes.text(0.5, 0.5, "no run has finished", transform=axes.transAxes, ha="center", color=MUTED)
    every = 1 if len(keys) <= MOST_TEXT else 5
    axes.set_xticks(range(every - 1, len(keys), every), range(every, len(keys) + 1, every))
    axes.set_yticks(range(len(keys)), [f"{results.experiments[key].title}  {i}" for i, key in enumerate(keys, start=1)])
    axes.tick_params(length=0, labelsize=7 if len(keys) <= 20 else 6.2 if len(keys) <= MOST_TEXT else SMALLEST)
    for spine in axes.spines.values():
        spine.set_visible(False)
    handles = [Line2D([], [], marker="o", ms=size, color=INK, lw=0, label=f"p < {p}") for p, size in P_DOTS.items()]
    add_legend(figure, handles, "outside upper right")
    apart = sum(test["p_holm"] < LEVEL for test in found["comparisons"])
    return (
        figure,
        f"Matrix of {len(keys)} experiments: {apart} of {len(found['comparisons'])} pairs differ significantly.",
    )


def matrices(keys: Sequence[str], tests: Sequence[Mapping[str, Any]]) -> tuple[np.ndarray, np.ndarray]:
    """Differences (row minus column, in points; NaN without a test) and adjusted p (symmetric), both (n, n)."""
    places = {key: i for i, key in enumerate(keys)}
    differences, adjusted = (np.full((len(keys), len(keys)), np.nan) for _ in range(2))
    for test in tests:
        first, second = places[test["first"]], places[test["second"]]
        differences[second, first], differences[first, second] = 100 * test["difference"], -100 * test["difference"]
        adjusted[second, first] = adjusted[first, second] = test["p_holm"]
    return differences, adjusted


def draw_matrix(axes: Axes, differences: np.ndarray, adjusted: np.ndarray) -> None:
    """Colour the pairs that differ significantly; write the differences if there is room, and draw p as dots."""
    n = len(differences)
    below = np.tril(np.ones((n, n), dtype=bool), -1)
    shown = np.where(below & (adjusted < LEVEL), differences, np.nan)
    largest = max(1.0, float(np.nanmax(np.abs(differences), initial=0.0)))
    axes.imshow(shown, cmap="PuOr", norm=TwoSlopeNorm(0, -1.6 * largest, 1.6 * largest), aspect="auto")
    for edge in range(n + 1):
        axes.axhline(edge - 0.5, color=GRID, lw=0.5)
        axes.axvline(edge - 0.5, color=GRID, lw=0.5)
    for row, column in zip(*np.nonzero(~np.isnan(adjusted)), strict=True):
        p = adjusted[row, column]
        if row > column and n <= MOST_TEXT:
            text = f"{differences[row, column]:z.0f}"  # a hyphen is narrower than a minus
            axes.text(column, row, text, ha="center", va="center", size=6.5 if n <= 20 else SMALLEST,
                      color=INK if p < LEVEL else MUTED)  # fmt: skip
        elif row < column and p < LEVEL:
            axes.plot(column, row, "o", ms=dot_size(p), color=INK)


def dot_size(p: float) -> float:
    """The size in points of the dot for a p below LEVEL."""
    return next(size for bound, size in P_DOTS.items() if p < bound)
