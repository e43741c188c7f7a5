"""Ladders from the configuration to the report: what is refused, and sentences that depend on the numbers."""

import copy
import json
import re

import numpy as np
import pytest
import yaml
from unit.report_fixtures import ROOT, load, make_results, make_run, measure

from nli.base.errors import StudyError
from nli.reporting import prose
from nli.reporting.figures.ladders import in_two_lines, matrices
from nli.reporting.figures.registry import make_figures
from nli.reporting.markup import escape
from nli.reporting.original_scores import printed_scores
from nli.reporting.tables import ladders, overview
from nli.reporting.tables.registry import make_tables
from nli.study.resolve import load_study

FIRST = {"experiment": "roberta/lora", "claim": "LoRA learns the task.", "expects": "above_chance"}
SECOND = {
    "experiment": "roberta/full",
    "against": "roberta/lora",
    "claim": "Full fine-tuning learns more.",
    "expects": "higher",
    "together": ["method", "lora"],
}


@pytest.fixture(scope="module")
def config():
    return yaml.safe_load((ROOT / "config.yaml").read_text())


def with_ladder(config, *rungs, **keys):
    ladder = {"title": "A new ladder", "question": "What is new?", "rungs": list(rungs), **keys}
    return {**copy.deepcopy(config), "ladders": {"new_one": ladder}}


def test_a_ladder_is_added_by_config_alone(config, tmp_path):
    make_results(tmp_path, n=120)
    study = load_study(with_ladder(config, FIRST, SECOND))
    (tmp_path / "study.json").write_text(json.dumps(study.model_dump(mode="json")))
    measure(tmp_path)
    results = load(tmp_path)
    make_tables(results, tmp_path / "tables")
    made = make_figures(results, tmp_path / "figures")
    assert "ladder-new-one" in [path.stem for path in made]
    text = (tmp_path / "tables/ladders.md").read_text()
    assert "## A new ladder {#sec-ladder-new-one}" in text
    assert "{{< include figures/ladder-new-one.md >}}" in text
    assert "full fine-tuning instead of LoRA" in (tmp_path / "tables/ladder-numbers.md").read_text()
    assert "Prompt tuning" not in text  # the study's own ladders are gone, and nothing else names them


def test_the_ladder_of_the_docs_is_taken_as_it_stands_there(config):
    blocks = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/adding.md").read_text(), flags=re.DOTALL)
    shown = next(yaml.safe_load(block) for block in blocks if "ladders:" in block)
    experiments = {**config["experiments"], **shown["experiments"]}
    study = load_study({**copy.deepcopy(config), "experiments": experiments, "ladders": shown["ladders"]})
    assert [rung.experiment for rung in study.ladders["rank"].rungs] == ["roberta/lora", "roberta/lora_rank32"]
    assert study.experiments["roberta/lora_rank32"].lora.r == 32


@pytest.mark.parametrize(
    ("rungs", "keys", "message"),
    [
        ([FIRST, {**SECOND, "experiment": "roberta/ful"}], {}, "did you mean 'roberta/full'"),
        ([FIRST, {**SECOND, "scorer": "first_label"}], {}, "unknown name 'first_label'"),
        ([FIRST, {**SECOND, "expects": "better"}], {}, "expects"),
        ([FIRST, {"experiment": "roberta/full", "claim": "No expectation."}], {}, "needs the key 'expects'"),
        ([SECOND, FIRST], {}, "the first rung has no earlier one"),
        ([FIRST], {}, "at least 2"),
        ([FIRST, {**FIRST, "expects": "higher", "against": "roberta/lora"}], {}, "is compared with itself"),
        ([FIRST, FIRST], {}, "repeats an earlier rung's claim about the same answers"),
        ([FIRST, {**SECOND, "against": "roberta/head_only"}], {}, "no earlier rung of 'roberta/head_only' matches"),
        ([FIRST, {**SECOND, "against": None}], {}, "needs the key 'against'"),
        ([FIRST, {**SECOND, "against": 1}], {}, "against"),
        ([FIRST, {**SECOND, "experiment": "icl/prompt1"}], {"split": "mismatched"}, "does not answer"),
        ([FIRST, {**SECOND, "clame": "x"}], {}, "did you mean 'claim'"),
        ([FIRST, SECOND], {"shows": ["roberta/head_only"]}, "shows: no rung is 'roberta/head_only'"),
    ],
)
def test_a_ladder_that_cannot_be_is_refused_by_name(config, rungs, keys, message):
    with pytest.raises(StudyError, match=r"ladders\.new_one") as error:
        load_study(with_ladder(config, *rungs, **keys))
    assert message in str(error.value)


