"""The difference of two rates: right where it can be worked out by hand, and its interval covers what it says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

import numpy as np
import pytest
from experiments.ratios import Interval, NotEnough, RatioSums, difference, lift, p_value
from hypothesis import assume, given
from hypothesis import strategies as st

amounts = st.floats(0, 1_000, allow_nan=False)
users = st.lists(st.tuples(amounts, st.floats(0.1, 1_000)), min_size=2, max_size=30)
varied = st.lists(st.tuples(st.integers(0, 20), st.integers(1, 20)), min_size=3, max_size=30)
Pair = tuple[int, int]


def sums(pairs: Sequence[tuple[float, float]]) -> RatioSums:
    return RatioSums.of([y for y, _ in pairs], [x for _, x in pairs])


def test_two_proportions_are_the_textbooks() -> None:
    control, test = RatioSums.of([1] * 20 + [0] * 80), RatioSums.of([1] * 30 + [0] * 70)
    result = difference(control, test)
    half = 1.959964 * (0.2 * 0.8 / 99 + 0.3 * 0.7 / 99) ** 0.5
    assert result.estimate == pytest.approx(0.1)
    assert (result.low, result.high) == pytest.approx((0.1 - half, 0.1 + half), abs=1e-6)


def test_a_ratio_worked_out_by_hand() -> None:
    result = RatioSums.of([1, 2], [2, 2])
    assert result.ratio == 0.75
    assert result.variance == pytest.approx(0.0625)  # y - r x is -0.5 and 0.5: 0.5 / 1 * 2 / 16


@given(users, users)
def test_sums_add_up(first: list[tuple[float, float]], second: list[tuple[float, float]]) -> None:
    together, added = sums(first + second), sums(first) + sums(second)
    assert added.users == together.users
    assert added.ratio == pytest.approx(together.ratio)
    assert added.variance == pytest.approx(together.variance, rel=1e-6, abs=1e-9)


def test_users_who_do_not_differ_have_no_variance() -> None:
    assert RatioSums.of([2, 4, 6], [1, 2, 3]).variance == pytest.approx(0.0)


def test_a_lift_worked_out_by_hand() -> None:
    control, test = RatioSums.of([1, 3]), RatioSums.of([2, 4])  # means 2 and 3, of variance 1 each
    result = lift(control, test, confidence=0.95)
    half = 1.959964 * (1 / 4 + 9 / 16) ** 0.5
    assert (result.estimate, result.low, result.high) == pytest.approx((0.5, 0.5 - half, 0.5 + half), abs=1e-6)


def test_a_p_value_says_what_the_interval_says() -> None:
    control, test = RatioSums.of([1] * 20 + [0] * 80), RatioSums.of([1] * 30 + [0] * 70)
    p = p_value(control, test)
    edge = difference(control, test, confidence=1 - p)
    assert edge.low == pytest.approx(0, abs=1e-12)


@given(varied, varied)
def test_an_interval_mirrors_when_the_groups_swap(first: list[Pair], second: list[Pair]) -> None:
    one, other = sums(first), sums(second)
    assume(one.variance > 0 and other.variance > 0)
    there, back = difference(one, other), difference(other, one)
    assert (there.estimate, there.low, there.high) == pytest.approx((-back.estimate, -back.high, -back.low))
    assert p_value(one, other) == pytest.approx(p_value(other, one))


@given(varied, st.randoms())
def test_the_order_of_users_changes_nothing(pairs: list[Pair], random: Random) -> None:
    shuffled = list(pairs)
    random.shuffle(shuffled)
    assert sums(shuffled).ratio == pytest.approx(sums(pairs).ratio)
    assert sums(shuffled).variance == pytest.approx(sums(pairs).variance, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("compare", [difference, lift])
def test_a_group_without_a_like_says_nothing(compare: Callable[[RatioSums, RatioSums], Interval]) -> None:
    likes, none = RatioSums.of([0, 1, 0, 1]), RatioSums.of([0, 0, 0, 0])
    for control, test in ((none, likes), (likes, none), (none, none)):
        with pytest.raises(NotEnough):
            compare(control, test)


def test_a_group_without_a_user_says_nothing() -> None:
    with pytest.raises(NotEnough, match="add up to 0"):
        p_value(RatioSums(), RatioSums.of([0, 1]))
    with pytest.raises(NotEnough, match="add up to 0"):
        p_value(RatioSums.of([0, 0], [0, 0]), RatioSums.of([0, 1]))


@pytest.mark.parametrize("few", [RatioSums(), RatioSums.of([1.0])])
def test_too_few_users_are_not_enough(few: RatioSums) -> None:
    with pytest.raises(NotEnough):
        difference(few, RatioSums.of([0, 1]))


def test_impossible_input_is_refused() -> None:
    for impossible in ({"users": -1}, {"x": -1.0}, {"y": float("nan")}):
        with pytest.raises(ValueError, match="no users can have"):
            RatioSums(**impossible)
    with pytest.raises(ValueError, match="confidence"):
        difference(RatioSums.of([0, 1]), RatioSums.of([0, 1]), confidence=1.0)
    with pytest.raises(ValueError, match="shorter"):
        RatioSums.of([1.0, 2.0], [1.0])


def test_intervals_of_likes_a_view_cover_what_they_say_although_a_users_views_hang_together() -> None:
    rng = np.random.default_rng(20_261_124)
    covered = 0
    for _ in range(2_000):
        groups = []
        for _ in range(2):
            views = rng.poisson(8, 400) + 1
            groups.append(RatioSums.of(*(part.tolist() for part in (rng.binomial(views, rng.beta(2, 8, 400)), views))))
        result = difference(groups[0], groups[1])
        covered += result.low <= 0 <= result.high
    assert 0.938 < covered / 2_000 < 0.962  # 0.95, plus or minus 2.5 standard errors


@pytest.mark.parametrize(
    ("y", "x", "users"),
    [
        ([1, 1, 1, 0, 0], None, 3),  # likers who are alike: all of them
        ([1_000, 1, 1, 1], [1_000, 1, 1, 1], 1.006),  # one user outweighs all others
        ([1, 1, 1, 1], [1, 1, 1, 97], 1.06),  # of exposures too
        ([0, 0], None, 0),
        ([], None, 0),
    ],
)
def test_a_ratio_stands_on_as_many_users_as_carry_it(y: list[float], x: list[float] | None, users: float) -> None:
    assert RatioSums.of(y, x).effective_users == pytest.approx(users, rel=0.01)


def test_an_interval_is_of_95_percent_unless_another_is_asked_for() -> None:
    control, test = RatioSums.of([0, 1] * 50), RatioSums.of([0, 1, 1] * 30)
    assert lift(control, test) == lift(control, test, 0.95)
    assert difference(control, test) == difference(control, test, 0.95)


def test_control_that_likes_each_time_on_average_has_a_lift() -> None:
    assert lift(RatioSums.of([0, 2] * 50), RatioSums.of([0, 3] * 50)).estimate == pytest.approx(0.5)


def test_either_group_alone_may_lack_variance() -> None:
    varied, alike = RatioSums.of([0, 1] * 50), RatioSums.of([1] * 100)
    for control, test in ((varied, alike), (alike, varied)):
        with pytest.raises(NotEnough, match="don't differ"):
            lift(control, test)
