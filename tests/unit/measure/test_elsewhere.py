"""Robustness: the hard part of the matched pairs, further sets, paired tests on each, and labels in a wrong order."""

import numpy as np
import pandas as pd
import pytest

from nli.measure.answers import Answers
from nli.measure.elsewhere import exchanged, measure_elsewhere

LABELS = np.array(["entailment", "neutral", "contradiction"], dtype=object)
SETS = {
    "matched": {"title": "Matched", "role": "validation", "source": "validation_matched"},
    "mismatched": {"title": "Mismatched", "role": "validation", "source": "validation_mismatched"},
    "tune": {"title": "Tuning", "role": "tuning", "source": "train"},
    "hans": {"title": "HANS", "role": "validation", "source": {"path": "hans.txt", "labels": {}}},
}


def rows(split, right, seed=0, genres=("",)):
    """Rows of one split, right where `right` is, and else wrong by one of the other labels."""
    n = len(right)
    gold = np.tile(LABELS, n // 3)
    wrong = np.where(np.random.default_rng(seed).random(n) < 0.5, np.roll(gold, 1), np.roll(gold, 2))
    return pd.DataFrame(
        {
            "split": split,
            "scorer": "classifier",
            "pair_id": [f"{split}-{i}" for i in range(n)],
            "premise_id": [f"{split}-p{i // 3}" for i in range(n)],
            "genre": [genres[i // 3 % len(genres)] for i in range(n)],
            "gold": gold,
            "pred": np.where(right, gold, wrong),
        }
    )


def chance(share, n=900, seed=0):
    return np.random.default_rng(seed).random(n) < share


def measured(**frames):
    """`measure_elsewhere` of roberta/a, roberta/b and the hypothesis-only baseline, each {split: right}."""
    specs = {f"roberta/{key}": {"family": "roberta", "method": "full"} for key in ("a", "b")}
    specs["baseline/hypothesis_only"] = {"family": "baseline", "method": "hypothesis_only"}
    answers = dict.fromkeys(specs, Answers("not run"))
    for key, splits in frames.items():
        frame = pd.concat([rows(split, right, genres=("x", "y")) for split, right in splits.items()])
        answers["baseline/hypothesis_only" if key == "baseline" else f"roberta/{key}"] = Answers("done", "", {1: frame})
    study = {"experiments": specs, "data": {"sets": SETS}, "evaluation": {"compared": ["roberta/a", "roberta/b"]}}
    return measure_elsewhere(study, answers, dict.fromkeys(specs, "classifier"))


def test_hard_pairs_are_those_that_the_hypothesis_only_classifier_gets_wrong():
    guessed, right = chance(0.5, seed=1), chance(0.8, seed=2)
    found = measured(a={"matched": right}, baseline={"matched": guessed})
    assert list(found) == ["hard"]
    assert found["hard"]["n"] == int((~guessed).sum())
    assert found["hard"]["accuracies"]["roberta/a"]["value"] == pytest.approx(right[~guessed].mean())


def test_experiments_that_are_level_on_matched_pairs_are_told_apart_where_they_differ():
    same = chance(0.8, seed=3)
    found = measured(
        a={"matched": same, "mismatched": chance(0.8, seed=4), "hans": chance(0.8, seed=5)},
        b={"matched": same, "mismatched": chance(0.8, seed=4), "hans": chance(0.6, seed=6)},
    )
    (pair,) = found["hans"]["pairs"]
    assert (pair["first"], pair["second"]) == ("roberta/a", "roberta/b")
    assert pair["difference"] == pair["excess"] == pytest.approx(-0.2, abs=0.06)
    assert pair["p_holm"] < 0.001
    assert pair["on_matched"]["difference"] == 0
    low, high = pair["excess_interval"]
    # Two independent answers, 0.8 and 0.6 of 900: a standard error of sqrt((0.16 + 0.24) / 900) = 0.021.
    assert (high - low) / 2 == pytest.approx(1.96 * 0.021, rel=0.25)
    (level,) = found["mismatched"]["pairs"]
    assert (level["difference"], level["p_holm"]) == (0, 1)


def test_the_excess_on_the_hard_pairs_is_zero_where_difficulty_changes_nothing():
    guessed = chance(0.5, seed=1)
    shift = {"a": chance(0.6, seed=7), "b": chance(0.8, seed=8)}
    found = measured(**{key: {"matched": right} for key, right in shift.items()}, baseline={"matched": guessed})
    (pair,) = found["hard"]["pairs"]
    change = shift["b"].astype(float) - shift["a"]
    assert pair["excess"] == pytest.approx(change[~guessed].mean() - change.mean())
    assert pair["excess_interval"][0] < 0 < pair["excess_interval"][1]


def test_sets_of_their_own_rows_are_broken_down_by_genre_and_label():
    found = measured(a={"matched": chance(0.8), "hans": np.tile([True, True, False], 300)})
    groups = found["hans"]["groups"]
    assert [(g["genre"], g["gold"], g["n"]) for g in groups][:2] == [
        ("x", "contradiction", 150),
        ("x", "entailment", 150),
    ]
    assert [g["accuracies"]["roberta/a"] for g in groups] == [0, 1, 1, 0, 1, 1]
    assert "tune" not in found


@pytest.mark.parametrize(
    ("share", "order", "caught"),
    [
        (0.7, ["neutral", "entailment", "contradiction"], True),  # two labels exchanged
        (0.7, ["entailment", "neutral", "contradiction"], False),  # the right order
        (0.34, ["neutral", "entailment", "contradiction"], False),  # a model at chance shows nothing
    ],
)
def test_labels_in_a_wrong_order_are_caught_by_a_model_that_knows_the_task(share, order, caught):
    frame = rows("hans", chance(share, seed=9))
    frame["gold"] = frame["gold"].map(dict(zip(LABELS, order, strict=True)))
    found = exchanged({"roberta/a": {1: frame}})
    assert bool(found) is caught
    if caught:
        assert found[0]["order"] == {"entailment": "neutral", "neutral": "entailment"}
        assert found[0]["reordered"] == pytest.approx(0.7, abs=0.05)
        assert found[0]["accuracy"] < 0.4


def test_a_model_that_always_gives_one_label_catches_nothing():
    frame = rows("hans", chance(0.5)).assign(pred="entailment")
    frame["gold"] = np.where(frame["gold"] == "contradiction", "neutral", frame["gold"])
    assert exchanged({"roberta/a": {1: frame}}) == []
