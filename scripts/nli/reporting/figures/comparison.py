"""Figures that compare all experiments: accuracy against what it costs, and confidence against accuracy."""

import textwrap
from collections.abc import Callable, Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from nli.reporting.figures.style import (
    FAINT,
    FAMILY_COLOURS,
    FAMILY_MARKERS,
    HEIGHT,
    INK,
    MUTED,
    STYLE,
    WIDTH,
    add_legend,
    log_axis,
)
from nli.reporting.markup import listing
from nli.reporting.results import Experiment, Results

COST = (
    "Accuracy on the matched split against the training time on this run's device (left) and against the number of "
    "parameters that train (right). The line is the frontier: no experiment on it is beaten by one that costs as "
    "little; its numbers are named below the panels. Prompting trains nothing. An experiment that asks or merges "
    "another's adapter has that one's costs."
)
RELIABILITY = (
    "Reliability on the matched split: how often answers of a given confidence are right. Confidence is the "
    "probability of the most probable label, among the three labels; for language models it comes from the label "
    "words. Hollow dots, and the second number, are after contextual calibration. Dots on the diagonal are calibrated, "
    "those below it overconfident. Larger dots stand for more answers; ECE is the expected calibration error. Merges, "
    "other ways of asking the same model and extra steps are left out."
)
CLOSE = 1.2  # ratio of costs below which two numbers would touch
Point = tuple[Experiment, float, float]  # the experiment, its cost, its accuracy in percent


def cost(results: Results) -> tuple[Figure, str]:
    """Accuracy against hours of training and against trained parameters, with the frontier of each."""
    figure, panels = plt.subplots(1, 2, figsize=(WIDTH, 3.3), sharey=True)
    device = next((run.run["device"] for experiment in results.methods() for run in experiment.runs), "no device")
    numbers: dict[str, int] = {}
    said = []
    for panel, measure, label in (
        (panels[0], hours, f"Training time, hours on {device}"),
        (panels[1], trained, "Parameters that train"),
    ):
        points = costs(results, measure)
        best = frontier(points)
        draw_costs(panel, points, best, numbers)
        panel.set_xlabel(label)
        said.append(f"{label}: " + listing([f"{one.title} at {accuracy:.1f}%" for one, _, accuracy in best]))
    panels[0].set_ylabel("Accuracy on the matched split, %")
    handles = [
        Line2D([], [], marker=FAMILY_MARKERS[family], color=FAMILY_COLOURS[family], ms=5, lw=0, label=title)
        for family, title in results.family_titles.items()
        if family != "baseline"
    ]
    handles.append(Line2D([], [], color=INK, lw=0.9, label="frontier"))
    add_legend(figure, handles, columnspacing=1.2)
    names = textwrap.fill("   ".join(f"{i} {name.replace(' ', chr(160))}" for name, i in numbers.items()), 105)
    figure.supxlabel(names, size=7.5, color=INK)
    return figure, f"Accuracy against costs. On the frontier, from cheap to dear: {'; '.join(said)}."


def hours(experiment: Experiment) -> float:
    """Hours of training of the first seed; 0 for an experiment that trains nothing."""
    return (experiment.first.run["seconds"]["train"] or 0.0) / 3600


def trained(experiment: Experiment) -> float:
    """The number of trained parameters, each counted once."""
    return float(experiment.first.run["parameters"]["trainable"])


def costs(results: Results, measure: Callable[[Experiment], float]) -> list[Point]:
    """Cost and accuracy of every experiment with scores, cheapest first; at the same cost, the most accurate first."""
    found = [
        (experiment, measure(experiment), 100 * scores["accuracy"])
        for experiment in results.methods()
        if experiment.status == "done" and (scores := experiment.scores())
    ]
    return sorted(found, key=lambda point: (point[1], -point[2]))


def frontier(points: Sequence[Point]) -> list[Point]:
    """The points that are more accurate than every cheaper one; `points` as `costs` gives them."""
    best: list[Point] = []
    for point in points:
        if not best or point[2] > best[-1][2]:
            best.append(point)
    return best


