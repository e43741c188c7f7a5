"""Two runs of the study compared: what is in the tables, the page, and the errors."""

import json
import shutil

import pytest
from unit.report_fixtures import make_results, rewrite, run_report_script, run_script

from nli.base.atomic import write_json
from nli.base.files import read_json
from nli.reporting.compare.sections import compare_sides, in_short, sections
from nli.reporting.compare.settings import different_settings, shown
from nli.reporting.compare.sides import read_side

ONLY = ("baseline/hypothesis_only", "roberta/full", "roberta/lora", "icl/prompt1")


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """A results folder with a summary."""
    folder = make_results(tmp_path_factory.mktemp("first") / "demo", only=ONLY)
    assert run_report_script("make_ladders.py", folder).returncode == 0
    return folder


@pytest.fixture(scope="module")
def second(tmp_path_factory):
    """The same pairs, answered by other models."""
    folder = make_results(tmp_path_factory.mktemp("second") / "demo", only=ONLY[1:], seed=1)
    assert run_report_script("make_ladders.py", folder).returncode == 0
    return folder


def compare(first, second, split="matched"):
    """(short lines, {section's title: section}, comparisons by experiment)."""
    sides = read_side(str(first)), read_side(str(second))
    compared = compare_sides(*sides, split)
    return (
        in_short(*sides, compared),
        {part.title: part for part in sections(*sides, split, compared)},
        {entry["key"]: entry for entry in compared},
    )


def test_a_run_against_itself_differs_in_nothing(first, tmp_path):
    shutil.copytree(first, tmp_path / "copy")
    lines, parts, compared = compare(first, tmp_path / "copy")
    assert {entry["test"]["difference"] for entry in compared.values()} == {0.0}
    assert "Different accuracy (p < 0.05 after Holm): none." in lines
    assert f"Every label is the same in {len(ONLY)} of the {len(ONLY)}." in lines
    assert {row[-1] for row in parts["What made them"].rows} == {""}
    assert parts["Verdicts"].text.startswith("0 of ")
    assert parts["Settings"].rows == []


def test_both_accuracies_are_those_of_the_runs_with_the_paired_difference(first, second):
    lines, parts, compared = compare(first, second)
    assert set(compared) == set(ONLY[1:])
    assert f"Only in {first}: baseline/hypothesis_only." in lines
    scores = [
        read_json(side / "roberta/lora/seed42/metrics.json")["results"]["matched"]["classifier"]
        for side in (first, second)
    ]
    entry = compared["roberta/lora"]
    for found, stated in zip(entry["scores"], scores, strict=True):
        assert (found["n"], found["accuracy"]) == (stated["n"], stated["accuracy"])
        assert found["interval"] == pytest.approx(stated["clustered_interval"])
    assert entry["test"]["n"] == 240
    assert entry["test"]["difference"] == pytest.approx(scores[1]["accuracy"] - scores[0]["accuracy"])
    low, high = entry["test"]["clustered_interval"]
    assert low < entry["test"]["difference"] < high
    tests = [entry["test"] for entry in compared.values()]
    assert min(test["p_holm"] for test in tests) == pytest.approx(
        min(1.0, len(tests) * min(test["clustered_p"] for test in tests))
    )
    row = next(row for row in parts["Accuracy"].rows if row[0] == "roberta/lora")
    assert row[1].startswith(f"{100 * scores[0]['accuracy']:.1f} (")
    assert row[5] == "240"


def test_a_summary_alone_is_compared_as_an_independent_sample(first, second):
    lines, parts, compared = compare(first, second / "summary.json")
    assert (
        lines[0]
        == "3 experiments ran in both; 0 of them are compared pair by pair, 3 as independent samples, 0 not at all."
    )
    paired = compare(first, second)[2]["roberta/lora"]["test"]
    apart = compared["roberta/lora"]["test"]
    assert apart["difference"] == pytest.approx(paired["difference"])
    assert apart["n"] is None
    assert (
        parts["Settings"].text
        == f"Not compared: {second / 'summary.json'} is a summary, without settings; give the results folder."
    )
    assert ["Device", "cpu", "–", "not known"] in parts["What made them"].rows


def test_a_sample_of_the_pairs_is_compared_on_itself(first, tmp_path):
    other = make_results(tmp_path / "demo", only=("roberta/full",), n=100)
    shutil.copytree(other, tmp_path / "large")
    compared = compare(first, tmp_path / "large")[2]
    assert compared["roberta/full"]["test"]["n"] == 100  # a sample of the same pairs
    compared = compare(first, tmp_path / "large", "mismatched")[2]
    assert compared["roberta/full"]["scores"][1]["n"] == 100