def rung(**changes):
    """A rung as in ladders.json: 60 of 100 right, 10 points above rung 1, significant."""
    scores = {"n": 100, "accuracy": 0.6, "interval": [0.5, 0.69], "clustered_interval": [0.48, 0.71]}
    scores |= {"top_share": 0.4, "parsed": 100, "classes": 3, "answers": {"entailment": 40, "neutral": 30}}
    seeds = {"values": {"1": 0.1}, "mean": 0.1, "sd": None}
    step = {"from": 0, "n": 100, "difference": 0.1, "interval": [0.02, 0.18], "p": 0.0004, "p_holm": 0.0008}
    step |= {"clustered_interval": [0.01, 0.19], "clustered_p": 0.0004, "design_effect": 1.2}
    test = {"n": 100, "difference": 0.25, "p_holm": 0.002, "standing": "above", "worst": 0.31}
    test["clustered_interval"] = [-0.02, 0.03]
    return {
        "experiment": "roberta/full",
        "title": "Full",
        "scorer": None,
        "counted": "all",
        "status": "done",
        "problem": "",
        "claim": "It helps.",
        "expects": "higher",
        "against": {"experiment": "roberta/lora", "scorer": None, "counted": "all"},
        "from": 0,
        "scores": scores,
        "seeds": {"values": {"1": 0.6}, "mean": 0.6, "sd": None},
        "audit": None,
        "changed": [],
        "chance": {**test, "label": "neutral", "accuracy": 0.35},
        "hypothesis_only": test,
        "verdict": "supported",
        "step": {**step, "same_answers": False, "seeds": seeds},
        **changes,
    }


def ladder(*rungs):
    first = rung(experiment="roberta/lora", title="LoRA", step=None, expects=None, verdict="no claim")
    level = {"label": "neutral", "accuracy": 0.35}
    return {
        "title": "T",
        "question": "Q?",
        "shows": [],
        "split": "matched",
        "n": 100,
        "chance": level,
        "baselines": [],
        "rungs": [first, *rungs],
    }


def test_a_ladder_states_its_claims_and_their_tally_once():
    near = rung(claim="As good.", expects="no_difference", margin=0.05, verdict="no evidence")
    stated = ladder(rung(), near)
    stated["rungs"][0]["claim"] = None
    assert ladders.claims(stated) == (
        "The rungs claim: **2**\N{NO-BREAK SPACE}*It helps.* **3**\N{NO-BREAK SPACE}*As good.* (margin: 5 points)"
    )
    assert ladders.tally(stated) == "Of 2 claims: 1 supported and 1 without evidence."
    text = ladders.section("t", stated)
    assert [text.count(words) for words in ("It helps.", "Q?", "figures/ladder-t.md")] == [1, 1, 1]
    assert "It helps." not in ladders.measures(stated, "tbl-t") + ladders.reasons(stated, "tbl-t-changes")


def row(text, title):
    """The cells of the row whose first cell ends with a title."""
    return next(cells for cells in (line.split(" | ") for line in text.splitlines()) if cells[0].endswith(title))


def test_a_table_has_the_numbers_of_a_rung_and_its_verdict():
    cells = row(ladders.measures(ladder(rung()), "tbl-t"), "Full")
    assert cells[1:4] == ["100", "60.00", "48.0 to 71.0"]
    assert cells[4:] == ["+10.0", "+1.0 to +19.0", r"\< 0.001", r"\< 0.001", r"\< 0.001", "1.20", "supported |"]


