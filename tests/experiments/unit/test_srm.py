"""A split that isn't what its weights say is found, at whichever look; a sound one is left in peace."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from experiments.effects import NotEnough
from experiments.srm import THRESHOLD, Period, check, sequential_p_value
from hypothesis import given
from hypothesis import strategies as st

counts = st.tuples(st.integers(0, 5_000), st.integers(1, 5_000))


@given(counts, st.floats(0.05, 0.95))
def test_each_prior_gives_the_ratio_of_scipys_likelihoods(result: tuple[int, int], share: float) -> None:
    weights = np.array([share, 1 - share])
    for k in (2.0, 500.0):
        prior = scipy.stats.dirichlet_multinomial(k * weights, np.array(sum(result))).logpmf(result)
        null = scipy.stats.multinomial(sum(result), weights).logpmf(result)
        p = sequential_p_value([Period(result, (share, 1 - share))], [k])
        assert p == pytest.approx(min(1.0, np.exp(null - prior)), rel=1e-6, abs=1e-300)


def test_a_gross_fault_shows_after_some_dozens_and_a_slight_one_after_many() -> None:
    assert check([Period((80, 20), (50, 50))]).failed
    assert not check([Period((505, 495), (50, 50))]).failed
    assert check([Period((101_500, 98_500), (0.5, 0.5))]).failed
    assert not check([Period((100_200, 99_800), (0.5, 0.5))]).failed
    assert check([Period((100_900, 99_100), (0.5, 0.5))]).failed, "which a prior for gross faults alone does not see"


def test_a_ramp_is_checked_against_the_weights_of_each_period() -> None:
    ramp = [Period((9_000, 1_000), (90, 10)), Period((5_000, 5_000), (50, 50))]
    assert check(ramp).p == 1.0
    assert check([Period((14_000, 6_000), (50, 50))]).failed  # the same users, as if the weights had stood


def test_faults_of_periods_add_up() -> None:
    periods = [Period((2_100, 1_900), (1, 1))] * 3
    alone = sequential_p_value(periods[:1])
    assert sequential_p_value(periods) == pytest.approx(alone**3)


def test_a_few_users_who_cannot_be_there_are_tolerated_and_more_fail_the_check() -> None:
    """As a gateway that had not heard of new weights assigns them for a moment."""
    assert check([Period((1_000, 0), (1, 0))]).p == 1.0
    for many, fails in ((10, False), (11, True)):
        assert check([Period((1_000, many), (1, 0))]).failed == fails
        assert check([Period((500, 500), (1, 1))], strays=many).failed == fails
    assert not check([Period((50_000, 50_000), (1, 1))], strays=100).failed
    assert check([Period((50_000, 50_000), (1, 1))], strays=101).failed
    assert check([Period((500, 500), (1, 1)), Period((80, 7), (1, 0))], strays=5).strays == 12


def test_of_sound_experiments_one_in_a_hundred_at_most_fails() -> None:
    assert THRESHOLD == 0.01


@given(counts, st.floats(0.05, 0.95))
def test_the_order_of_the_groups_changes_nothing(result: tuple[int, int], share: float) -> None:
    one, other = Period(result, (share, 1 - share)), Period(result[::-1], (1 - share, share))
    assert sequential_p_value([one]) == pytest.approx(sequential_p_value([other]))


def test_days_of_one_period_add_up() -> None:
    assert Period((1, 2), (1, 1)) + Period((3, 4), (1, 1)) == Period((4, 6), (1, 1))
    with pytest.raises(ValueError, match="two periods"):
        Period((1, 2), (1, 1)) + Period((1, 2), (1, 2))


def test_no_users_say_nothing_and_impossible_input_is_refused() -> None:
    for nothing in ([], [Period((0, 0), (1, 1))]):
        with pytest.raises(NotEnough):
            check(nothing)
    for result, weights in (
        ((-1, 2), (1.0, 1.0)),
        ((1, 2), (1.0,)),
        ((1, 2), (0.0, 0.0)),
        ((1, 2), (1.0, -1.0)),
        ((), ()),
    ):
        with pytest.raises(ValueError, match="weight"):
            Period(result, weights)
    with pytest.raises(ValueError, match="threshold"):
        check([Period((1, 1), (1, 1))], threshold=0)
