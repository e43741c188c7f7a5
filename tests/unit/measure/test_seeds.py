"""Seeds: intervals of experiments with several, and the verdicts that each seed alone gives."""

import numpy as np
import pandas as pd
import pytest

from nli.measure.answers import Answers
from nli.measure.ladders import measure_ladders
from nli.measure.seeds import measure_seeds
from nli.study.ladders import Ladder, Rung

GOLD = np.tile(np.array(["entailment", "neutral", "contradiction"], dtype=object), 100)


def answers(shares):
    """{seed: share of right answers} as an experiment's results; the right ones are the first."""
    frames = {}
    for seed, share in shares.items():
        right = np.arange(len(GOLD)) < share * len(GOLD)
        frames[seed] = pd.DataFrame(
            {
                "split": "matched",
                "scorer": "classifier",
                "pair_id": [str(i) for i in range(len(GOLD))],
                "premise_id": [str(i) for i in range(len(GOLD))],
                "gold": GOLD,
                "pred": np.where(right, GOLD, np.roll(GOLD, 1)),
            }
        )
    return Answers("done", "", frames)


def measure(first, second):
    """Two rungs, the second of which claims to be higher."""
    rungs = [
        {"experiment": "roberta/a", "claim": "It learns.", "expects": "above_chance"},
        {"experiment": "roberta/b", "claim": "It is higher.", "expects": "higher", "against": "roberta/a"},
    ]
    ladder = Ladder(title="T", question="Q", rungs=[Rung(**rung) for rung in rungs]).without([]).model_dump()
    spec = {"family": "roberta", "origin": "ours", "method": "full", "evaluation": {"splits": ["matched"]}}
    study = {
        "experiments": {"roberta/a": {**spec, "title": "A"}, "roberta/b": {**spec, "title": "B"}},
        "ladders": {"one": ladder},
    }
    given = {"roberta/a": answers(first), "roberta/b": answers(second)}
    scorers = dict.fromkeys(given, "classifier")
    return measure_seeds(study, given, scorers, measure_ladders(study, given, scorers)["ladders"])


def test_each_seed_has_its_own_verdict_and_pairs_that_differ_are_counted():
    found = measure({1: 0.5, 2: 0.5, 3: 0.5}, {1: 0.8, 2: 0.8, 3: 0.5})
    learns, higher = found["verdicts"]
    assert learns["by_seed"] == {"1": "supported", "2": "supported", "3": "supported"}
    assert learns["disagreeing"] == 0
    assert higher["by_seed"] == {"1": "supported", "2": "supported", "3": "no evidence"}
    assert higher["disagreeing"] == pytest.approx(2 / 3)  # of the pairs 1-2, 1-3 and 2-3
    assert (higher["ladder"], higher["title"], higher["claim"]) == ("one", "B", "It is higher.")


def test_an_experiment_that_ran_once_serves_every_seed():
    found = measure({1: 0.5}, {1: 0.8, 2: 0.8})
    assert found["verdicts"][1]["by_seed"] == {"1": "supported", "2": "supported"}
    assert list(found["accuracies"]) == ["roberta/b"]


def test_experiments_of_one_seed_have_nothing_to_say():
    found = measure({1: 0.5}, {1: 0.8})
    assert (found["accuracies"], found["verdicts"]) == ({}, [])


def test_the_interval_covers_what_another_seed_changes():
    found = measure({1: 0.5, 2: 0.5, 3: 0.5}, {1: 0.8, 2: 0.7, 3: 0.6})["accuracies"]
    assert found["roberta/b"]["accuracy"] == pytest.approx(0.7)
    assert found["roberta/b"]["error_of_seeds"] == pytest.approx((0.01 / 3) ** 0.5, rel=0.25)
    narrow, wide = (np.diff(found[key]["interval"])[0] for key in ("roberta/a", "roberta/b"))
    assert wide > narrow
