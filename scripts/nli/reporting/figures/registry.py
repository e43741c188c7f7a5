"""Every figure of the report as SVG, with a Markdown fragment for its caption and alternative text.

A figure is a function from `Results` to (matplotlib figure, alternative text), entered in FIGURES below. The
same results give the same bytes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from nli.base.atomic import whole_file, write_text
from nli.base.errors import StudyError
from nli.base.labels import LABELS
from nli.reporting.addresses import Address, Maker, as_csv, folded, listed, name_of, rows_of
from nli.reporting.figures import comparison, confusion, data, ladders, learning, sweeps, tasks, workflow
from nli.reporting.figures.findings import draw_finding
from nli.reporting.figures.style import (
    FAMILY_COLOURS,
    HEIGHT,
    INK,
    LABEL_COLOURS,
    MUTED,
    STYLE,
    WIDTH,
    add_legend,
    name_size,
    slanted,
)
from nli.reporting.figures.svg import compact
from nli.reporting.findings import picture, printed_first, rungs_shown
from nli.reporting.markup import attribute, counted, escape, listing, percent, shortened
from nli.reporting.results import Experiment, Results, reported_accuracy
from nli.reporting.tables.data import described_splits, split_titles
from nli.reporting.tables.ladders import figure_label
from nli.reporting.tables.sweeps import sweep_label
from nli.reporting.tables.tasks import ran

Drawn = tuple[Figure, str]
MAKER = Maker("make_figures", "scripts/make_figures.py", None)


@dataclass(frozen=True)
class Plot:
    """How a figure is drawn, its caption, and what it shows as records."""

    draw: Callable[[Results], Drawn]
    caption: str
    data: Callable[[Results], list[dict[str, Any]]]
    share: float = 1.0  # of its drawn size at which it is printed


def accuracy(results: Results) -> Drawn:
    """Every experiment's accuracy with its interval, chance, and the reported accuracy."""
    families = {family: title for family, title in results.family_titles.items() if results.family(family)}
    experiments = [experiment for family in families for experiment in results.family(family)]
    rows = len(experiments) + len(families)
    figure, axes = plt.subplots(figsize=(WIDTH, min(HEIGHT, 0.235 * rows + 0.85)))
    row, ticks, names = 0.0, [], []
    for family, title in families.items():
        axes.text(-0.01, row, title, ha="right", va="center", weight="bold",
                  color=FAMILY_COLOURS[family], transform=axes.get_yaxis_transform())  # fmt: skip
        row += 1
        for experiment in results.family(family):
            _accuracy_row(axes, results, experiment, row)
            ticks.append(row)
            names.append(experiment.title)
            row += 1
    axes.set(xlim=(0, 100), ylim=(row - 0.4, -0.7), xlabel="Accuracy on the matched split, %")
    axes.set_yticks(ticks, names, size=name_size(rows))
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    axes.spines["left"].set_visible(False)
    handles = [
        Line2D([], [], marker="o", color=INK, ms=4.5, lw=1.4, label="ours, with 95% interval"),
        Line2D([], [], marker="o", color=INK, mfc="white", ms=4.5, lw=0, label="ours, parsed only"),
        Line2D([], [], marker="D", color=MUTED, mfc="white", ms=4.5, lw=0, label="reported"),
        Line2D([], [], marker="|", color=INK, ms=9, mew=1.2, lw=0, label="chance"),
    ]
    add_legend(figure, handles, handletextpad=0.4, columnspacing=1.4)
    parts = [
        f"{experiment.title} {percent(scores['accuracy'], 1)}"
        if (scores := experiment.scores())
        else f"{experiment.title} {experiment.status}"
        for experiment in experiments
    ]
    return figure, f"Dot plot of accuracy in percent with 95% intervals: {'; '.join(parts)}."


def _accuracy_row(axes: Axes, results: Results, experiment: Experiment, row: float) -> None:
    printed = reported_accuracy(results.reported, experiment.key)
    if printed is not None:
        axes.plot(100 * float(printed), row, "D", color=MUTED, mfc="white", ms=4.5, zorder=2)
    scores = experiment.scores()
    if scores is None:
        axes.text(1, row, experiment.status, va="center", style="italic", color=MUTED)
        return
    colour = FAMILY_COLOURS[experiment.family]
    low, high = (100 * bound for bound in scores["clustered_interval"])
    axes.plot(100 * scores["majority_accuracy"], row, "|", color=INK, ms=9, mew=1.2, zorder=1)
    axes.plot([low, high], [row, row], color=colour, lw=1.8, solid_capstyle="butt", zorder=3)
    axes.plot(100 * scores["accuracy"], row, "o", color=colour, ms=4.5, zorder=4)
    if scores["parsed"] < scores["n"] and scores["parsed_accuracy"] is not None:
        axes.plot(100 * scores["parsed_accuracy"], row, "o", color=colour, mfc="white", ms=4.5, zorder=3)


