"""The effect of shared premises and several seeds on intervals and tests, checked against known variances."""

import numpy as np
import pytest

from nli.measure import clustered
from nli.measure.clustered import (
    bootstrap_variances,
    compare,
    degrees,
    design_effect,
    draws,
    estimate,
    resampled_means,
)
from nli.measure.paired import difference_interval, mcnemar, wilson_interval

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


@pytest.mark.parametrize("premises", [2, 6, 10, 500])
def test_premises_with_a_row_of_each_label_make_no_claim_certain(premises):
    """A constant answer is right for one row of every premise; that its mean does not vary is no evidence."""
    codes = np.repeat(np.arange(premises), 3)
    constant, other = np.tile([True, False, False], premises)[None], np.tile([False, True, True], premises)[None]
    assert bootstrap_variances(constant, all_kept(constant), codes)[0] == pytest.approx(0, abs=1e-12)
    found = estimate(constant, codes)
    assert found["clustered_interval"] == pytest.approx(found["interval"])
    better = compare(constant, other, codes)
    assert better["clustered_p"] == pytest.approx(better["p"])
    one_row = other.copy()
    one_row[0, 0] = True  # a single row varies: still no more evidence than from independent rows
    assert compare(constant, one_row, codes)["clustered_p"] >= compare(constant, one_row, codes)["p"]


def test_rows_of_one_premise_count_as_one():
    right = np.array([[True, True, False, True]])
    assert design_effect(right, all_kept(right), np.zeros(4, dtype=int)) == 4


def test_bootstrap_variance_is_that_of_the_mean_of_premises():
    means = np.random.default_rng(2).random(200)
    values = np.repeat(means, 2)[None]
    premises = np.repeat(np.arange(200), 2)
    # One fewer of them is drawn, so that the variance is unbiased: s^2 / n.
    of_premises, of_seeds, count = bootstrap_variances(values, all_kept(values), premises)
    assert of_premises == pytest.approx(means.var(ddof=1) / 200, rel=0.1)
    assert (of_seeds, count) == (0.0, 200)


def test_seeds_that_disagree_widen_the_interval():
    uniform = np.random.default_rng(3).random((3, 3000))
    apart = estimate(uniform < np.array([[0.5], [0.6], [0.7]]), PREMISES)
    alike = estimate(uniform < 0.6, PREMISES)
    assert apart["value"] == pytest.approx(0.6, abs=0.02)
    assert apart["design_effect"] > 20
    assert 1 / 3 <= alike["design_effect"] < 2  # resampling seeds and premises counts a row's noise more than once
    # Means 0.5, 0.6 and 0.7 have the variance 0.01 / 3 of their mean and two degrees of freedom: t = 4.30. Wilson's
    # interval of the few remaining rows is within that of the normal distribution.
    half = 4.303 * (0.01 / 3) ** 0.5
    low, high = apart["clustered_interval"]
    assert 0.6 * 2 * half < high - low < 2 * half


def test_two_seeds_are_drawn_one_at_a_time():
    assert set(draws(2, "seeds").sum(axis=1)) == {1}
    apart = np.vstack([np.ones(3000), np.zeros(3000)]) == 1
    # Means 1 and 0: one of them drawn has the variance 1/4, which is s^2 / 2 of the two.
    of_premises, of_seeds, _ = bootstrap_variances(apart, all_kept(apart), PREMISES)
    assert of_premises == pytest.approx(0, abs=1e-12)
    assert of_seeds == pytest.approx(0.25, rel=0.05)


def test_degrees_of_freedom_are_those_of_the_variance_that_dominates():
    assert degrees(1.0, 1000, 0.0, 1) == pytest.approx(999)
    assert degrees(0.0, 1000, 1.0, 3) == pytest.approx(2)
    assert degrees(1.0, 1000, 1.0, 3) == pytest.approx(4 / (1 / 999 + 1 / 2))


def test_seeds_with_unequal_parsing_give_a_test_of_the_printed_difference():
    first = np.zeros((2, 600), dtype=bool)
    second = np.vstack([np.arange(600) < 6, np.arange(600) < 180])  # 6 of 10 and 180 of 600 kept rows gained
    kept = np.vstack([np.arange(600) < 10, np.ones(600, dtype=bool)])
    found = compare(first, second, np.arange(600), kept)
    assert found["difference"] == pytest.approx((0.6 + 0.3) / 2)
    assert (found["gained"] - found["lost"]) / found["n"] == pytest.approx(found["difference"])
    low, high = found["interval"]
    assert low < found["difference"] < high


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


def test_resamples_in_parts_are_those_of_one_draw(monkeypatch):
    values = np.random.default_rng(0).normal(size=(2, 90))
    kept, premises = np.ones_like(values, dtype=bool), np.arange(90) // 3
    whole, drawn = resampled_means(values, kept, premises)[0], draws(30, "premises")
    draws.cache_clear()
    monkeypatch.setattr(clustered, "PART", 1000)
    assert len(list(clustered.parts_of_resamples(30))) == 61
    np.testing.assert_array_equal(draws(30, "premises"), drawn)
    np.testing.assert_allclose(resampled_means(values, kept, premises)[0], whole, rtol=1e-5)
    draws.cache_clear()
