"""How many users and days it takes: one formula, read three ways, and arrivals that flatten."""

from __future__ import annotations

import pytest
from experiments import sequential
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


GROWING = RatioSums.of([1, -1, 2, -2] * 100)  # a mean of 0, so that no change is a share of it


def test_who_looks_each_day_plans_by_the_sequential_bound_at_the_plan() -> None:
    """van Belle's formula with 3.03 in place of 1.96, and with that of 90 % in place of 95."""
    for confidence in (0.95, 0.9):
        reach = sequential.bound(1_000, 1_000, confidence) + 0.8416
        needed = users_needed(GROWING, 0.3, looks="daily", confidence=confidence)
        assert needed.test == pytest.approx(2 * GROWING.variance * 400 * (reach / 0.3) ** 2, abs=1)


def test_of_a_rate_of_nothing_the_variance_does_not_grow() -> None:
    groups = users_needed(GROWING, 0.3)
    assert groups.control == groups.test
    assert minimal_effect(GROWING, groups) == pytest.approx(0.3, rel=1e-3)
    assert power(GROWING, 0.3, groups) == pytest.approx(0.8, abs=1e-3)


def test_the_smallest_effect_of_a_rare_rate_is_worked_out_by_its_square() -> None:
    rare = RatioSums.of([0] * 950 + [1] * 50)
    smallest = minimal_effect(rare, Users(800, 800))
    assert power(rare, smallest, Users(800, 800)) == pytest.approx(0.8, abs=1e-3)
    assert users_needed(rare, smallest).test == pytest.approx(800, abs=1)


def test_one_user_a_day_takes_as_many_days_as_users() -> None:
    assert days_needed(Users(3, 4), 1) == 7
    assert days_needed(Users(3, 4), 0.5) == 14


def test_days_on_which_nobody_new_came_are_days_all_the_same() -> None:
    assert days_needed(Users(10, 10), [8, 8, 8, 20]) == 4


def test_cuped_takes_less_than_all_of_the_variance() -> None:
    for removed in (1.0, 1.5, -0.1):
        with pytest.raises(ValueError, match="a share of variance"):
            users_needed(PAST, 0.05, removed=removed)