def test_a_rung_that_failed_says_so():
    failed = rung(scores=None, step=None, status="failed", problem="out of memory", verdict="not tested")
    cells = row(ladders.measures(ladder(failed), "tbl-t"), "Full")
    assert cells[2] == "*failed*"
    assert cells[-1] == "not tested |"


def test_a_question_is_followed_by_what_its_experiments_answer():
    twice = rung(experiment="roberta/lora", title="LoRA", scorer="first_label", claim="c")
    seen = ladder(twice, rung())
    assert ladders.shown(seen) == "In this run **LoRA** answers with 3 of 2 labels (entailment 40%)."
    assert "**Full** answers" in ladders.shown({**seen, "shows": ["roberta/full"]})
    silent = ladder(rung())
    silent["rungs"][0]["scores"] = None
    assert ladders.shown(silent) == "In this run **LoRA** has no answers to judge."


def test_a_table_says_where_a_rung_stands_against_chance_and_by_how_much():
    unsure = {**rung()["chance"], "standing": "no evidence"}
    text = ladders.reasons(ladder(rung(), rung(title="Other", chance=unsure, hypothesis_only=None)), "tbl-t")
    assert row(text, "Full")[4:6] == ["above: +25.0 (−2.0 to +3.0)"] * 2
    assert row(text, "Other")[4:6] == ["+25.0 (−2.0 to +3.0)", "–"]


def test_the_spread_over_seeds_and_other_seeds_stand_beside_the_difference():
    several = rung(seeds={"values": {"1": 0.6, "2": 0.6}, "mean": 0.6, "sd": 0.0})
    seeds = {"values": {"1": 0.1, "2": 0.2}, "mean": 0.15, "sd": 0.0707}
    several = {**several, "step": {**several["step"], "seeds": seeds}}
    before = rung(title="Before", step=None, seeds=several["seeds"])
    text = ladders.measures({**ladder(), "rungs": [before, several]}, "tbl-t")
    assert row(text, "Full")[4] == "+10.0 (SD 7.1)"
    other = rung(seeds={"values": {"1": 0.6, "2": 0.7}, "mean": 0.65, "sd": 0.07})
    assert row(ladders.measures(ladder(other), "tbl-t"), "Full")[4] == "+10.0 (seeds 1)"


def test_answers_of_which_none_names_a_label_are_said_to_name_none():
    silent = rung(scores={**rung()["scores"], "n": 0, "accuracy": None}, step=None, verdict="not tested")
    assert row(ladders.measures(ladder(silent), "tbl-t"), "Full")[2] == "*no answer names a label*"


def test_only_an_origin_leaves_its_runs_in_the_report(config, tmp_path):
    make_results(tmp_path, n=60)
    study = load_study(config, {"only": ["reported"]}).model_dump(mode="json")
    (tmp_path / "study.json").write_text(json.dumps(study))
    experiments = load(tmp_path).experiments
    done = {key for key, experiment in experiments.items() if experiment.status == "done"}
    assert done == {key for key, spec in study["experiments"].items() if spec["origin"] == "reported"}


def test_report_credits_the_earlier_one_with_the_scores_that_it_printed(tmp_path):
    scores = printed_scores(load(make_results(tmp_path, n=60)))
    # RoBERTa: full and LoRA on two splits, prompt tuning on one; five prompts; attempt 1 twice, 2 and 3; linear head
    assert len(scores) == len(set(scores)) == 2 + 2 + 1 + 5 + 2 + 1 + 1 + 1


def test_audit_names_parts_and_counts_only_where_a_gradient_is_missing():
    parts = [
        {"part": "prompt", "trainable": 1, "with_gradient": 0},
        {"part": "head", "trainable": 4, "with_gradient": 4},
    ]
    assert ladders.audit(parts) == "prompt (0 of 1), head"
    assert ladders.audit(None) == "–"


