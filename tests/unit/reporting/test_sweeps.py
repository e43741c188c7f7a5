"""Sweeps in the report: figure, tables, and points that appear nowhere else."""

import json

import matplotlib.pyplot as plt
import pytest
from unit.report_fixtures import load, make_results, run_report_script

from nli.reporting.figures.registry import sweep_figures
from nli.reporting.summary import summarize
from nli.reporting.tables import overview, sweeps


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_results(tmp_path_factory.mktemp("results"), n=60, only=["rank"])


def drawn(results):
    """The alternative text of the figure of the sweep `rank`, which is drawn."""
    figures = sweep_figures(results)
    assert list(figures) == ["sweep-rank"]
    figure, alt = figures["sweep-rank"].draw(results)
    figure.draw_without_rendering()
    plt.close(figure)
    return alt


def test_a_sweep_has_a_figure_a_table_of_points_and_one_of_crossings(folder):
    results = load(folder)
    text = sweeps.sweeps(results)
    assert "### Rank {#sec-sweep-rank}" in text
    assert "{{< include figures/sweep-rank.md >}}" in text
    assert "{#tbl-sweep-rank}" in text
    assert "{#tbl-sweep-rank-crossings}" in text
    accuracy = next(p for p in results.ladders["sweeps"]["rank"]["curves"]["roberta/lora_rate"] if p["value"] == 64)
    row = next(line for line in text.splitlines() if line.startswith("| 64 |"))
    assert f"| {100 * accuracy['accuracy']:.2f} |" in row
    assert row.endswith("| 900 |")  # the steps of the fixture's history
    assert f"{100 * accuracy['accuracy']:.1f} at 64" in drawn(results)


def test_points_are_in_no_other_table_and_in_no_family_of_tests(folder):
    results = load(folder)
    assert "roberta/lora_rate_rank_64" in results.points
    assert "rank 64" not in overview.all_results(results)
    assert not any("_rank_" in test["experiment"] for test in results.ladders["standings"])
    assert not any("_rank_" in key for key in results.ladders["pairs"]["experiments"])
    assert summarize(results)["sweeps"]["rank"]["curves"]["qlora/attempt1_rate"][0]["value"] == 1


def test_ends_of_an_interval_outside_the_values_are_said_in_words():
    sweep = {"key": "training.examples", "curves": {"a": [{"value": 0.01}, {"value": 1.0}], "b": [{"value": 0.03}]}}
    each = {"leader": "a", "other": "b", "interval": ["below", 0.1234]}
    assert sweeps.interval_of(sweep, each) == "below 1% to 12.3%"
    assert sweeps.interval_of(sweep, {**each, "interval": [0.5, "beyond"]}) == "50% to beyond the last"
    assert sweeps.interval_of({**sweep, "key": "lora.r"}, {**each, "interval": [4.04, 11.9]}) == "4.04 to 11.9"


def test_points_that_did_not_run_are_shown_as_such(folder, tmp_path):
    (tmp_path / "study.json").write_text((folder / "study.json").read_text())
    (tmp_path / "data").mkdir()
    (tmp_path / "data/description.json").write_text((folder / "data/description.json").read_text())
    assert run_report_script("make_ladders.py", tmp_path).returncode == 0
    results = load(tmp_path)
    assert "| 64 | *not run* |" in sweeps.sweeps(results)
    assert "LoRA, LoRA's rate not run" in drawn(results)
    assert json.loads((tmp_path / "summary.json").read_text())["sweeps"]["rank"]["crossings"] == []


def test_a_run_without_sweeps_says_so(folder):
    results = load(folder)
    results.ladders.pop("sweeps")
    assert sweeps.sweeps(results) == sweeps.NOTHING
