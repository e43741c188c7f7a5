"""The best of each method in the report: candidates by their tuning pairs, one of them scored."""

import pytest
from unit.report_fixtures import load, make_results

from nli.reporting.markup import MISSING, escape
from nli.reporting.summary import summarize
from nli.reporting.tables import best


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    keys = ["roberta/full", "roberta/full_recipe", "roberta/full_recipe_faster"]
    return make_results(tmp_path_factory.mktemp("results"), n=60, only=keys)


def test_the_chosen_candidate_alone_has_an_accuracy_on_the_validation_pairs(folder):
    results = load(folder)
    (method,) = results.ladders["best"].values()
    lines = best.best(results).splitlines()
    chosen = [line for line in lines if line.startswith("| Chosen: ")]
    assert len(chosen) == 1
    assert f"{100 * method['best']['accuracy']:.2f}" in chosen[0]
    other = next(c["experiment"] for c in method["candidates"] if c["experiment"] != method["chosen"])
    (line,) = (line for line in lines if line.startswith(f"| {escape(results.experiments[other].title)} |"))
    assert line.split("|")[3:7] == [f" {MISSING} "] * 4
    assert summarize(results)["best"]["full"]["chosen"] == method["chosen"]


def test_a_published_accuracy_stands_below_and_a_core_run_says_why_it_has_none(folder):
    results = load(folder)
    (method,) = results.ladders["best"].values()
    method["published"] = {"accuracy": 0.902, "title": "RoBERTa-large (Liu et al. 2019)"}
    assert "| Published: RoBERTa-large (Liu et al. 2019) |" in best.best(results)
    results.ladders["best"] = {}
    assert best.best(results) == best.NOTHING
