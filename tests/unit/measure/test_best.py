"""The best of a method: chosen on the tuning pairs alone, compared on the pairs that both sides answered."""

import numpy as np
import pandas as pd
import pytest

from nli.base.errors import StudyError
from nli.measure.answers import Answers
from nli.measure.best import measure_best
from nli.study.resolve import load_study

GOLD = np.tile(["entailment", "neutral", "contradiction"], 20)
STATED = {
    "title": "Method",
    "as_reported": "a/reported",
    "candidates": ["a/one", "a/two"],
    "scorer": None,
    "split": "matched",
    "published": None,
}


def answers(scorer="classifier", seeds=(1,), **right):
    """An experiment with so many right answers, of 60, on each split."""
    frames = {}
    for seed in seeds:
        parts = []
        for split, number in right.items():
            pred = np.where(np.arange(60) < number, GOLD, np.roll(GOLD, 1))
            names = [f"{split} {i}" for i in range(60)]
            columns = {"pair_id": names, "premise_id": names, "gold": GOLD, "pred": pred}
            parts.append(pd.DataFrame({"split": split, "scorer": scorer, **columns}))
        frames[seed] = pd.concat(parts, ignore_index=True)
    return Answers("done", frames=frames)


def measure(given, **changes):
    stated = {**STATED, **changes}
    return measure_best({"best": {"method": stated}}, given, dict.fromkeys(given, "classifier"))["method"]


def test_the_tuning_pairs_choose_whatever_the_validation_pairs_say():
    found = measure(
        {
            "a/reported": answers(matched=20),
            "a/one": answers(matched=50, tune=30),
            "a/two": answers(matched=40, tune=31),
        }
    )
    assert found["chosen"] == "a/two"
    assert found["best"]["accuracy"] == pytest.approx(40 / 60)
    assert found["reported"]["accuracy"] == pytest.approx(20 / 60)
    assert found["difference"]["difference"] == pytest.approx(20 / 60)
    assert [round(60 * each["accuracy"]) for each in found["candidates"]] == [30, 31]
    assert found["n"] == 60


def test_of_equals_the_first_is_chosen_and_one_that_did_not_run_is_not():
    found = measure(
        {"a/reported": answers(matched=20), "a/one": answers(matched=9, tune=30), "a/two": answers(matched=8, tune=30)}
    )
    assert found["chosen"] == "a/one"
    found = measure(
        {"a/reported": answers(matched=20), "a/one": Answers("failed"), "a/two": answers(matched=9, tune=1)}
    )
    assert found["chosen"] == "a/two"
    assert found["candidates"][0] == {"experiment": "a/one", "accuracy": None}


def test_without_candidates_or_without_the_reported_experiment_there_is_no_difference():
    nothing = measure({"a/reported": answers(matched=20), "a/one": Answers("failed"), "a/two": Answers("failed")})
    assert (nothing["chosen"], nothing["best"]["accuracy"], nothing["difference"]) == (None, None, None)
    alone = measure({"a/reported": Answers("failed"), "a/one": answers(matched=9, tune=1), "a/two": Answers("failed")})
    assert (alone["chosen"], alone["reported"]["accuracy"], alone["difference"]) == ("a/one", None, None)
    assert alone["best"]["accuracy"] == pytest.approx(9 / 60)


def test_both_sides_have_the_scorer_that_is_named_and_seeds_that_both_sides_have():
    given = {
        "a/reported": answers(scorer="label_logp", matched=20, seeds=(1, 2)),
        "a/one": answers(scorer="label_logp", matched=30, tune=30, seeds=(1,)),
        "a/two": answers(scorer="label_logp", matched=20, tune=20, seeds=(1,)),
    }
    found = measure(given, scorer="label_logp")
    assert found["chosen"] == "a/one"
    assert list(found["difference"]["seeds"]["values"]) == ["1"]


def test_candidates_answer_the_tuning_pairs_and_a_core_study_has_none(config):
    study = load_study({**config, "rungs": "all"})
    for best in study.best.values():
        assert all("tune" in study.experiments[key].evaluation.splits for key in best.candidates)
        assert all(study.experiments[key].extra for key in best.candidates)
    assert load_study({**config, "rungs": "core"}).best == {}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"candidates": ["roberta/nothing"]}, "best.full: unknown name 'roberta/nothing'"),
        ({"as_reported": "icl/prompt1", "scorer": "parsed"}, "best.full.scorer: "),
        ({"split": "hans"}, "does not answer 'hans'"),
        ({"split": "tune"}, "best.full.split: 'tune' chooses"),
        ({"candidates": ["roberta/lora_rate_rank_1"]}, "best.full: unknown name 'roberta/lora_rate_rank_1'"),
        ({"candidates": ["roberta/full_recipe"] * 2}, "takes each experiment once"),
    ],
)
def test_what_cannot_be_chosen_is_refused(config, changes, message):
    best = {**config["best"], "full": {**config["best"]["full"], **changes}}
    with pytest.raises(StudyError) as error:
        load_study({**config, "rungs": "all", "best": best})
    assert message in str(error.value)
