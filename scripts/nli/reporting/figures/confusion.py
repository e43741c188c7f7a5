"""Figures of the confusion matrices, one for each family."""

from collections.abc import Callable, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nli.base.labels import LABELS
from nli.reporting.figures.style import HEIGHT, INK, MOST_LARGE_MATRICES, MUTED, WIDTH, panel_title, slanted
from nli.reporting.markup import percent
from nli.reporting.results import Experiment, Results

MATRICES = "Rows are the right labels, columns the answers. Each cell shows its share of the row and its count."


def confusion(family: str) -> Callable[[Results], tuple[Figure, str]]:
    """A drawing function for the confusion matrices of one family."""
    return lambda results: draw_confusions(results.family(family))


def draw_confusions(experiments: Sequence[Experiment]) -> tuple[Figure, str]:
    """One matrix per experiment: gold labels in rows, answers in columns, shaded by share of the row."""
    columns = min(3, max(2, len(experiments))) if len(experiments) <= MOST_LARGE_MATRICES else 4
    rows = -(-len(experiments) // columns)
    unparsed = any(scores["parsed"] < scores["n"] for experiment in experiments if (scores := experiment.scores()))
    names = [*LABELS, "unparsed"] if unparsed else list(LABELS)
    figure, panels = plt.subplots(
        rows, columns, figsize=(WIDTH * min(1, (columns + 1) / 4), min(HEIGHT, 1.95 * rows + 0.25)), squeeze=False
    )
    for panel in panels.flat[len(experiments) :]:
        panel.set_visible(False)
    for i, (panel, experiment) in enumerate(zip(panels.flat, experiments, strict=False)):
        _confusion_panel(panel, experiment, names, left=i % columns == 0, small=columns == 4)
    for panel in panels[:, 0]:
        panel.set_ylabel("gold label")
    parts = [f"{experiment.title}: {_diagonal(experiment)}" for experiment in experiments]
    return figure, f"Confusion matrices. Right answers by gold label: {'; '.join(parts)}."


def _diagonal(experiment: Experiment) -> str:
    scores = experiment.scores()
    if scores is None:
        return experiment.status
    return ", ".join(f"{label} {percent(scores['per_class'][label]['recall'], 0)}%" for label in LABELS)


def _confusion_panel(panel: Axes, experiment: Experiment, names: Sequence[str], left: bool, small: bool) -> None:
    panel.set_title(panel_title(experiment.title, small), size=7 if small else 8)
    answers = [name[:6] + "." if len(name) > 8 else name for name in names]
    panel.set_xticks(range(len(names)), answers, **slanted(35) if small and len(names) > len(LABELS) else {})
    panel.set_yticks(range(len(LABELS)), [name[:6] + "." if len(name) > 8 else name for name in LABELS])
    panel.tick_params(length=0, labelsize=7, labelleft=left)
    for spine in panel.spines.values():
        spine.set_visible(False)
    scores = experiment.scores()
    if scores is None:
        panel.set(xlim=(-0.5, len(names) - 0.5), ylim=(2.5, -0.5))
        panel.text((len(names) - 1) / 2, 1, experiment.status, ha="center", va="center", style="italic", color=MUTED)
        return
    counts = np.array(scores["confusion"]["counts"])[:, : len(names)]
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    panel.imshow(shares, cmap="Blues", vmin=0, vmax=1.15, aspect="auto")
    for (row, column), count in np.ndenumerate(counts):
        colour = "white" if shares[row, column] > 0.62 else INK
        text = f"{100 * shares[row, column]:.0f}%\n{count:,}"
        panel.text(column, row, text, ha="center", va="center", size=7, color=colour, linespacing=1.15)
    if len(names) > len(LABELS):
        panel.axvline(len(LABELS) - 0.5, color="white", lw=3)