def test_verdicts_that_differ_are_listed_with_their_differences(first, second, tmp_path):
    summary = read_json(first / "summary.json")
    claim = next(claim for claim in summary["claims"] if claim["difference"] is not None)
    changed = {**claim, "verdict": "turned", "difference": -0.125}
    write_json(
        tmp_path / "summary.json", {**summary, "claims": [changed if c is claim else c for c in summary["claims"]][:-1]}
    )
    part = compare(first, tmp_path / "summary.json")[1]["Verdicts"]
    assert len(part.rows) == 1
    assert part.rows[0][:2] == [claim["title"], claim["claim"]]
    assert part.rows[0][-1] == "turned (−12.5 points)"
    assert (
        part.text == f"1 of {len(summary['claims']) - 1} claims have another verdict. 1 claim only in one of the two."
    )


def test_settings_that_differ_are_listed_by_key_and_equal_changes_together():
    def study(rate, lora):
        full = {"training": {"learning_rate": rate}, "lora": None}
        return {
            "results": f"results-{rate}",
            "seeds": [42],
            "experiments": {"roberta/full": full, "roberta/lora": {**full, "lora": {"r": lora}}, "icl/a": {"shots": 1}},
        }

    assert different_settings(study(1e-4, 8), {**study(5e-5, 4), "seeds": [1]}) == [
        ("seeds", "[42]", "[1]", ""),
        ("training.learning_rate", "0.0001", "5e-05", "roberta: all 2"),
        ("lora.r", "8", "4", "roberta/lora"),
    ]
    assert different_settings(study(1e-4, 8), {**study(1e-4, 8), "results": "elsewhere"}) == []


def test_long_settings_are_shown_where_they_differ():
    before, after = shown("x" * 300 + "old" + "y" * 300, "x" * 300 + "new" + "y" * 300)
    assert before.startswith("…xxx")
    assert "old" in before
    assert before.endswith("y…")
    assert "new" in after
    assert len(after) == len(before) <= 62


def test_what_made_them_marks_what_differs(first, second, tmp_path):
    shutil.copytree(second, tmp_path / "gpu")
    for path in tmp_path.rglob("run.json"):
        versions = {**read_json(path)["versions"], "torch": "2.14.0"}
        rewrite(path, device="NVIDIA H200", versions=versions)
    rows = compare(first, tmp_path / "gpu")[1]["What made them"].rows
    assert ["Device", "cpu", "NVIDIA H200", "differs"] in rows
    assert ["torch", "2.13.0", "2.14.0", "differs"] in rows
    assert ["transformers", "5.23.0", "5.23.0", ""] in rows


def test_page_is_written_whole_and_its_text_is_data(first, second, tmp_path):
    summary = read_json(second / "summary.json")
    for claim in summary["claims"]:
        claim["verdict"] = "<script>alert(1)</script> {{< include /etc/passwd >}}"
    write_json(tmp_path / "summary.json", summary)
    page = tmp_path / "page" / "compare.html"
    done = run_script("compare.py", first, tmp_path / "summary.json", "--html", page)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == str(page)
    assert "roberta/lora" in done.stdout
    html = page.read_text()
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert(1)" in html
    assert 'src="http' not in html
    assert "<main" in html
    assert html.count("<table") == 3  # without settings
    assert [path.name for path in page.parent.iterdir()] == ["compare.html"]


@pytest.mark.parametrize(
    ("break_it", "said"),
    [
        (lambda folder: "", "a run to compare is missing; give the results folder of a scale"),
        (lambda folder: folder / "none", "none: no such file or folder; give the results folder"),
        (lambda folder: folder.parent, "holds no study.json and no summary.json; give the results folder"),
        (lambda folder: folder / "study.json", "study.json: not a summary of a study"),
        (lambda folder: folder / "roberta/full/seed42/predictions.parquet", "not JSON that can be read"),
        (lambda folder: edited(folder / "summary.json", version=99), "version 99, this code reads"),
        (lambda folder: without_runs(folder), "no experiment has finished"),
        (lambda folder: swapped(folder), "it belongs to roberta/full, seed 42, scale demo, not to roberta/lora"),
        (
            lambda folder: edited(folder / "icl/prompt1/seed42/run.json", device="x").parents[3],
            "edited after it was written",
        ),
    ],
)
def test_what_cannot_be_compared_is_one_line(first, tmp_path, break_it, said):
    folder = tmp_path / "results" / "demo"
    shutil.copytree(first, folder)
    done = run_script("compare.py", first, break_it(folder), "--html", tmp_path / "compare.html")
    assert done.returncode == 1
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "compare.html").exists()


def test_a_split_that_nobody_answered_is_one_line(first, tmp_path):
    done = run_script("compare.py", first, first, "--split", "hans", "--html", tmp_path / "compare.html")
    assert done.returncode == 1
    assert "no experiment of both answered 'hans'" in done.stderr


def edited(path, **changes):
    write_json(path, {**json.loads(path.read_text()), **changes})
    return path


def without_runs(folder):
    for path in folder.rglob("run.json"):
        path.unlink()
    return folder


def swapped(folder):
    shutil.copy(folder / "roberta/full/seed42/predictions.parquet", folder / "roberta/lora/seed42")
    return folder
