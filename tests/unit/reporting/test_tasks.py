"""Several tasks on one encoder in the report: read from their files, in a table, a figure and a sentence."""

import json

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from unit.report_fixtures import load, make_results, measure

from nli.reporting.figures.registry import task_figures
from nli.reporting.tables import tasks

SIZES = {"head_only_rate": 66_000, "lora_rate": 133_000, "full": 3_300_000}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = make_results(tmp_path_factory.mktemp("results"), n=60, only=["tasks"])
    for i, (name, size) in enumerate(SIZES.items()):
        for task in ("nli", "genre"):
            make_task(folder / "tasks" / name / task, size, right=0.7 + 0.1 * i)
    switching = {"seconds": 0.00123, "agreement": {"nli": 1.0, "genre": 0.996}}
    switching |= {"base_sha256": "ab" * 32, "base_bytes": 4_000_000}
    (folder / "tasks/lora_rate/switching.json").write_text(json.dumps(switching))
    measure(folder)
    return folder


def make_task(folder, size, right):
    folder.mkdir(parents=True)
    gold = np.tile(["a", "b"], 100)
    pred = np.where(np.arange(200) < 200 * right, gold, np.roll(gold, 1))
    premises = [f"p{i // 2}" for i in range(200)]
    pd.DataFrame({"pair_id": map(str, range(200)), "premise_id": premises, "gold": gold, "pred": pred}).to_parquet(
        folder / "answers.parquet"
    )
    record = {"classes": ["a", "b"], "bytes": size, "trained": size // 4, "seconds": 3.0}
    (folder / "record.json").write_text(json.dumps(record))


def test_accuracy_and_storage_of_every_task_are_shown_and_what_did_not_run_as_such(folder):
    text = tasks.tasks(load(folder))
    lines = text.splitlines()
    heads = [i for i, line in enumerate(lines) if line.startswith("| **")]
    assert [lines[i].split("**")[1] for i in heads] == [
        "Head only, a rate of its own",
        r"LoRA, LoRA\'s rate",
        "Full fine-tuning",
    ]
    assert lines[heads[1] + 1].startswith("| Inference | 200 | 80.00 |")
    assert lines[heads[1] + 1].endswith("| 50.0 | 33,250 | 0.13 |")
    assert "| Negation | *not run* |" in text


def test_switching_is_said_with_its_time_and_the_hash_of_the_base(folder):
    (said,) = tasks.switching(load(folder), load(folder).ladders["tasks"])
    assert "into one base of 4 MB. Switching to another takes 1.23 ms." in said
    assert "`abababababababab`" in said
    assert "answered 100.0% and 99.6% of their tasks' first pairs" in said


def test_the_figure_sets_storage_against_accuracy(folder):
    figure, alt = task_figures(load(folder))["tasks"].draw(load(folder))
    figure.draw_without_rendering()
    ticks = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert "0.1" in ticks
    assert not any("$" in tick for tick in ticks)
    plt.close(figure)
    assert "Inference 70.0% with 0.066 MB, 80.0% with 0.13 MB, 90.0% with 3.3 MB" in alt


def test_a_run_without_tasks_says_so(tmp_path):
    assert tasks.tasks(load(make_results(tmp_path, n=60, only=["roberta/full"]))) == tasks.NOTHING
