"""What the original's accuracies can show, checked with fractions and intervals worked out by hand."""

import pytest
import yaml
from unit.report_fixtures import ROOT

from nli.measure.paired import mid_p_interval
from nli.reporting.original_scores import (
    chance_level,
    epoch_cell,
    explained,
    judge,
    reported_cell,
    rounding_to,
    verdict,
)
from nli.reporting.results import reported_accuracy


@pytest.fixture(scope="module")
def reported():
    return yaml.safe_load((ROOT / "report/reported.yaml").read_text())


def test_fractions_are_those_that_round_to_what_was_printed():
    # 12/35 = 0.342857, 24/70, 36/105: multiples; 37/108 = 0.34259 and 35/102 = 0.34314 round to something else.
    assert rounding_to("0.3429", 1, 110) == [(12, 35), (24, 70), (36, 105)]
    assert rounding_to("0.5125", 1, 160) == [(41, 80), (82, 160)]
    assert rounding_to("about 0.30", 1, 10) == [(3, 10)]
    assert rounding_to("0.8775343861436576", 9815, 9815) == [(8613, 9815)]
    assert rounding_to("0.354457", 9815, 9815) == [(3479, 9815)]
    assert rounding_to("0.3500", 9815, 9815) == [(3435, 9815)]  # 0.349975 rounds to 0.3500
    assert rounding_to("0.3500", 3, 3) == []
    assert rounding_to("about 0.30", 200, 200) == [(59, 200), (60, 200), (61, 200)]  # 0.295 to 0.305


def test_chance_is_the_best_constant_answer(reported):
    assert chance_level(reported) == 3479 / 9815


@pytest.mark.parametrize(
    ("right", "n", "expected"),
    [
        (25, 53, "same as chance"),  # mid-p 0.08
        (50, 106, "differs"),  # 0.014
        (91, 229, "same as chance"),  # 0.18
        (116, 243, "differs"),
        (2, 200, "differs"),  # below chance also differs from chance
    ],
)
def test_the_mid_p_decides_and_its_interval_agrees(reported, right, n, expected):
    chance = chance_level(reported)
    assert verdict(right, n, chance) == expected
    low, high = mid_p_interval(right, n)
    assert (low <= chance <= high) == (expected == "same as chance")


@pytest.mark.parametrize(
    ("key", "scorer", "fraction", "count", "expected"),
    [
        ("roberta/full", None, (8613, 9815), 1, "differs"),
        ("roberta/prompt_tuning", None, (3479, 9815), 1, "same as chance"),
        ("icl/prompt1", None, (25, 53), 4, "open"),  # 25/53 may be chance, 100/212 is not
        ("icl/prompt2", None, (116, 243), 1, "differs"),
        ("icl/prompt3", None, (91, 229), 1, "same as chance"),
        ("qlora/attempt1", "most_frequent_label", (111, 206), 4, "differs"),
        ("qlora/attempt1", "first_label", (3, 10), 315, "same as chance"),
        ("qlora/attempt2", None, (4, 11), 22, "same as chance"),
        ("qlora/attempt3", None, (41, 80), 3, "differs"),
        ("linear_head/first_token", None, (12, 35), 7, "same as chance"),
    ],
)
def test_verdict_on_the_reported_scores(reported, key, scorer, fraction, count, expected):
    judged = judge(reported, key, scorer=scorer)
    assert judged.fractions[0] == fraction
    assert len(judged.fractions) == count
    assert judged.verdict == expected


def test_interval_is_that_of_the_fewest_examples(reported):
    judged = judge(reported, "icl/prompt1")
    assert judged.interval == tuple(mid_p_interval(25, 53))
    # Twice the binomial probabilities, with 3479/9815, of 26 to 53, and once that of 25: in exact fractions.
    assert judged.p == pytest.approx(0.0810533279)


def test_what_was_not_printed_is_not_judged(reported):
    assert judge(reported, "qlora/attempt1_label_loss") is None
    assert judge(reported, "roberta/prompt_tuning", "mismatched") is None
    assert reported_cell(reported, "roberta/prompt_tuning", "mismatched") == "–"


@pytest.mark.parametrize(
    ("key", "scorer"),
    [("icl/prompt3", "label_logp"), ("icl/prompt3", "calibrated_logp"), ("qlora/attempt2", "label_logp")],
)
def test_a_way_of_judging_that_the_report_did_not_use_has_no_reported_accuracy(reported, key, scorer):
    assert reported_accuracy(reported, key, scorer=scorer) is None
    assert reported_accuracy(reported, key, scorer=None) is not None


def test_a_printed_value_that_no_fraction_gives_is_not_judged(reported):
    broken = {**reported, "data": {**reported["data"], "splits": {"validation_matched": 7}}}
    assert judge(broken, "roberta/full") is None


def test_marks_stand_beside_the_printed_values_and_are_explained(reported):
    assert reported_cell(reported, "roberta/full") == "87.75"
    assert reported_cell(reported, "roberta/prompt_tuning") == "35.45†"
    assert reported_cell(reported, "icl/prompt1") == "47.17‡"
    assert reported_cell(reported, "qlora/attempt1", scorer="first_label") == "about 30†"
    assert epoch_cell(reported, "0.354457") == "35.45†"
    assert epoch_cell(reported, "0.840652") == "84.07"
    assert "not separable from chance" in explained("C.", [["35.45†"]])
    assert explained("C.", [["87.75"]]) == "C."
