"""The table of several tasks on one encoder: accuracy, what each task stores, and what switching takes."""

from collections.abc import Mapping, Sequence
from typing import Any

from nli.reporting.markup import MISSING, escape, integer, interval, listing, percent, table
from nli.reporting.results import Results

NOTHING = "This run trains no further tasks: they run with `--config rungs=all`, or alone with `only='[tasks]'`."
MEGABYTE = 1e6


def tasks(results: Results) -> str:
    """The figure of storage against accuracy, the table behind it, and what switching shows."""
    found = results.ladders.get("tasks") or []
    if not any(ran(task) for each in found for task in each["tasks"].values()):
        return NOTHING
    return "\n\n".join(["{{< include figures/tasks.md >}}", task_table(results, found), *switching(results, found)])


def task_table(results: Results, found: Sequence[Mapping[str, Any]]) -> str:
    """Accuracy and storage of every task in every arrangement."""
    titles = {name: each["title"] for name, each in results.study["tasks"]["tasks"].items()}
    rows: list[Sequence[str]] = []
    for each in found:
        rows.append([f"**{escape(title_of(results, each['experiment']))}**", *[""] * 6])
        for name, task in each["tasks"].items():
            if not ran(task):
                status = f"left out: {task['left_out']}" if task else "not run"
                rows.append([escape(titles[name]), f"*{status}*", *[MISSING] * 5])
                continue
            rows.append(
                [
                    escape(titles[name]),
                    integer(task["n"]),
                    percent(task["accuracy"]),
                    interval(task["interval"]),
                    percent(task["chance"], 1),
                    integer(task["trained"]),
                    megabytes(task["bytes"]),
                ]
            )
    columns = {
        "Task": "l",
        "n": "r",
        "Accuracy, %": "r",
        "95% interval": "r",
        "Chance, %": "r",
        "Weights that train": "r",
        "Stored per task, MB": "r",
    }
    caption = (
        "Several tasks on the matched pairs, each trained with the settings of the experiment above it. *Chance*: the "
        "best constant answer. *Stored*: the file of the tensors that the task adds to the base."
    )
    return table(columns, rows, caption, "tbl-tasks")


def switching(results: Results, found: Sequence[Mapping[str, Any]]) -> list[str]:
    """A sentence on every arrangement whose adapters were switched."""
    said = []
    for each in found:
        measured = each["switching"]
        if not measured:
            continue
        shares = measured["agreement"].values()
        again = "all" if min(shares) == 1 else listing([f"{percent(share, 1)}%" for share in shares])
        said.append(
            f"**{escape(title_of(results, each['experiment']))}**: the adapters were loaded by name into one base of "
            f"{megabytes(measured['base_bytes'])} MB. Switching to another takes {1000 * measured['seconds']:.2f} ms. "
            f"After all switches every byte of the base's weights was as before (SHA-256 "
            f"`{measured['base_sha256'][:16]}`), and the adapters answered {again} of their tasks' first pairs as "
            "after their trainings."
        )
    return said


def ran(task: Mapping[str, Any]) -> bool:
    return "accuracy" in task


def title_of(results: Results, key: str) -> str:
    return results.study["experiments"][key]["title"]


def megabytes(size: float) -> str:
    """Bytes as MB, with two significant digits below 10."""
    value = size / MEGABYTE
    return f"{value:.2g}" if value < 10 else f"{value:,.0f}"