def test_changes_that_two_lines_cannot_hold_are_counted():
    assert in_two_lines(["a: 1 → 2", "b: 3 → 4"]) == "a: 1 → 2; b: 3 → 4"
    text = in_two_lines(["k" * 40, "l" * 40, "m" * 40, "n" * 40])
    assert text.splitlines()[1] == "l" * 40 + "; and 2 more"


def test_matrix_holds_row_minus_column():
    differences, adjusted = matrices(["a", "b"], [{"first": "a", "second": "b", "difference": 0.25, "p_holm": 0.01}])
    assert (differences[1, 0], differences[0, 1]) == (25, -25)  # b is 25 points above a
    assert adjusted[0, 1] == adjusted[1, 0] == 0.01


def test_two_methods_are_compared_whichever_comes_first(tmp_path):
    results = load(make_results(tmp_path, n=120))
    down = prose.gap(results, "roberta/full", "roberta/top_layers")
    up = prose.gap(results, "roberta/top_layers", "roberta/full")
    assert "**Top layers** is" in down
    assert "points below **Full fine-tuning** on 120 pairs" in down
    assert "points above **Top layers** on 120 pairs" in up
    assert ", Holm over all pairs of experiments)." in up
    assert prose.gap(results, "roberta/full", "roberta/none") == ""


def test_a_comparison_that_a_ladder_makes_has_the_ladder_s_p_in_every_sentence(tmp_path):
    results = load(make_results(tmp_path, n=120))
    (step,) = [
        rung["step"]
        for rung in results.ladders["ladders"]["lora"]["rungs"]
        if rung["experiment"] == "roberta/lora" and rung["step"]
    ]
    text = prose.gap(results, "roberta/full", "roberta/lora")
    assert f"({ladders.p_equation(step['p_holm'])}, Holm over the ladder *LoRA*)" in text


def test_all_results_and_ladder_say_the_same_of_chance(tmp_path):
    results = load(make_results(tmp_path, n=120))
    rungs = [rung for ladder in results.ladders["ladders"].values() for rung in ladder["rungs"]]
    own = [rung for rung in rungs if rung["scorer"] is None and rung["counted"] == "all" and rung["scores"]]
    assert len(own) > 10
    text = overview.all_results(results)
    for each in own:
        assert row(text, f"| {escape(results.experiments[each['experiment']].title)}")[-1].startswith(
            ladders.stands(each["chance"])
        )


def test_with_several_seeds_every_table_and_sentence_gives_the_mean(config, tmp_path):
    make_results(tmp_path, n=120)
    rng = np.random.default_rng(5)
    study = load_study(config, {"seeds": [1, 2, 3]}).model_dump(mode="json")
    (tmp_path / "study.json").write_text(json.dumps(study))
    keys = ("roberta/full", "roberta/lora", "baseline/hypothesis_only")
    for key in keys:
        for seed in study["seeds"]:
            make_run(tmp_path / key / f"seed{seed}", key, study["experiments"][key], "demo", 120, rng)
    measure(tmp_path)
    results = load(tmp_path)
    experiment = results.experiments["roberta/lora"]
    each = [run.metrics["results"]["matched"]["classifier"]["accuracy"] for run in experiment.runs]
    assert len(set(each)) > 1
    mean = f"{100 * sum(each) / 3:.2f}"
    (row,) = [line for line in overview.all_results(results).splitlines() if line.startswith("| LoRA |")]
    assert row.split(" | ")[2] == mean
    rungs = {rung["experiment"]: rung for rung in results.ladders["ladders"]["lora"]["rungs"]}
    assert f"{100 * rungs['roberta/lora']['scores']['accuracy']:.2f}" == mean
    low, high = experiment.scores()["clustered_interval"]
    assert row.split(" | ")[4] == f"{100 * low:.1f} to {100 * high:.1f}"
    assert experiment.scores()["confusion"] == experiment.first.metrics["results"]["matched"]["classifier"]["confusion"]
