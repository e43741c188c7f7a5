"""Figure of several tasks on one encoder: what each stores against its accuracy."""

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from nli.reporting.figures.style import INK, LINES, WIDTH, add_legend, log_axis
from nli.reporting.results import Results
from nli.reporting.tables.tasks import MEGABYTE, megabytes, ran, title_of

TASKS = (
    "Accuracy of each task on the matched pairs, with 95% intervals clustered by premise, against what the task adds "
    "to the base on disk. Lines join the arrangements of a task."
)


def draw_tasks(results: Results) -> tuple[Figure, str]:
    """One line for each task, one marker for each arrangement."""
    found = results.ladders["tasks"]
    figure, axes = plt.subplots(figsize=(WIDTH, 3.0))
    handles, said = [], []
    for (name, each), (colour, _, dashes) in zip(results.study["tasks"]["tasks"].items(), LINES, strict=False):
        points = [
            (task["bytes"] / MEGABYTE, 100 * task["accuracy"], [100 * end for end in task["interval"]], i)
            for i, arrangement in enumerate(found)
            if ran(task := arrangement["tasks"][name])
        ]
        points.sort()
        axes.plot([x for x, *_ in points], [y for _, y, *_ in points], color=colour, ls=dashes, lw=1, zorder=1)
        for x, y, ends, i in points:
            axes.plot([x, x], ends, color=colour, lw=1.4, zorder=2)
            axes.plot(x, y, LINES[i][1], color=colour, ms=5.5, mec="white", mew=0.4, zorder=3)
        handles.append(Line2D([], [], color=colour, ls=dashes, lw=1, label=each["title"]))
        said.append(
            f"{each['title']} " + ", ".join(f"{y:.1f}% with {megabytes(x * MEGABYTE)} MB" for x, y, *_ in points)
        )
    for i, arrangement in enumerate(found):
        title = title_of(results, arrangement["experiment"])
        handles.append(Line2D([], [], color=INK, marker=LINES[i][1], lw=0, ms=5.5, label=title))
    axes.set(xscale="log", xlabel="Stored per task, MB", ylabel="Accuracy, %")
    log_axis(axes.xaxis)
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    add_legend(figure, handles, columns=3)
    return figure, f"Storage against accuracy: {'; '.join(said)}."
