"""Figures of the learning curves."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from nli.reporting.figures.style import (
    FAINT,
    FAMILY_COLOURS,
    HEIGHT,
    LINES,
    MOST_LARGE_MATRICES,
    MUTED,
    STYLE,
    WIDTH,
    add_legend,
    panel_title,
)
from nli.reporting.markup import listing
from nli.reporting.results import Results


def learning_roberta(results: Results) -> tuple[Figure, str]:
    """Training loss by step, and validation loss and accuracy by epoch, of every RoBERTa experiment."""
    figure, panels = plt.subplots(1, 3, figsize=(WIDTH, 2.75))
    drawn = []
    experiments = [
        experiment for experiment in results.family("roberta") if experiment.first and experiment.first.history
    ]
    for experiment, (colour, marker, style) in zip(experiments, LINES, strict=False):
        history = experiment.first.history
        drawn.append(experiment.title)
        steps = [entry for entry in history.get("steps", []) if "loss" in entry]
        smooth = _smooth([entry["loss"] for entry in steps])
        panels[0].plot([entry["epoch"] for entry in steps], smooth, ls=style, color=colour, lw=1.2)
        ends = history.get("epochs", [])
        for panel, key, factor in ((panels[1], "validation_loss", 1), (panels[2], "accuracy", 100)):
            points = [factor * entry[key] for entry in ends]
            panel.plot([entry["epoch"] for entry in ends], points, ls=style, marker=marker, ms=4, color=colour,
                       lw=1.2, label=experiment.title)  # fmt: skip
    for panel, title in zip(panels, ("Training loss", "Validation loss", "Accuracy, %"), strict=True):
        panel.set(title=title, xlabel="Epoch")
        panel.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        panel.grid(axis="y")
    _legend_or_note(figure, panels[1], drawn, "outside lower center", 3)
    return figure, f"Learning curves of {listing(drawn) or 'no experiment'}: losses and accuracy by epoch."


def _smooth(values: Sequence[float], window: int = 9) -> np.ndarray:
    """Running mean over at most `window` logged values, shorter at the ends."""
    values = np.asarray(values, dtype=float)
    if len(values) < 3:
        return values
    kernel = np.ones(min(window, len(values)))
    return np.convolve(values, kernel, "same") / np.convolve(np.ones_like(values), kernel, "same")


def _legend_or_note(figure: Figure, axes: Axes, drawn: Sequence[str], place: str, columns: int) -> None:
    if drawn:
        add_legend(figure, axes.get_legend_handles_labels()[0], place, columns)
    else:
        axes.text(0.5, 0.5, "no run has finished", transform=axes.transAxes, ha="center", color=MUTED)


def learning_qlora(results: Results) -> tuple[Figure, str]:
    """Training loss by step of every experiment that trains an adapter of Llama, each in a panel before the others."""
    experiments = [*results.family("qlora"), *results.family("linear_head")]
    curves = [
        (experiment, [(entry["step"], entry["loss"]) for entry in experiment.first.history["steps"] if "loss" in entry])
        for experiment in experiments
        if experiment.first and experiment.first.history.get("steps")
    ]
    columns = 3 if len(curves) <= MOST_LARGE_MATRICES else 5
    rows = max(1, -(-len(curves) // columns))
    size = (WIDTH, min(HEIGHT, 1.25 * rows + 0.3))
    figure, panels = plt.subplots(rows, columns, figsize=size, sharex=True, sharey=True, squeeze=False)
    for panel, (experiment, curve) in zip(panels.flat, curves, strict=False):
        for _, other in curves:
            panel.plot(*zip(*other, strict=True), color=FAINT, lw=0.8)
        panel.plot(*zip(*curve, strict=True), color=FAMILY_COLOURS[experiment.family], lw=1.5)
        panel.set_title(panel_title(experiment.title, columns > 3), size=7 if columns > 3 else 8)
        panel.set(ylim=(0, None))
    for panel in panels.flat[len(curves) :]:
        panel.set_visible(False)
    figure.supxlabel("Optimizer step", size=STYLE["font.size"])
    figure.supylabel("Training loss", size=STYLE["font.size"])
    if not curves:
        figure.text(0.5, 0.5, "no run has finished", ha="center", color=MUTED)
    drawn = [f"{experiment.title} from {curve[0][1]:.2f} to {curve[-1][1]:.2f}" for experiment, curve in curves]
    return figure, f"Training loss by step of {listing(drawn) or 'no experiment'}."
