"""A split that isn't what its weights say is found, at whichever look; a sound one is left in peace."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from experiments.effects import NotEnough
from experiments.srm import Period, check, chi_square_tail, fixed_p_value, sequential_p_value
from hypothesis import given
from hypothesis import strategies as st

counts = st.tuples(st.integers(0, 5_000), st.integers(1, 5_000))


@given(st.floats(0, 500), st.integers(1, 12))
def test_the_tail_of_chi_square_is_scipys(statistic: float, degrees: int) -> None:
    assert chi_square_tail(statistic, degrees) == pytest.approx(
        scipy.stats.chi2.sf(statistic, degrees), rel=1e-9, abs=1e-300
    )


@given(counts, st.floats(0.05, 0.95))
def test_one_look_is_pearsons_chi_square(found: tuple[int, int], share: float) -> None:
    expected = [share * sum(found), (1 - share) * sum(found)]
    theirs = scipy.stats.chisquare(found, expected, sum_check=False).pvalue
    assert fixed_p_value([Period(found, (share, 1 - share))]) == pytest.approx(theirs, rel=1e-9, abs=1e-12)


@given(counts, st.floats(0.05, 0.95))
def test_each_prior_gives_the_ratio_of_scipys_likelihoods(found: tuple[int, int], share: float) -> None:
    weights = np.array([share, 1 - share])
    for k in (2.0, 500.0):
        prior = scipy.stats.dirichlet_multinomial(k * weights, np.array(sum(found))).logpmf(found)
        null = scipy.stats.multinomial(sum(found), weights).logpmf(found)
        p = sequential_p_value([Period(found, (share, 1 - share))], [k])
        assert p == pytest.approx(min(1.0, np.exp(null - prior)), rel=1e-6, abs=1e-300)


def test_a_gross_fault_shows_after_some_dozens_and_a_slight_one_after_many() -> None:
    assert check([Period((80, 20), (50, 50))]).failed
    assert not check([Period((505, 495), (50, 50))]).failed
    assert check([Period((101_500, 98_500), (0.5, 0.5))]).failed
    assert not check([Period((100_200, 99_800), (0.5, 0.5))]).failed


def test_a_ramp_is_checked_against_the_weights_of_each_period() -> None:
    ramp = [Period((9_000, 1_000), (90, 10)), Period((5_000, 5_000), (50, 50))]
    assert check(ramp).p == 1.0
    assert check([Period((14_000, 6_000), (50, 50))]).failed  # the same users, as if the weights had stood


def test_faults_of_periods_add_up() -> None:
    periods = [Period((2_100, 1_900), (1, 1))] * 3
    alone = sequential_p_value(periods[:1])
    assert sequential_p_value(periods) == pytest.approx(alone**3)
    assert fixed_p_value(periods) < fixed_p_value(periods[:1])


def test_users_of_a_group_without_weight_fail_the_check() -> None:
    assert check([Period((1_000, 1), (1, 0))]).p == 0.0
    assert fixed_p_value([Period((1_000, 1), (1, 0))]) == 0.0
    assert check([Period((1_000, 0), (1, 0))]).p == 1.0


@given(counts, st.floats(0.05, 0.95))
def test_the_order_of_the_groups_changes_nothing(found: tuple[int, int], share: float) -> None:
    one, other = Period(found, (share, 1 - share)), Period(found[::-1], (1 - share, share))
    assert sequential_p_value([one]) == pytest.approx(sequential_p_value([other]))
    assert fixed_p_value([one]) == pytest.approx(fixed_p_value([other]))


def test_days_of_one_period_add_up() -> None:
    assert Period((1, 2), (1, 1)) + Period((3, 4), (1, 1)) == Period((4, 6), (1, 1))
    with pytest.raises(ValueError, match="two periods"):
        Period((1, 2), (1, 1)) + Period((1, 2), (1, 2))


def test_no_users_say_nothing_and_impossible_input_is_refused() -> None:
    for nothing in ([], [Period((0, 0), (1, 1))]):
        with pytest.raises(NotEnough):
            check(nothing)
    with pytest.raises(NotEnough):
        fixed_p_value([Period((5, 0), (1, 0))])
    for found, weights in (
        ((-1, 2), (1.0, 1.0)),
        ((1, 2), (1.0,)),
        ((1, 2), (0.0, 0.0)),
        ((1, 2), (1.0, -1.0)),
        ((), ()),
    ):
        with pytest.raises(ValueError, match="weight"):
            Period(found, weights)
    with pytest.raises(ValueError, match="threshold"):
        check([Period((1, 1), (1, 1))], threshold=0)
