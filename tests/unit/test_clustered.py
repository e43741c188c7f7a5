"""What shared premises and several seeds do to intervals and tests, against variances known beforehand."""

import numpy as np
import pytest

from nli.clustered import bootstrap_variance, compare, design_effect, draws, estimate
from nli.paired import difference_interval, mcnemar, wilson_interval

PREMISES = np.repeat(np.arange(1000), 3)  # threes, as in MultiNLI


def all_kept(values):
    return np.ones(values.shape, dtype=bool)


def test_rows_that_answer_alike_within_a_premise_carry_a_third_of_the_evidence():
    right = np.repeat(np.random.default_rng(0).random(1000) < 0.6, 3)[None]
    found = estimate(right, PREMISES)
    assert found["design_effect"] == pytest.approx(3, rel=0.1)
    effect = found["design_effect"]
    assert found["clustered_interval"] == pytest.approx(wilson_interval(right.sum() / effect, 3000 / effect))
    assert found["interval"] == wilson_interval(int(right.sum()), 3000)


def test_independent_rows_have_a_design_effect_near_one():
    right = np.random.default_rng(1).random((1, 3000)) < 0.6
    assert design_effect(right, all_kept(right), PREMISES) == pytest.approx(1, abs=0.15)


def test_one_label_of_each_class_under_a_premise_makes_a_constant_answer_certain():
    constant = np.tile([True, False, False], 1000)[None]  # right for one row of every premise: no variance at all
    assert bootstrap_variance(constant, all_kept(constant), PREMISES) == pytest.approx(0, abs=1e-12)


def test_bootstrap_variance_is_that_of_the_mean_of_premises():
    means = np.random.default_rng(2).random(200)
    values = np.repeat(means, 2)[None]
    premises = np.repeat(np.arange(200), 2)
    # One less of them is drawn, so that the variance is the unbiased one: s^2 / n.
    assert bootstrap_variance(values, all_kept(values), premises) == pytest.approx(means.var(ddof=1) / 200, rel=0.1)


def test_seeds_that_disagree_widen_the_interval_and_seeds_that_agree_narrow_it():
    uniform = np.random.default_rng(3).random((3, 3000))
    apart = estimate(uniform < np.array([[0.5], [0.6], [0.7]]), PREMISES)
    alike = estimate(uniform < 0.6, PREMISES)
    assert apart["value"] == pytest.approx(0.6, abs=0.02)
    assert apart["design_effect"] > 20
    assert alike["design_effect"] < 1
    # Three means 0.1 apart have the variance 0.01 / 3 of their mean.
    width = apart["clustered_interval"][1] - apart["clustered_interval"][0]
    assert width == pytest.approx(2 * 1.96 * (0.01 / 3) ** 0.5, rel=0.15)


def test_two_seeds_are_drawn_one_at_a_time():
    assert set(draws(2, "seeds").sum(axis=1)) == {1}
    apart = np.vstack([np.ones(3000), np.zeros(3000)]) == 1
    # Means 1 and 0: one of them drawn has the variance 1/4, which is s^2 / 2 of the two.
    assert bootstrap_variance(apart, all_kept(apart), PREMISES) == pytest.approx(0.25, rel=0.05)


def test_left_out_rows_count_in_neither_number_nor_variance():
    right = np.random.default_rng(4).random((1, 3000)) < 0.5
    kept = np.zeros((1, 3000), dtype=bool)
    kept[:, :600] = True
    found, alone = estimate(right, PREMISES, kept), estimate(right[:, :600], PREMISES[:600])
    assert (found["n"], found["value"], found["interval"]) == (600, alone["value"], alone["interval"])
    assert found["design_effect"] == pytest.approx(alone["design_effect"], rel=0.15)
    nothing = estimate(right, PREMISES, np.zeros_like(kept))
    assert (nothing["n"], nothing["value"], nothing["clustered_interval"]) == (0, None, None)


def test_difference_is_second_minus_first_and_its_test_is_mcnemar():
    first = np.array([[True, True, False, False, False]])
    second = np.array([[True, False, True, True, False]])
    found = compare(first, second, np.arange(5))
    assert (found["n"], found["lost"], found["gained"]) == (5, 1, 2)
    assert found["difference"] == pytest.approx(0.2)
    assert found["p"] == mcnemar(1, 2)
    assert found["interval"] == difference_interval(2, 1, 5)


def test_test_of_alike_rows_is_that_of_fewer_pairs():
    draw = np.random.default_rng(5).random(1000)
    first = np.repeat(draw < 0.5, 3)[None]
    second = np.repeat(np.where(draw < 0.05, False, (draw < 0.5) | (draw > 0.92)), 3)[None]
    found = compare(first, second, PREMISES)
    effect = found["design_effect"]
    assert effect == pytest.approx(3, rel=0.1)
    assert found["clustered_p"] == mcnemar(found["lost"] / effect, found["gained"] / effect)
    assert found["clustered_p"] > found["p"]


def test_the_same_rows_give_the_same_numbers():
    right = np.random.default_rng(6).random((1, 300)) < 0.5
    assert estimate(right, PREMISES[:300]) == estimate(right.copy(), PREMISES[:300].copy())


def test_methods_that_answered_different_rows_are_not_compared():
    with pytest.raises(ValueError, match="same rows"):
        compare(np.array([[True]]), np.array([[True, False]]), np.array([0]))
