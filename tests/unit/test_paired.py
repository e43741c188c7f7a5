"""Paired comparisons against published values and values worked out by hand."""

import numpy as np
import pytest

from nli.paired import compare, holm, mcnemar_p, tango_interval


def test_tango_interval_is_that_of_the_published_examples():
    # Fagerland, Lydersen and Laake, Statistical Analysis of Contingency Tables, chapter 8: airway hyper-responsiveness
    # (Bentur et al. 2009; 1 and 7 discordant of 21) and complete response (Cavo et al. 2012; 6 and 16 of 161).
    assert tango_interval(1, 7, 21) == pytest.approx([-0.5172, -0.0260], abs=5e-5)
    assert tango_interval(6, 16, 161) == pytest.approx([-0.1240, -0.0054], abs=5e-5)


def test_tango_interval_turns_with_its_sides_and_exists_at_the_edges():
    low, high = tango_interval(6, 16, 161)
    assert tango_interval(16, 6, 161) == pytest.approx([-high, -low])
    # No discordant pair: z^2 / (n + z^2) to either side, 3.8415 / 103.8415.
    assert tango_interval(0, 0, 100) == pytest.approx([-0.0369937, 0.0369937], abs=1e-6)
    assert tango_interval(10, 0, 10)[1] == 1
    assert tango_interval(0, 10, 10)[0] == -1


def test_tango_interval_holds_the_difference_for_every_small_table():
    tables = [(gained, lost, n) for n in (1, 2, 5, 9) for gained in range(n + 1) for lost in range(n + 1 - gained)]
    for gained, lost, n in tables:
        low, high = tango_interval(gained, lost, n)
        assert -1 <= low <= (gained - lost) / n <= high <= 1
        assert low < high


@pytest.mark.parametrize(("gained", "lost", "n"), [(40, 20, 160), (3, 9, 30), (500, 300, 9815)])
def test_tango_interval_and_the_score_test_agree_at_zero(gained, lost, n):
    low, high = tango_interval(gained, lost, n)
    assert (low <= 0 <= high) == ((gained - lost) ** 2 / (gained + lost) < 1.959964**2)


def test_mcnemar_is_the_coin_of_the_discordant_pairs():
    assert mcnemar_p(6, 16) == pytest.approx(0.052479, abs=1e-6)  # published, as above
    assert mcnemar_p(0, 5) == 2 / 32
    assert mcnemar_p(3, 3) == 1
    assert mcnemar_p(0, 0) == 1


def test_holm_multiplies_by_what_is_left_and_never_falls():
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([]) == []


def test_difference_is_second_minus_first():
    first = np.array([True, True, False, False, False])
    second = np.array([True, False, True, True, False])
    found = compare(first, second)
    assert (found["n"], found["lost"], found["gained"]) == (5, 1, 2)
    assert found["difference"] == pytest.approx(0.2)
    assert found["p"] == 1


def test_methods_that_answered_different_pairs_are_not_compared():
    with pytest.raises(ValueError, match="same pairs"):
        compare(np.array([True]), np.array([True, False]))
