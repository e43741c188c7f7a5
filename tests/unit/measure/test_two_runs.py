"""One experiment in two runs: paired where both answered the same pairs, else as independent samples."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from nli.base.labels import LABELS
from nli.measure.paired import mcnemar, wilson_interval
from nli.measure.two_runs import compare_apart, compare_paired, newcombe, rows_behind, touching_level


def frame(pred, gold=None, start=0):
    """Rows with a premise each, by pair id."""
    n = len(pred)
    gold = gold or [LABELS[i % 3] for i in range(n)]
    ids = [f"pair-{start + i}" for i in range(n)]
    return pd.DataFrame({"gold": gold, "pred": pred, "premise_id": ids}, index=pd.Index(ids, name="pair_id"))


def answers(right, n=60):
    """The gold labels, but wrong from place `right` on."""
    return [LABELS[(i + (i >= right)) % 3] for i in range(n)]


@pytest.mark.parametrize(
    ("first", "second", "interval"),
    [((48, 80), (56, 70), (0.0524, 0.3339)), ((3, 10), (9, 10), (0.1705, 0.8090))],  # Newcombe 1998, table II, 10
)
def test_interval_of_independent_samples_is_newcombes(first, second, interval):
    sides = [(right / n, n) for right, n in (first, second)]
    assert newcombe(*sides, norm.isf(0.025)) == pytest.approx(interval, abs=5e-5)


def test_p_of_independent_samples_is_below_the_level_exactly_if_their_interval_excludes_zero():
    rng = np.random.default_rng(0)
    for n, m, p, q in zip(*rng.integers(5, 400, (2, 200)), *rng.random((2, 200)), strict=True):
        low, high = newcombe((p, n), (q, m), norm.isf(0.025))
        assert (touching_level((p, n), (q, m)) < 0.05) == (low > 0 or high < 0)
    assert touching_level((0.3, 10), (0.3, 90)) == 1.0
    assert touching_level((0.0, 9000), (1.0, 9000)) < 1e-200


@pytest.mark.parametrize(("share", "n"), [(0.0, 12), (1.0, 7), (0.5, 240.5), (0.83, 3000)])
def test_number_of_rows_is_found_from_their_interval(share, n):
    assert rows_behind(share, wilson_interval(share * n, n)) == pytest.approx(n)


def test_same_pairs_have_a_paired_test():
    first, second = frame(answers(30)), frame(answers(40))
    found = compare_paired({1: first}, {1: second.sample(frac=1, random_state=0)})
    assert (found["n"], found["difference"]) == (60, pytest.approx(1 / 6))
    assert found["clustered_p"] == pytest.approx(mcnemar(0, 10), rel=0.3)  # but for the design effect of the sample
    assert found["relabelled"] == pytest.approx(1 / 6)


def test_equal_seeds_are_paired_and_without_any_their_order():
    one, two = frame(answers(30)), frame(answers(40))
    assert compare_paired({1: one, 2: two}, {2: two, 3: one})["seeds"] == [(2, 2)]
    assert compare_paired({1: one, 2: two}, {4: two, 3: one})["seeds"] == [(1, 3), (2, 4)]


@pytest.mark.parametrize(
    "other",
    [
        frame(answers(40), gold=[LABELS[0]] * 60),
        frame(answers(40)).assign(premise_id="another"),
        frame(answers(40), start=31),
        frame(answers(40), start=60),
    ],
    ids=["other labels", "other premises", "few in common", "none in common"],
)
def test_other_pairs_have_none(other):
    assert compare_paired({1: frame(answers(30))}, {1: other}) is None


def test_a_sample_of_the_pairs_is_compared_on_itself():
    found = compare_paired({1: frame(answers(30))}, {1: frame(answers(9)).iloc[:12]})
    assert (found["n"], found["difference"]) == (12, pytest.approx(-3 / 12))


def test_independent_samples_are_as_large_as_their_intervals_say():
    sides = [{"accuracy": right / n, "interval": wilson_interval(right, n)} for right, n in ((48, 80), (56, 70))]
    found = compare_apart(*sides)
    assert found["clustered_interval"] == pytest.approx([0.0524, 0.3339], abs=5e-5)
    assert found["clustered_p"] < 0.05