def answers(results: Results) -> Drawn:
    """The shares of each experiment's answers; a collapse is one long bar."""
    experiments = [experiment for experiment in results.done() if experiment.scores()]
    figure, axes = plt.subplots(figsize=(WIDTH, min(HEIGHT, 0.215 * (len(experiments) + 1) + 0.9)))
    names = ["Right answers", *(experiment.title for experiment in experiments)]
    shares = [_gold_shares(experiments)] + [_answer_shares(experiment) for experiment in experiments]
    left = np.zeros(len(names))
    for name in (*LABELS, "unparsed"):
        widths = np.array([100 * share.get(name, 0) for share in shares])
        hatch = "////" if name == "unparsed" else None
        axes.barh(range(len(names)), widths, left=left, height=0.68, color=LABEL_COLOURS[name],
                  edgecolor="white", linewidth=0.6, hatch=hatch)  # fmt: skip
        for i, width in enumerate(widths):
            if width >= 9:
                dark = name in ("entailment", "contradiction")
                axes.text(left[i] + width / 2, i, f"{width:.0f}", ha="center", va="center", size=7.5,
                          color="white" if dark else INK)  # fmt: skip
        left += widths
    axes.set_yticks(range(len(names)), names, size=name_size(len(names)))
    axes.get_yticklabels()[0].set_weight("bold")
    axes.set(xlim=(0, 100), ylim=(len(names) - 0.4, -0.6), xlabel="Share of answers, %")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    handles = [
        Patch(
            facecolor=LABEL_COLOURS[name],
            label=name,
            hatch="////" if name == "unparsed" else None,
            edgecolor="white",
        )
        for name in (*LABELS, "unparsed")
    ]
    add_legend(figure, handles)
    collapsed = [experiment.title for experiment in experiments if experiment.scores()["collapsed"]]
    return figure, (
        f"Stacked bars of the labels that {counted(len(experiments), 'experiment')} answer with. "
        f"One class above 95%: {listing(collapsed) or 'none'}."
    )


def _gold_shares(experiments: Sequence[Experiment]) -> Mapping[str, float]:
    if not experiments:
        return {}
    per_class = experiments[0].scores()["per_class"]
    total = sum(per_class[label]["support"] for label in LABELS)
    return {label: per_class[label]["support"] / total for label in LABELS}


def _answer_shares(experiment: Experiment) -> Mapping[str, float]:
    scores = experiment.scores()
    return {name: count / scores["n"] for name, count in scores["answers"].items()}


def labels(results: Results) -> Drawn:
    """Label balance of each split."""
    splits, titles = described_splits(results), split_titles(results)
    figure, axes = plt.subplots(figsize=(WIDTH, 1.9))
    for i, label in enumerate(LABELS):
        shares = [100 * d["labels"].get(label, 0) / max(1, d["n"]) for d in splits.values()]
        places = np.arange(len(shares)) + 0.27 * (i - 1)
        bars = axes.bar(places, shares, width=0.25, color=LABEL_COLOURS[label], label=label)
        axes.bar_label(bars, fmt="%.0f", size=7.5, color=INK, padding=1)
    axes.set_xticks(range(len(splits)), [titles[name] for name in splits])
    axes.set(ylabel="Share, %", ylim=(0, 45))
    axes.tick_params(axis="x", length=0)
    add_legend(figure, axes.get_legend_handles_labels()[0])
    shares = [
        f"{titles[name]}: "
        + ", ".join(f"{label} {percent(d['labels'].get(label, 0) / max(1, d['n']), 0)}%" for label in LABELS)
        for name, d in splits.items()
    ]
    return figure, f"Bars of label shares in each split. {'; '.join(shares)}."


