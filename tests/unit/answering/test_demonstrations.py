"""Worked examples: drawn from train, one of each class, with the order as the only difference."""

import pandas as pd
import pytest

from nli.answering.demonstrations import draw_examples
from nli.answering.pairs import question_of
from nli.base.errors import StudyError
from nli.study.resolve import load_study
from nli.study.specs import prediction_spec


def test_three_shots_hold_each_class_once_and_orders_differ_in_order_alone(rows):
    drawn = [draw_examples(rows, 3, order, seed=7) for order in range(3)]
    assert [example["label"] for example in drawn[0]] == ["entailment", "neutral", "contradiction"]
    assert [example["label"] for example in drawn[2]] == ["contradiction", "entailment", "neutral"]
    assert all(sorted(map(str, other)) == sorted(map(str, drawn[0])) for other in drawn)


def test_examples_are_the_seeds_and_come_from_the_given_rows(rows):
    pairs = set(zip(rows["premise"], rows["hypothesis"], strict=True))
    draws = {str(draw_examples(rows, 3, 0, seed)) for seed in range(20)}
    assert len(draws) > 1
    assert draw_examples(rows, 3, 0, 5) == draw_examples(rows, 3, 0, 5)
    assert all((e["premise"], e["hypothesis"]) in pairs for e in draw_examples(rows, 6, 1, 3))


def test_draws_share_no_pair_and_keep_theirs_in_every_order():
    rows = pd.DataFrame({"premise": [f"p{i}" for i in range(36)], "hypothesis": "h", "label": [0, 1, 2] * 12})
    drawn = {
        (draw, order): {e["premise"] for e in draw_examples(rows, 3, order, 7, draw)}
        for draw in range(3)
        for order in range(3)
    }
    assert all(drawn[draw, order] == drawn[draw, 0] for draw, order in drawn)
    assert len(drawn[0, 0] | drawn[1, 0] | drawn[2, 0]) == 9
    four = [e["premise"] for draw in range(3) for e in draw_examples(rows, 4, 0, 7, draw)]  # two pairs of one class
    assert len(set(four)) == 12
    with pytest.raises(StudyError, match="too few pairs of the class entailment for 3 shots in draw 13"):
        draw_examples(rows, 3, 0, 7, draw=12)


def test_draws_go_with_a_prompt_that_draws(config):
    stated = {**config["experiments"], "icl/prompt1": {**config["experiments"]["icl/prompt1"], "draws": 2}}
    with pytest.raises(StudyError, match=r"experiments\.icl/prompt1\.draws: 'prompt1' draws no examples"):
        load_study({**config, "experiments": stated})


def test_split_without_a_class_is_refused(rows):
    with pytest.raises(StudyError, match="too few pairs of the class neutral"):
        draw_examples(rows[rows["label"] != 1], 3, 0, seed=0)


def test_drawn_examples_stand_before_the_pair_with_their_answers(demo_study, rows):
    spec = prediction_spec(demo_study, "icl/shots3_order1")
    text = question_of(spec, rows, seed=1).ask("P.", "H.")
    shots = text.split("\n\n")
    answers = [shot.rsplit(" ", 1)[1] for shot in shots[:3]]
    assert answers == ["Neutral", "Contradiction", "Entailment"]
    zero = question_of(prediction_spec(demo_study, "icl/prompt1")).ask("P.", "H.")
    assert shots[3] == zero
    assert all(shot.startswith("NIL Task : premise: ") for shot in shots)


@pytest.mark.parametrize("number", [2, 3])
def test_reversed_prompt_and_its_repair_differ_in_direction_alone(demo_study, number):
    ask = {
        name: question_of(prediction_spec(demo_study, f"icl/{name}")).ask("PREMISE", "HYPOTHESIS").split("\n")[-1]
        for name in (f"prompt{number}", f"prompt{number}_direction")
    }
    reported, repaired = ask.values()
    assert "PREMISE follow logically from the HYPOTHESIS" in reported
    assert "HYPOTHESIS follow logically from the PREMISE" in repaired
    swapped = reported.replace("PREMISE", "X").replace("HYPOTHESIS", "PREMISE").replace("X", "HYPOTHESIS")
    assert repaired == swapped
