"""The first page: what it calls repaired, what it leaves open, and what it says of missing experiments."""

import dataclasses

import pytest
from unit.report_fixtures import ROOT, make_results
from unit.reporting.test_ladders import ladder, rung

from nli.reporting import findings
from nli.reporting.figures.findings import draw_finding
from nli.reporting.results import load_results


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = make_results(tmp_path_factory.mktemp("findings"), n=40)
    (folder / "icl/prompt1/seed42/run.json").unlink()
    paths = ("study.json", ROOT / "report/reported.yaml", "data/description.json")
    return load_results(folder, *(folder / path for path in paths), keep_going=True)


def standing(which, **changes):
    """A rung that stands above chance, below it, or neither."""
    return rung(chance={**rung()["chance"], "standing": which}, **changes)


def failed(*rungs):
    """A ladder whose first rung is not separable from chance."""
    first = standing(
        "no evidence", experiment="roberta/lora", title="LoRA", step=None, expects=None, verdict="no claim"
    )
    return {**ladder(), "rungs": [first, *rungs]}


def test_a_failure_with_a_step_up_to_above_chance_is_repaired_by_the_largest_such_step(results):
    rate = [{"key": "training.learning_rate", "before": 3e-05, "after": 0.01}]
    larger = {**rung()["step"], "difference": 0.2, "clustered_interval": [0.1, 0.3]}
    up, most = standing("above"), standing("above", title="Faster", step=larger, changed=rate)
    assert findings.group(failed(up, most)) == findings.REPAIRED
    assert findings.finding(results, "t", failed(up, most)) == (
        "[T](#sec-ladder-t). *Q?* **LoRA** reaches 60.0% (48.0 to 71.0), not separable from chance; the original "
        "printed 86.77%. **Faster** (learning rate 0.01 instead of 3e-5) is 20.0 points above **LoRA** "
        r"(+10.0 to +30.0; p \< 0.001), at 60.0%. Evidence: very strong."
    )


@pytest.mark.parametrize(
    "step",
    [
        standing("no evidence"),  # higher, but not above chance
        standing("above", step={**rung()["step"], "p_holm": 0.06}),
        standing("above", step={**rung()["step"], "difference": -0.1}),
        standing("above", step={**rung()["step"], "same_answers": True}),
    ],
)
def test_a_failure_without_such_a_step_is_not_called_repaired(results, step):
    assert findings.group(failed(step)) == findings.OTHER
    assert "No step of this ladder repairs that." in findings.finding(results, "t", failed(step))


def test_a_ladder_that_starts_above_chance_shows_its_largest_step(results):
    text = findings.finding(results, "t", ladder(rung()))
    assert findings.group(ladder(rung())) == findings.OTHER
    assert "repairs" not in text
    assert "**Full** is 10.0 points above **LoRA**" in text


def test_a_ladder_of_which_one_rung_ran_answers_nothing(results):
    alone = ladder(rung(scores=None, step=None, status="not run"))
    assert findings.group(alone) == findings.UNTESTED
    assert findings.finding(results, "t", alone).endswith("1 of 2 rungs ran.")


def test_what_failed_is_named_with_the_reason(results):
    reason = "icl/prompt1/seed42/run.json: no such file; run the rule that creates it"
    assert findings.missing(results) == f"**What is missing**\n\n- Failed: **Prompt 1** ({reason})."
    done = {key: each for key, each in results.experiments.items() if each.status == "done"}
    assert findings.missing(dataclasses.replace(results, experiments=done)) == "Every experiment of this run finished."


@pytest.mark.parametrize(
    ("p", "word"), [(0.0009, "very strong"), (0.001, "strong"), (0.01, "moderate"), (0.049, "moderate")]
)
def test_evidence_has_the_word_for_its_p(p, word):
    assert findings.strength(p) == word


def test_a_picture_shows_the_rungs_that_its_finding_names(results):
    up = {**rung()["step"], "from": 1, "difference": 0.2}
    three = failed(standing("no evidence"), standing("above", title="Faster", step=up))
    assert findings.rungs_shown(three) == [0, 1, 2]
    shown = findings.with_picture("t_u", three, "Text.")
    assert shown.startswith(
        "::: {.finding}\n![T, accuracies: LoRA 60%, Full 60%, Faster 60%, chance 35%](figures/finding-t-u.svg) "
    )
    axes = draw_finding(three, "0.8677").axes[0]
    dots = [(line.get_marker(), line.get_xydata().tolist()) for line in axes.lines if line.get_marker() != "None"]
    assert dots == [("D", [[86.77, 0.0]]), ("o", [[60.0, 0.0]]), ("o", [[60.0, 1.0]]), ("o", [[60.0, 2.0]])]
    assert [text.get_text() for text in axes.texts] == ["60", "60", "60"]
    beyond = draw_finding(three, "0.75").axes[0].texts  # the original's mark stands where the number would
    assert beyond[0].get_position()[0] > 75 > beyond[1].get_position()[0]
    silent = ladder(rung(scores=None, step=None, status="not run"))
    silent["rungs"][0]["scores"] = None
    assert findings.with_picture("t", silent, "Text.") == "Text."