def prompts(results: Results) -> Drawn:
    """Accuracy of the prompts by both ways of counting, above the share of answers that could be parsed."""
    experiments = results.family("icl")
    many = len(experiments) > 6
    size = (WIDTH, 5.0 if many else 3.6)
    figure, (top, bottom) = plt.subplots(2, 1, figsize=size, sharex=True, height_ratios=(2.2, 1))
    for i, experiment in enumerate(experiments):
        printed = reported_accuracy(results.reported, experiment.key)
        if printed is not None:
            top.plot(i + 0.22, 100 * float(printed), "D", color=MUTED, mfc="white", ms=5)
        scores = experiment.scores()
        if scores is None:
            top.text(i, 3, experiment.status, ha="center", style="italic", color=MUTED)
            continue
        _whisker(top, i - 0.16, scores["parsed_accuracy"], scores["parsed_clustered_interval"], hollow=True)
        _whisker(top, i + 0.03, scores["accuracy"], scores["clustered_interval"], hollow=False)
        top.plot([i - 0.35, i + 0.35], [100 * scores["majority_accuracy"]] * 2, color=INK, lw=0.9, ls=":")
        bars = bottom.bar(i, 100 * scores["parsed"] / scores["n"], width=0.5, color="#D9A56C")
        bottom.bar_label(bars, fmt="%.0f%%", size=7.5, padding=1)
    top.set(ylabel="Accuracy, %", ylim=(0, 100), xlim=(-0.6, max(len(experiments), 1) - 0.4))
    bottom.set(ylabel="Parsed, %", ylim=(0, 125), yticks=(0, 50, 100))
    bottom.set_xticks(
        range(len(experiments)), [experiment.title for experiment in experiments], **slanted(40) if many else {}
    )
    for panel in (top, bottom):
        panel.grid(axis="y")
        panel.set_axisbelow(True)
    handles = [
        Line2D([], [], marker="o", color=FAMILY_COLOURS["icl"], mfc="white", ms=5, label="parsed answers only"),
        Line2D([], [], marker="o", color=FAMILY_COLOURS["icl"], ms=5, label="all answers"),
        Line2D([], [], marker="D", color=MUTED, mfc="white", ms=5, lw=0, label="reported"),
        Line2D([], [], color=INK, lw=0.9, ls=":", label="chance"),
    ]
    add_legend(figure, handles)
    parts = [
        f"{experiment.title} {percent(s['parsed_accuracy'], 0)} of the parsed, {percent(s['accuracy'], 0)} of all"
        for experiment in experiments
        if (s := experiment.scores())
    ]
    return figure, f"Accuracy of each prompt in percent: {'; '.join(parts) or 'not run'}."


def _whisker(axes: Axes, x: float, value: float | None, bounds: Sequence[float] | None, hollow: bool) -> None:
    if value is None or bounds is None:
        return
    colour = FAMILY_COLOURS["icl"]
    axes.plot([x, x], [100 * bounds[0], 100 * bounds[1]], color=colour, lw=1.4, zorder=2)
    axes.plot(x, 100 * value, "o", color=colour, mfc="white" if hollow else colour, ms=5, zorder=3)


def confusions(whose: str, family: str) -> Plot:
    """The confusion matrices of one family's experiments."""
    caption = f"{whose} on the matched split. {confusion.MATRICES}"
    return Plot(confusion.confusion(family), caption, data.confusion(family))


MOST_IN_A_TITLE = 60  # characters
FIGURES: dict[str, Plot] = {
    "accuracy": Plot(
        accuracy,
        "Accuracy of every experiment on the matched split, with 95% intervals clustered by premise. An answer that "
        "names no label counts as wrong; hollow circles leave such answers out. Ticks mark chance, the best constant "
        "answer. Diamonds are the accuracies that the original reported for its full-size models.",
        data.accuracy,
    ),
    "pairs": Plot(ladders.pairs, ladders.PAIRS, data.pairs),
    "cost": Plot(comparison.cost, comparison.COST, data.cost),
    "reliability": Plot(comparison.reliability, comparison.RELIABILITY, data.reliability),
    "answers": Plot(
        answers,
        "The labels that each experiment answers with, as shares of all its answers. The first bar shows the right "
        "answers. An experiment that always gives the same label has a single colour.",
        data.answers,
    ),
    "labels": Plot(labels, "Label balance of each split.", data.labels),
    "learning-roberta": Plot(
        learning.learning_roberta,
        "Learning curves of the {encoder} experiments. The training loss is a running mean over nine logged values.",
        data.curves("roberta"),
    ),
    "learning-qlora": Plot(
        learning.learning_qlora,
        "Training loss of the QLoRA experiments and linear heads, each before those of the others in grey. Levels "
        "compare only between experiments whose loss is on the same tokens.",
        data.curves("qlora", "linear_head"),
    ),
    "confusion-roberta": confusions("{encoder}", "roberta"),
    "confusion-icl": confusions("The prompts", "icl"),
    "confusion-qlora": confusions("QLoRA", "qlora"),
    "confusion-linear-head": confusions("The linear heads", "linear_head"),
    "workflow": Plot(workflow.workflow, workflow.WORKFLOW, data.jobs),
    "prompts": Plot(
        prompts,
        "Top: accuracy of the prompts by both ways of counting, with 95% intervals. Bottom: the share of answers in "
        "which a label could be read.",
        data.prompts,
    ),
}


def with_short_titles(value: Any) -> Any:
    """A part of the study or of the ladders in which every title fits into a figure."""
    if isinstance(value, Mapping):
        fits = {"title": shortened(value["title"], MOST_IN_A_TITLE)} if isinstance(value.get("title"), str) else {}
        return {key: with_short_titles(each) for key, each in value.items()} | fits
    return [with_short_titles(each) for each in value] if isinstance(value, list) else value