def draw_costs(panel: Axes, points: Sequence[Point], best: Sequence[Point], numbers: dict[str, int]) -> None:
    """Draw points and frontier on a logarithmic axis, with zero at its left end; number the points on the frontier."""
    panel.set(ylim=(-3, 108))
    panel.grid(axis="y")
    panel.set_axisbelow(True)
    costly = [cost for _, cost, _ in points if cost > 0]
    if not costly:
        panel.text(0.5, 0.5, "no training has finished", transform=panel.transAxes, ha="center", color=MUTED)
        return
    none = min(costly) / 4  # where zero stands
    panel.set_xscale("log")
    log_axis(panel.xaxis)
    panel.set_xlim(none / 1.6, max(costly) * 2)
    panel.axvline(none * 1.7, color=FAINT, lw=0.8)
    panel.text(none, -1.5, "none", ha="center", size=7, color=MUTED)
    steps = [*[(max(cost, none), accuracy) for _, cost, accuracy in best], (max(costly) * 2, best[-1][2])]
    panel.step(*zip(*steps, strict=True), where="post", color=INK, lw=0.9, zorder=1)
    for experiment, cost, accuracy in points:
        panel.plot(max(cost, none), accuracy, FAMILY_MARKERS[experiment.family], ms=5, mec="white", mew=0.4,
                   color=FAMILY_COLOURS[experiment.family], zorder=2)  # fmt: skip
    height, before = 4.0, 0.0
    for experiment, cost, accuracy in best:
        number = numbers.setdefault(experiment.title, len(numbers) + 1)
        place = max(cost, none)
        height = height + 8 if place < CLOSE * before else 4.0
        panel.annotate(str(number), (place, accuracy), (0, height), ha="center", size=7.5, weight="bold",
                       textcoords="offset points")  # fmt: skip
        before = place


# ------------------------------------------------------------------------------------------------ reliability


def reliability(results: Results) -> tuple[Figure, str]:
    """A reliability diagram of each model with label probabilities, decoders scored by their label words included."""
    shown = reliable(results)
    columns = 5
    rows = max(1, -(-len(shown) // columns))
    size = (WIDTH, min(HEIGHT, 1.3 * rows + 0.5))
    figure, panels = plt.subplots(rows, columns, figsize=size, sharex=True, sharey=True, squeeze=False)
    for panel in panels.flat:
        panel.set_visible(False)
    for panel, (experiment, by_scorer) in zip(panels.flat, shown, strict=False):
        panel.set_visible(True)
        draw_reliability(panel, experiment, by_scorer)
    figure.supxlabel("Confidence", size=STYLE["font.size"])
    figure.supylabel("Share of right answers", size=STYLE["font.size"])
    if not shown:
        figure.text(0.5, 0.5, "no run with label probabilities has finished", ha="center", color=MUTED)
    said = [f"{experiment.title} {error(by_scorer)}" for experiment, by_scorer in shown]
    return figure, f"Reliability diagrams. Expected calibration error: {'; '.join(said) or 'nothing measured'}."


def reliable(results: Results) -> list[tuple[Experiment, dict]]:
    """The experiments with a diagram, and by way of scoring what was measured: no merge and no extra step."""
    measured = results.ladders.get("reliability") or {}
    return [
        (experiment, measured[experiment.key])
        for experiment in results.methods()
        if measured.get(experiment.key) and not experiment.spec.get("adapter") and not experiment.spec.get("extra")
    ]


def draw_reliability(panel: Axes, experiment: Experiment, by_scorer: dict) -> None:
    """One panel: a dot for each bin of confidence and way of scoring."""
    title = textwrap.fill(experiment.title, 20, break_on_hyphens=False)
    errors = " / ".join(f"{found['error']:.3f}" for found in by_scorer.values())
    panel.set_title(f"{title}\nECE {errors}", size=6.5)
    panel.plot([0, 1], [0, 1], color=FAINT, lw=0.9, zorder=1)
    colour = FAMILY_COLOURS[experiment.family]
    for scorer, found in by_scorer.items():
        face = "white" if scorer == "calibrated_logp" else colour
        total = sum(bin["n"] for bin in found["bins"])
        x, y = [bin["confidence"] for bin in found["bins"]], [bin["accuracy"] for bin in found["bins"]]
        areas = [6 + 60 * bin["n"] / total for bin in found["bins"]]
        panel.scatter(x, y, s=areas, facecolor=face, edgecolor=colour, lw=0.8, zorder=2, alpha=0.85)
    panel.set(xlim=(0.3, 1.03), ylim=(-0.03, 1.03), xticks=(0.5, 1), yticks=(0, 0.5, 1))
    panel.tick_params(labelsize=7)


def error(by_scorer: dict) -> str:
    """ "0.042", or "0.042, calibrated 0.031"."""
    return ", ".join(
        ("calibrated " if scorer == "calibrated_logp" else "") + f"{found['error']:.3f}"
        for scorer, found in by_scorer.items()
    )
