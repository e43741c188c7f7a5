"""Sweeps: points on the pairs of all, and crossings with intervals that were worked out independently."""

import math

import numpy as np
import pandas as pd
import pytest

from nli.measure.answers import Answers
from nli.measure.multibootstrap import multi_bootstrap, percentile_interval, resampled_accuracies
from nli.measure.sweeps import lead_from, measure_sweeps

ROWS = 1500
GOLD = np.tile(["entailment", "neutral", "contradiction"], ROWS // 3)
WRONG = np.roll(GOLD, 1)


def answers(accuracy, seeds=(1,), start=0):
    """An experiment that is right on a share of the rows; each seed on other rows."""
    frames = {}
    for seed in seeds:
        right = np.random.default_rng([start, seed]).random(ROWS) < accuracy
        frames[seed] = pd.DataFrame(
            {
                "split": "matched",
                "scorer": "classifier",
                "pair_id": [str(i) for i in range(ROWS)],
                "premise_id": [str(i // 3) for i in range(ROWS)],
                "gold": GOLD,
                "pred": np.where(right, GOLD, WRONG),
            }
        )
    return Answers("done", frames=frames)


def study():
    experiments = {f"roberta/{name}": {"lora": {"r": 100}} for name in ("a", "b")}
    sweep = {"title": "Rank", "question": "?", "key": "lora.r", "values": [1, 10], "split": "matched", "log": True}
    return {"experiments": experiments, "sweeps": {"rank": {**sweep, "experiments": list(experiments)}}}


def measure(accuracies, **options):
    """{experiment: accuracies at 1, 10 and 100} as a measured sweep."""
    given = {}
    for base, curve in accuracies.items():
        for value, accuracy in zip((1, 10, 100), curve, strict=True):
            key = f"roberta/{base}" if value == 100 else f"roberta/{base}_rank_{value}"
            given[key] = answers(accuracy, start=len(given), **options) if accuracy is not None else Answers("not run")
    return measure_sweeps(study(), given, dict.fromkeys(given, "classifier"))["rank"]


def test_curves_cross_where_their_lines_do_and_the_interval_holds_that_value():
    # a - b: -0.2 at 1, 0 in the middle of the logarithms of 1 and 10, +0.2 at 10
    found = measure({"a": (0.4, 0.7, 0.9), "b": (0.6, 0.5, 0.5)})
    (crossing,) = found["crossings"]
    assert (crossing["leader"], crossing["other"]) == ("roberta/a", "roberta/b")
    assert crossing["at"] == pytest.approx(math.sqrt(10), rel=0.2)
    low, high = crossing["interval"]
    assert low < math.sqrt(10) < high
    # The gap in the middle is the mean of those at both ends, each with an error of some sqrt(2 * 0.24 / 1500) = 0.018;
    # its slope is 0.4 per decade.
    assert math.log10(high / low) == pytest.approx(2 * 1.96 * 0.018 / 2**0.5 / 0.4, rel=0.25)
    assert (crossing["throughout"], crossing["behind"]) == (0, 0)


def test_a_curve_that_is_above_everywhere_crosses_nowhere():
    (crossing,) = measure({"a": (0.7, 0.8, 0.9), "b": (0.4, 0.5, 0.6)})["crossings"]
    assert crossing["at"] is None
    assert crossing["interval"] == ["below", "below"]
    assert crossing["throughout"] == 1


def test_curves_that_end_alike_leave_the_crossing_open():
    (crossing,) = measure({"a": (0.4, 0.6, 0.701), "b": (0.6, 0.7, 0.7)})["crossings"]
    assert 0.025 < crossing["behind"] < 0.975
    assert crossing["interval"][1] == "beyond"


def test_points_have_their_values_accuracies_and_seeds_and_those_that_did_not_run_stay():
    found = measure({"a": (0.5, None, 0.9), "b": (0.5, 0.6, 0.7)}, seeds=(1, 2))
    assert [point["value"] for point in found["curves"]["roberta/a"]] == [1, 10, 100]
    assert [point["status"] for point in found["curves"]["roberta/a"]] == ["done", "not run", "done"]
    point = found["curves"]["roberta/a"][0]
    assert point["accuracy"] == pytest.approx(0.5, abs=0.03)
    assert set(point["seeds"]["values"]) == {"1", "2"}
    assert point["interval"][0] < point["accuracy"] < point["interval"][1]
    assert found["n"] == ROWS
    assert found["chance"]["accuracy"] == pytest.approx(1 / 3)


def test_without_answers_nothing_is_compared():
    found = measure({"a": (None, None, None), "b": (0.5, 0.6, 0.7)})
    assert found["crossings"] == []
    assert found["curves"]["roberta/b"][2]["accuracy"] == pytest.approx(0.7, abs=0.05)


def test_the_lead_starts_after_the_last_value_at_which_it_is_lost():
    first = np.array([[0.6, 0.4, 0.6], [0.6, 0.6, 0.6], [0.6, 0.6, 0.4], [0.4, 0.4, 0.6]])
    starts = lead_from(first, np.full((4, 3), 0.5), [1, 2, 3], log=False)
    assert starts.tolist() == pytest.approx([2.5, -math.inf, math.inf, 2.5])


def test_the_multi_bootstrap_adds_the_error_of_the_seeds():
    rng = np.random.default_rng(0)
    premises = np.repeat(np.arange(1000), 3)
    alike = rng.random((3, 3000)) < 0.6
    apart = rng.random((3, 3000)) < np.array([[0.5], [0.6], [0.7]])
    found = multi_bootstrap(apart, premises)
    # Means 0.5, 0.6 and 0.7: the variance of their mean is 0.01 / 3.
    assert found["error_of_seeds"] == pytest.approx((0.01 / 3) ** 0.5, rel=0.1)
    assert found["error_of_premises"] == pytest.approx((0.24 / 9000) ** 0.5, rel=0.15)
    assert found["accuracy"] == apart.mean()
    assert found["interval"][0] < 0.53 < 0.67 < found["interval"][1]
    assert multi_bootstrap(alike, premises)["error_of_seeds"] < 0.01


def test_experiments_have_the_same_resamples_so_that_their_difference_is_paired():
    right = np.random.default_rng(1).random((1, 3000)) < 0.6
    premises = np.repeat(np.arange(1000), 3)
    twice = resampled_accuracies(right, premises) - resampled_accuracies(right, premises)
    assert percentile_interval(twice) == [0, 0]