def drawable(results: Results) -> Results:
    """The results with titles that fit into a figure; its caption and its data have them whole."""
    short = {key: replace(each, spec=with_short_titles(each.spec)) for key, each in results.experiments.items()}
    study, ladders = with_short_titles(results.study), with_short_titles(results.ladders)
    return replace(results, study=study, ladders=ladders, experiments=short)


def ladder_figures(results: Results) -> dict[str, Plot]:
    """A figure for each ladder of the study."""
    return {
        figure_label(name): Plot(
            lambda drawn, name=name: ladders.draw_ladder(drawn.ladders["ladders"][name]),
            f"{escape(ladder['title'])}: {ladders.LADDER}",
            lambda _, ladder=ladder: data.ladder(ladder),
            share=0.9,  # so that two of six rungs fit on a page
        )
        for name, ladder in (results.ladders.get("ladders") or {}).items()
    }


def sweep_figures(results: Results) -> dict[str, Plot]:
    """A figure for each sweep of the study."""
    return {
        sweep_label(name): Plot(
            lambda results, sweep=sweep: sweeps.draw_sweep(results, sweep),
            f"{escape(sweep['title'])}: {sweeps.SWEEP}",
            lambda results, sweep=sweep: data.sweep(results, sweep),
        )
        for name, sweep in (results.ladders.get("sweeps") or {}).items()
    }


def task_figures(results: Results) -> dict[str, Plot]:
    """The figure of the several tasks, if some have run."""
    drawn = any(ran(task) for each in results.ladders.get("tasks") or [] for task in each["tasks"].values())
    return {"tasks": Plot(tasks.draw_tasks, tasks.TASKS, data.tasks)} if drawn else {}


def figures_of(results: Results) -> dict[str, Plot]:
    """Every figure of the report, by name."""
    return FIGURES | ladder_figures(results) | sweep_figures(results) | task_figures(results)


def make_figures(results: Results, folder: Path, maker: Maker = MAKER) -> list[Path]:
    """Write NAME.svg, NAME.md and the data of every figure into `folder`; returns the SVG paths.

    Their addresses are the table addresses.md.
    """
    paths, addresses = [], []
    for name, plot in figures_of(results).items():
        path = Path(folder) / f"{name}.svg"
        figure, alt = draw(plot, results, path)
        address = address_of(name, plot, results)
        width = round(100 * plot.share * figure.get_figwidth() / WIDTH)
        image = image_markdown(name, results.caption(plot.caption), alt, width)
        write_text(path.with_suffix(".md"), f"{image}\n{folded(address, maker)}")
        write_text(Path(folder) / f"{address.label}.csv", as_csv(address.data))
        addresses.append(address)
        paths.append(path)
    write_text(Path(folder) / "addresses.md", listed(addresses, maker, "figures"))
    draw_findings(results, Path(folder))
    return paths


def draw_findings(results: Results, folder: Path) -> None:
    """Write the small picture of each finding into `folder`; the findings name it and describe it."""
    for name, ladder in (results.ladders.get("ladders") or {}).items():
        if rungs_shown(ladder):
            printed = printed_first(results, ladder)
            with plt.rc_context(STYLE):
                save(draw_finding(ladder, printed), folder / f"{picture(name)}.svg")


def make_figure(results: Results, label: str, folder: Path) -> None:
    """Write one figure, called "fig-NAME", and its data into `folder`; StudyError if the report has no such figure."""
    plots = figures_of(results)
    name = label.removeprefix("fig-")
    if name not in plots:
        raise StudyError(f"the report has no figure {label}; it has {', '.join(f'fig-{name}' for name in plots)}")
    draw(plots[name], results, Path(folder) / f"{label}.svg")
    write_text(Path(folder) / f"{label}.csv", as_csv(address_of(name, plots[name], results).data))


def draw(plot: Plot, results: Results, path: Path) -> Drawn:
    """Write a figure as SVG."""
    with plt.rc_context(STYLE):
        figure, alt = plot.draw(drawable(results))
        save(figure, path)
    return figure, alt


def save(figure: Figure, path: Path) -> None:
    with whole_file(path) as temporary:
        figure.savefig(temporary, metadata={"Date": None, "Creator": None})
        temporary.write_text(compact(temporary.read_text(encoding="utf-8")), encoding="utf-8")
    plt.close(figure)


def address_of(name: str, plot: Plot, results: Results) -> Address:
    return Address(f"fig-{name}", name_of(plot.draw), rows_of(plot.data(results)))


def image_markdown(name: str, caption: str, alt: str, width: int = 100) -> str:
    """The image with its caption, label, alternative text, and width in percent of the text."""
    return f"![{caption}](figures/{name}.svg){{#fig-{name} width={width}% fig-alt={attribute(alt)}}}\n"
