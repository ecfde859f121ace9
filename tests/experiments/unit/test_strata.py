"""A ramp is compared period by period: the sum over periods can say the opposite of every one of them."""

from __future__ import annotations

import numpy as np
import pytest
from experiments import cuped, ratios, strata
from experiments.cuped import CupedSums
from experiments.effects import Effect, NotEnough
from experiments.ratios import RatioSums


def likes(liked: int, users: int) -> RatioSums:
    return RatioSums.of([1] * liked + [0] * (users - liked))


# Test is better in both periods; the first, at 90:10, had the keen users.
RAMP = [(likes(450, 900), likes(55, 100)), (likes(50, 500), likes(75, 500))]


def test_the_pooled_sum_is_simpsons_paradox_and_the_periods_are_not() -> None:
    control, test = (RAMP[0][side] + RAMP[1][side] for side in (0, 1))
    assert ratios.effect(control, test).estimate < -0.1
    for weighing in ("users", "overlap"):
        assert strata.effect(RAMP, weighing).estimate == pytest.approx(0.05)


def test_weights_and_variance_are_those_worked_out_by_hand() -> None:
    result = strata.combine([Effect(1.0, 4.0, 10), Effect(2.0, 8.0, 30)], [1, 3])
    assert (result.estimate, result.variance, result.users) == (1.75, 4 / 16 + 8 * 9 / 16, 40)


def test_a_lift_is_the_mean_of_the_periods_lifts() -> None:
    result = strata.relative_effect(RAMP)
    assert result.estimate == pytest.approx((1_000 * 0.1 + 1_000 * 0.5) / 2_000)


def test_one_period_is_the_plain_comparison() -> None:
    assert strata.effect(RAMP[:1]) == ratios.effect(*RAMP[0])


def test_overlap_heeds_a_period_that_gave_test_few_users_less() -> None:
    assert strata.effect(RAMP, "overlap").variance < strata.effect(RAMP, "users").variance


def test_a_period_with_few_users_of_a_group_is_left_out() -> None:
    few = (likes(10, 5_000), likes(0, 3))
    assert strata.effect([*RAMP, few]) == strata.effect(RAMP)
    assert strata.effect([*RAMP, (likes(5, 5_000), RatioSums())], fewest=0) == strata.effect(RAMP)


def test_a_first_stage_in_which_nobody_liked_silences_nothing() -> None:
    assert strata.effect([(likes(10, 900), likes(0, 100)), *RAMP]) == strata.effect(RAMP)


def test_periods_of_adjusted_effects_combine_too() -> None:
    rng = np.random.default_rng(4)

    def group(users: int) -> CupedSums:
        lean = rng.beta(2, 8, users)
        before = rng.binomial(20, lean).tolist()
        return CupedSums.of(rng.binomial(5, lean).tolist(), [5.0] * users, [20.0] * users, before)

    periods = [(group(900), group(100)), (group(500), group(500))]
    result = strata.stratified(periods, lambda control, test: cuped.effect(control, test).effect)
    plain = strata.effect([(control.ratios, test.ratios) for control, test in periods])
    assert result.variance < plain.variance


def test_nothing_to_compare_says_nothing() -> None:
    for periods in ([], [(likes(1, 10), likes(1, 10))]):
        with pytest.raises(NotEnough):
            strata.effect(periods)
    with pytest.raises(NotEnough, match="differ"):
        strata.effect([(likes(10, 500), likes(0, 500))])
    with pytest.raises(ValueError, match="not negative"):
        strata.combine([Effect(0, 1, 1)], [-1.0])


def test_a_lift_leaves_out_as_small_periods_as_it_is_told_to() -> None:
    small = (likes(5, 40), likes(9, 40))
    assert strata.relative_effect([small], fewest=40) == ratios.relative_effect(*small)
    with pytest.raises(NotEnough, match="no period"):
        strata.relative_effect([small], fewest=41)
