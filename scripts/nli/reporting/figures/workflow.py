"""The picture of the workflow: its rules, what they wait for, and the time that their jobs took."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from nli.base.journal import Job, duration
from nli.reporting.figures.style import FAMILY_COLOURS, INK, MUTED, WIDTH
from nli.reporting.markup import counted
from nli.reporting.results import Results

WORKFLOW = (
    "The workflow, from top to bottom. A box is a rule of Snakemake, with its jobs and the time that they took. "
    "Arrows lead to what waits for a rule; those that follow from others are left out. Fetching, linking or making a "
    "base model is one box."
)
MODEL = "base models"
MODEL_RULES = ("fetch_model", "link_model", "make_model", "make_random_model")
# Column and row of each rule; a column is a family, in the report's order.
PLACES = {
    "fetch_data": (1, 0),
    MODEL: (3, 0),
    "sample_data": (1, 1),
    "finetune_roberta": (1, 2),
    "finetune_qlora": (3, 2),
    "finetune_linear_head": (4, 2),
    "merge_adapter": (3, 3),
    "predict_baseline": (0, 4),
    "predict_roberta": (1, 4),
    "predict_icl": (2, 4),
    "predict_qlora": (3, 4),
    "predict_linear_head": (4, 4),
    "score": (2, 5),
    "make_ladders": (2, 6),
    "make_tables": (1, 7),
    "make_figures": (3, 7),
    "render_report": (2, 8),
}
ARROWS = [
    ("fetch_data", "sample_data"),
    *[("sample_data", f"finetune_{family}") for family in ("roberta", "qlora", "linear_head")],
    *[("sample_data", f"predict_{family}") for family in ("baseline", "icl")],
    *[(MODEL, f"finetune_{family}") for family in ("roberta", "qlora", "linear_head")],
    (MODEL, "predict_icl"),
    ("finetune_roberta", "predict_roberta"),
    ("finetune_qlora", "merge_adapter"),
    ("merge_adapter", "predict_qlora"),
    ("finetune_linear_head", "predict_linear_head"),
    *[(f"predict_{family}", "score") for family in ("baseline", "roberta", "icl", "qlora", "linear_head")],
    ("score", "make_ladders"),
    ("make_ladders", "make_tables"),
    ("make_ladders", "make_figures"),
    ("make_tables", "render_report"),
    ("make_figures", "render_report"),
]


def workflow(results: Results) -> tuple[Figure, str]:
    """Draw the rules as boxes with arrows."""
    figure, axes = plt.subplots(figsize=(WIDTH, 5.2))
    boxes = {}
    for name, (column, row) in PLACES.items():
        family = next((family for family in FAMILY_COLOURS if name.endswith(f"_{family}")), None)
        boxes[name] = axes.text(
            column, row, label(results, name), ha="center", va="center", size=6.5, color=INK, linespacing=1.35,
            bbox={"boxstyle": "round,pad=0.45", "facecolor": "white", "edgecolor": FAMILY_COLOURS.get(family, MUTED)},
        )  # fmt: skip
    for first, second in ARROWS:
        axes.annotate(
            "", PLACES[second], PLACES[first], zorder=0,
            arrowprops={"arrowstyle": "-|>", "color": MUTED, "lw": 0.7, "patchA": boxes[first].get_bbox_patch(),
                        "patchB": boxes[second].get_bbox_patch(), "shrinkA": 0, "shrinkB": 1},
        )  # fmt: skip
    axes.set(xlim=(-0.6, 4.6), ylim=(8.5, -0.5))
    axes.axis("off")
    said = "; ".join(label(results, name).replace("\n", ", ") for name in PLACES)
    return figure, f"Flow chart of the workflow's rules, from top to bottom: {said}."


def label(results: Results, name: str) -> str:
    """ "finetune roberta", and below it "22 jobs, 9 min" if that is known."""
    jobs = [job for job in results.jobs if job.rule in rules_of(name)]
    title = name.replace("_", " ")
    return f"{title}\n{counted(len(jobs), 'job')}, {duration(total(jobs))}" if jobs else title


def rules_of(name: str) -> tuple[str, ...]:
    """The rules of a box."""
    return MODEL_RULES if name == MODEL else (name,)


def total(jobs: Sequence[Job]) -> float:
    """Seconds of all jobs together."""
    return sum(job.ended - job.started for job in jobs)
