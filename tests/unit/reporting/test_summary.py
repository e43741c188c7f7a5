"""The summary of a study, and the page that is published from it."""

import csv
import io
import json

import pytest
from unit.report_fixtures import ROOT, load, make_results

from nli.base.atomic import write_json
from nli.base.errors import StudyError
from nli.data.run_files import Part
from nli.reporting import summary_schema
from nli.reporting.published import published_page
from nli.reporting.summary import as_csv, summarize
from nli.reporting.summary_schema import check_summary, read_summary

PAGE = "# Results\n\nBy hand.\n\n<!-- results -->\nold\n<!-- end of results -->\n\nMore by hand.\n"
OTHERS = {"someone": {"source": "a README", "settings": "Few.", "accuracies": {"roberta/full": 32.5}}}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return load(make_results(tmp_path_factory.mktemp("results")))


@pytest.fixture(scope="module")
def summary(results):
    return json.loads(json.dumps(summarize(results), allow_nan=False))


def test_several_seeds_give_a_valid_summary_of_their_means(tmp_path):
    made = summarize(load(make_results(tmp_path, n=60, only=("icl/prompt1",), overrides={"seeds": [1, 2]})))
    check_summary(made, tmp_path)
    scores = made["experiments"]["icl/prompt1"]["scores"]["matched"]["parsed"]
    assert list(scores["by_seed"]) == ["1", "2"]
    assert scores["accuracy"] == pytest.approx(sum(scores["by_seed"].values()) / 2)

    scores["parsed"] = 0.5  # a mean need not be whole
    check_summary(made, tmp_path)


def test_summary_has_every_experiment_with_the_scores_of_its_metrics(results, summary):
    assert list(summary["experiments"]) == list(results.experiments)
    for key, experiment in results.experiments.items():
        made = summary["experiments"][key]
        assert made["seeds"] == [run.seed for run in experiment.runs]
        for split, scorers in experiment.first.metrics["results"].items():
            assert made["scores"][split].keys() == scorers.keys()
            for scorer, scores in scorers.items():
                assert made["scores"][split][scorer]["by_seed"]["42"] == scores["accuracy"]
                assert made["scores"][split][scorer]["interval"] == scores["clustered_interval"]
                assert made["scores"][split][scorer]["parsed_interval"] == scores["parsed_clustered_interval"]


def test_summary_has_every_claim_with_its_verdict(results, summary):
    rungs = [rung for ladder in results.ladders["ladders"].values() for rung in ladder["rungs"] if rung["claim"]]
    assert [claim["claim"] for claim in summary["claims"]] == [rung["claim"] for rung in rungs]
    assert [claim["verdict"] for claim in summary["claims"]] == [rung["verdict"] for rung in rungs]


def test_summary_names_the_models_that_the_runs_recorded(results, summary):
    used = results.experiments["roberta/full"].first.run["model"]
    assert summary["models"]["encoder"]["sha256"] == used["sha256"]
    assert summary["models"]["encoder"]["title"] == "RoBERTa"
    assert str(results.study["models"]["encoder"]["name"]) not in json.dumps(
        summary
    )  # it may be a folder of the user's


def test_equal_results_give_an_equal_summary(tmp_path, summary):
    assert json.loads(json.dumps(summarize(load(make_results(tmp_path))))) == summary


def test_csv_has_a_line_for_each_split_and_scorer(summary):
    lines = list(csv.DictReader(io.StringIO(as_csv(summary))))
    pairs = [
        (key, split, scorer)
        for key, experiment in summary["experiments"].items()
        for split, scorers in experiment["scores"].items()
        for scorer in scorers
    ]
    assert [(line["experiment"], line["split"], line["scorer"]) for line in lines] == pairs
    full = summary["experiments"]["roberta/full"]["scores"]["matched"]["classifier"]
    line = next(line for line in lines if line["experiment"] == "roberta/full" and line["split"] == "matched")
    assert float(line["accuracy"]) == full["accuracy"]
    assert [float(line["low"]), float(line["high"])] == full["interval"]


def test_summary_breaks_its_schema_in_one_line_with_the_key(tmp_path, summary):
    check_summary(summary, tmp_path)
    write_json(tmp_path / "summary.json", summary)
    assert read_summary(tmp_path / "summary.json") == summary
    broken = json.loads(json.dumps(summary))
    broken["experiments"]["roberta/full"]["scores"]["matched"]["classifier"]["accuracy"] = 1.5
    write_json(tmp_path / "summary.json", broken)
    place = r"summary\.json: experiments\.roberta/full\.scores\.matched\.classifier\.accuracy: .+; delete it and rerun"
    with pytest.raises(StudyError, match=place):
        read_summary(tmp_path / "summary.json")
    with pytest.raises(StudyError, match="extra: Extra inputs are not permitted"):
        check_summary({**summary, "extra": 1}, tmp_path)


def test_docs_name_every_key_of_the_summary():
    """Of each part in the schema, and of the CSV."""
    parts = [each for each in vars(summary_schema).values() if isinstance(each, type) and issubclass(each, Part)]
    parts = [each for each in parts if each.__module__ == summary_schema.__name__]
    assert len(parts) > 5
    page = (ROOT / "docs/outputs.md").read_text().partition("### The summary")[2].partition("A second run")[0]
    for name in {name for part in parts for name in part.model_fields}:
        assert f"`{name}`" in page, name


def test_experiment_that_has_not_run_is_said_to_have_not(tmp_path):
    folder = make_results(tmp_path)
    for file in (folder / "icl/prompt3/seed42").iterdir():
        file.unlink()
    made = summarize(load(folder))
    assert made["experiments"]["icl/prompt3"]["status"] == "not run"
    page = published_page(PAGE, made, made, load(folder).reported, OTHERS)
    rows = [line for line in page.splitlines() if line.startswith(("| `", "| experiment"))]
    assert len(rows) > len(made["experiments"])
    assert {row.count("|") for row in rows} == {9}
    assert "| `icl/prompt3` |  | *not run* |" in page


def test_page_keeps_what_was_written_by_hand_and_shows_ours_theirs_and_the_demos(summary, reported):
    demo = json.loads(json.dumps(summary))
    demo["experiments"]["roberta/full"]["scores"]["matched"]["classifier"]["accuracy"] = 0.125
    demo["claims"][0]["verdict"] = "refuted"
    page = published_page(PAGE, summary, demo, reported, OTHERS)
    assert page.startswith("# Results\n\nBy hand.\n\n<!-- results -->\n- encoder: RoBERTa")
    assert page.endswith("<!-- end of results -->\n\nMore by hand.\n")
    assert "old" not in page
    scores = summary["experiments"]["roberta/full"]["scores"]["matched"]["classifier"]
    row = next(line for line in page.splitlines() if line.startswith("| `roberta/full` |"))
    assert row.startswith(f"| `roberta/full` | classifier | {100 * scores['accuracy']:.1f} [")
    assert row.endswith("| 87.8 | 32.5 | 12.5 |")
    claim = next(line for line in page.splitlines() if summary["claims"][0]["claim"] in line)
    assert claim.endswith(f"| {summary['claims'][0]['verdict']} | refuted |")
    assert published_page(page, summary, demo, reported, OTHERS) == page


def test_page_without_its_marks_is_refused(summary, reported):
    with pytest.raises(StudyError, match="the page has no '<!-- results -->'"):
        published_page("# Results\n", summary, summary, reported, OTHERS)
