"""Intervals and tests of paired proportions, compared with published values and values worked out by hand."""

from math import comb

import numpy as np
import pytest

from nli.measure.paired import LEVEL, difference_interval, holm, mcnemar, mid_p, mid_p_interval, wilson_interval


def test_wilson_interval_of_the_reported_matched_accuracy():
    # 8613 of 9815 in (p + z²/2n ± z√(p(1-p)/n + z²/4n²)) / (1 + z²/n), z = 1.959964
    assert wilson_interval(8613, 9815) == pytest.approx([0.8709007892862921, 0.8838725748708789])


def test_wilson_interval_of_few_answers_and_of_none_right():
    assert wilson_interval(25, 53) == pytest.approx([0.3438224347819615, 0.603399187212937])
    assert wilson_interval(0, 10) == pytest.approx([0.0, 0.2775327998628892])


def test_mcnemar_is_the_mid_p_of_the_discordant_pairs():
    # The examples of Fagerland, Lydersen and Laake 2013 (BMC Medical Research Methodology 13:91): 1 and 7 discordant
    # pairs have the exact p 0.0703 and the mid-p 0.0391, 6 and 16 have 0.0525 and 0.0347.
    assert mcnemar(1, 7) == pytest.approx(0.0391, abs=5e-5)
    assert mcnemar(6, 16) == pytest.approx(0.0347, abs=5e-5)
    assert mcnemar(0, 5) == pytest.approx(1 / 32)  # 2 (1/2) / 2^5
    assert mcnemar(3, 3) == 1
    assert mcnemar(0, 0) == 1


def test_mid_p_halves_the_observed_count():
    shares = [comb(10, k) * 0.3**k * 0.7 ** (10 - k) for k in range(11)]
    assert mid_p(1, 10, 0.3) == pytest.approx(2 * (shares[0] + shares[1] / 2))
    assert mid_p(6, 10, 0.3) == pytest.approx(2 * (shares[6] / 2 + sum(shares[7:])))


@pytest.mark.parametrize(("right", "n"), [(3, 10), (9, 10), (137, 245)])
def test_mid_p_interval_ends_where_the_test_begins_to_reject(right, n):
    low, high = mid_p_interval(right, n)
    assert low < right / n < high
    assert mid_p(right, n, low) == pytest.approx(LEVEL)
    assert mid_p(right, n, high) == pytest.approx(LEVEL)


def test_mid_p_interval_of_none_right_by_hand():
    # (1 - p)^10 / 2 = 0.025
    assert mid_p_interval(0, 10) == pytest.approx([0.0, 1 - 0.05 ** (1 / 10)])
    assert mid_p_interval(10, 10) == pytest.approx([0.05 ** (1 / 10), 1.0])


@pytest.mark.parametrize("n", [1, 2, 5, 9, 40])
def test_interval_of_a_difference_and_its_test_agree_for_every_table(n):
    for gained in range(n + 1):
        for lost in range(n + 1 - gained):
            low, high = difference_interval(gained, lost, n)
            assert -1 <= low <= (gained - lost) / n <= high <= 1
            assert low < high
            assert (mcnemar(lost, gained) < LEVEL) == (low > 0 or high < 0)


def test_interval_of_a_difference_turns_with_its_sides():
    low, high = difference_interval(6, 16, 161)
    assert difference_interval(16, 6, 161) == [-high, -low]


@pytest.mark.parametrize(("gained", "lost", "n"), [(16, 6, 161), (7, 1, 21), (3, 0, 50), (200, 150, 2000)])
def test_interval_of_a_difference_holds_the_middle_of_the_melded_distribution(gained, lost, n):
    """Share of discordant pairs times (2 share gained - 1), each drawn from its mid-p confidence distribution."""
    draws = np.random.default_rng(0)

    def share(x, m, size=400_000):
        upper = draws.random(size) < 0.5
        lower = draws.beta(x, m - x + 1, size) if x else np.zeros(size)
        return np.where(upper, draws.beta(x + 1, m - x, size) if x < m else np.ones(size), lower)

    melded = share(gained + lost, n) * (2 * share(gained, gained + lost) - 1)
    expected = np.quantile(melded, [LEVEL / 2, 1 - LEVEL / 2])
    assert difference_interval(gained, lost, n) == pytest.approx(expected, abs=2e-3)


def test_interval_of_a_difference_has_a_width_where_no_pair_is_discordant():
    # Half the mass is at zero and a quarter on either side, distributed like Beta(1, n): 1 - (1 - x)^n = 0.9.
    assert difference_interval(0, 0, 100)[1] == pytest.approx(1 - 0.1 ** (1 / 100), abs=1e-6)


def test_interval_of_a_difference_holds_the_truth_about_as_often_as_it_says():
    draws = np.random.default_rng(1)
    n, discordant, gained_share = 120, 0.2, 0.65
    truth = discordant * (2 * gained_share - 1)
    counts = draws.multinomial(n, [discordant * gained_share, discordant * (1 - gained_share), 1 - discordant], 400)
    held = [low <= truth <= high for g, l, _ in counts for low, high in [difference_interval(g, l, n)]]  # noqa: E741
    assert 0.92 <= np.mean(held) <= 0.99


def test_fewer_effective_counts_widen_interval_and_p():
    low, high = difference_interval(16, 6, 161)
    wider = difference_interval(8, 3, 80.5)
    assert wider[0] < low
    assert wider[1] > high
    assert mcnemar(3, 8) > mcnemar(6, 16)


def test_holm_multiplies_by_what_is_left_and_never_falls():
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([]) == []
