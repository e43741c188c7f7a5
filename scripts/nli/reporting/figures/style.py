"""The look of the figures: sizes, colours, line styles.

Text is drawn as outlines, so a figure looks the same wherever it is opened. Colours are Okabe and Ito's
and neighbours of theirs, which colour-blind readers can tell apart; shape or position always says the same.
"""

import textwrap
from collections.abc import Sequence
from typing import Any

import matplotlib
from matplotlib.artist import Artist
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

matplotlib.use("Agg")  # no screen is needed

INK, MUTED, FAINT, GRID = "#1f2933", "#66727f", "#c3cad1", "#dde2e7"
FAMILY_COLOURS = {
    "baseline": "#66727f",
    "roberta": "#0072B2",
    "icl": "#B8600B",
    "qlora": "#00795A",
    "linear_head": "#9A4F82",
}
FAMILY_MARKERS = {"baseline": "P", "roberta": "o", "icl": "s", "qlora": "^", "linear_head": "D"}
LABEL_COLOURS = {
    "entailment": "#0072B2",
    "neutral": "#E69F00",
    "contradiction": "#7A4FA3",
    "unparsed": "#C9CFD6",
}
VERDICT_COLOURS = {"supported": "#00795A", "refuted": "#C44E00", "no evidence": MUTED, "not tested": MUTED}
COLOURS = ("#0072B2", "#D55E00", "#00795A", "#9A4F82", "#8A6D00", "#3B4754", "#56A0D3", "#E69F00")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", "*")
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))
# Colour, marker and dashes of each line: no two lines share two of them before the fortieth.
LINES = [
    (COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)], DASHES[i % len(DASHES)])
    for i in range(len(COLOURS) * len(DASHES))
]
WIDTH = 6.5  # inches: the text width of the page
HEIGHT = 8.6  # inches: the height left on a page with a caption
MOST_LARGE_MATRICES = 12  # three in a row; more are set four in a row, to fit on one page
STYLE = {
    "svg.fonttype": "path",
    "svg.hashsalt": "nli",
    "font.size": 8.5,
    "text.parse_math": False,  # a title may have dollar signs
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.6,
    "axes.titlesize": 8.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "figure.constrained_layout.use": True,
}


def name_size(rows: int) -> float:
    """Font size, in points, at which the names of `rows` experiments fit below each other on one page."""
    return min(STYLE["font.size"], 0.72 * 72 * (HEIGHT - 0.9) / rows)


def panel_title(title: str, small: bool) -> str:
    """An experiment's title in lines that fit above one of three panels in a row, or of four or more (`small`)."""
    return textwrap.fill(title, 19 if small else 25, break_on_hyphens=False)


def slanted(angle: float) -> dict[str, Any]:
    """Keyword arguments for tick labels that are too long to fit next to each other."""
    return {"rotation": angle, "ha": "right", "rotation_mode": "anchor"}


def log_axis(axis: Axis) -> None:
    """Label the decades of a logarithmic axis in plain text (0.01, 100, 10k, 1M): mathematics is not drawn."""

    def label(value: float, _: int) -> str:
        size, unit = next(((size, unit) for size, unit in ((1e6, "M"), (1e3, "k")) if value >= size), (1, ""))
        return f"{value / size:g}{unit}"

    axis.set_major_formatter(label)
    axis.set_minor_formatter(NullFormatter())


def add_legend(
    figure: Figure,
    handles: Sequence[Artist],
    place: str = "outside upper center",
    columns: int | None = None,
    **looks: Any,
) -> None:
    """Add a legend of at most `columns` columns (default: one row); of fewer, if it would be wider than the figure."""
    for wanted in range(columns or len(handles), 0, -1):
        legend = figure.legend(handles=handles, loc=place, ncols=wanted, **looks)
        if wanted == 1 or legend.get_window_extent().width <= figure.bbox.width:
            return
        legend.remove()
