"""How many users and days it takes: one formula, read three ways, and arrivals that flatten."""

from __future__ import annotations

import pytest
from experiments.effects import NotEnough
from experiments.planning import Looks, Users, days_needed, minimal_effect, power, users_needed
from experiments.ratios import RatioSums

PAST = RatioSums.of([0, 1] * 500, [1, 1] * 500)  # a mean of 0.5, variance 0.25 a user


def test_sixteen_variances_over_the_square_of_the_change() -> None:
    needed = users_needed(PAST, 0.05)
    assert needed.control == needed.test == pytest.approx(16 * 0.25 / 0.05**2 * (1 + 1.1**2) / 2, rel=0.02)
    assert users_needed(PAST, -0.05).test == pytest.approx(16 * 0.25 / 0.05**2, rel=0.02)


@pytest.mark.parametrize("looks", ["one", "daily"])
@pytest.mark.parametrize("share", [0.5, 0.1])
def test_users_power_and_smallest_effect_agree(looks: Looks, share: float) -> None:
    needed = users_needed(PAST, 0.03, power=0.9, test_share=share, looks=looks, removed=0.3)
    assert power(PAST, 0.03, needed, looks=looks, removed=0.3) == pytest.approx(0.9, abs=1e-3)
    smallest = minimal_effect(PAST, needed, power=0.9, looks=looks, removed=0.3)
    assert smallest == pytest.approx(0.03, rel=1e-3)


def test_so_few_users_that_no_change_is_large_enough_say_so() -> None:
    with pytest.raises(NotEnough, match="any change"):
        minimal_effect(PAST, Users(5, 5))


def test_daily_looks_and_uneven_groups_cost_users_and_cuped_saves_them() -> None:
    plain = users_needed(PAST, 0.05).total
    assert users_needed(PAST, 0.05, looks="daily").total > 1.5 * plain
    assert users_needed(PAST, 0.05, test_share=0.1).total > 2 * plain
    assert users_needed(PAST, 0.05, removed=0.4).total == pytest.approx(0.6 * plain, abs=4)


def test_without_a_change_the_power_is_that_of_a_false_alarm() -> None:
    assert power(PAST, 0.0, Users(100, 100)) == pytest.approx(0.05)


def test_days_until_the_users_have_come() -> None:
    assert days_needed(Users(500, 500), 150) == 7
    assert days_needed(Users(500, 500), [400, 700, 900, 1_000, 1_050]) == 4
    with pytest.raises(NotEnough, match="within 3 days"):
        days_needed(Users(500, 500), [400, 600, 650])
    with pytest.raises(NotEnough, match="no users"):
        days_needed(Users(1, 1), 0)
    with pytest.raises(ValueError, match="only grow"):
        days_needed(Users(1, 1), [5, 4])


@pytest.mark.parametrize(
    ("change", "power", "share", "removed"),
    [(0, 0.8, 0.5, 0), (0.1, 1.0, 0.5, 0), (0.1, 0.8, 0, 0), (0.1, 0.8, 0.5, 1)],
)
def test_impossible_plans_are_refused(change: float, power: float, share: float, removed: float) -> None:
    with pytest.raises(ValueError, match="not"):
        users_needed(PAST, change, power=power, test_share=share, removed=removed)


def test_plans_need_users_of_both_groups_who_differ() -> None:
    with pytest.raises(ValueError, match="both groups"):
        Users(0, 5)
    with pytest.raises(NotEnough):
        users_needed(RatioSums.of([0, 0]), 0.1)
