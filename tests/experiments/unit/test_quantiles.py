"""A p99 from bins, its interval, and how it differs between two groups."""

from __future__ import annotations

import numpy as np
import pytest
from experiments.effects import Interval, NotEnough
from experiments.quantiles import Histogram, design_effect, difference, interval
from experiments.ratios import RatioSums
from hypothesis import given
from hypothesis import strategies as st

BOUNDS = tuple(float(bound) for bound in range(1, 101))
EVEN = Histogram(BOUNDS, (10,) * 100 + (0,))  # 1,000 values, evenly from 0 to 100


def test_values_lie_evenly_within_a_bin() -> None:
    assert interval(EVEN, 0.5).estimate == pytest.approx(50)
    assert Histogram((10.0, 20.0), (4, 4, 2)).at(6) == pytest.approx(15)


def test_the_ranks_are_worked_out_by_hand() -> None:
    result = interval(EVEN, 0.9)
    half = 1.959964 * (1_000 * 0.9 * 0.1) ** 0.5 / 10  # ten values a unit
    assert (result.low, result.high) == pytest.approx((90 - half, 90 + half), abs=1e-5)
    stretched = interval(EVEN, 0.9, design=4.0)
    assert stretched.high - stretched.low == pytest.approx(2 * (result.high - result.low))
    assert interval(EVEN, 0.9, bound=3.0).low < result.low


@given(st.lists(st.floats(0, 120), max_size=40), st.lists(st.floats(0, 120), max_size=40))
def test_histograms_add_up(first: list[float], second: list[float]) -> None:
    assert Histogram.of(first, BOUNDS) + Histogram.of(second, BOUNDS) == Histogram.of(first + second, BOUNDS)


def test_a_difference_joins_the_unlike_arms_of_both() -> None:
    result = difference(Interval(10, 9, 14, 0.95), Interval(20, 17, 21, 0.95))
    assert (result.estimate, result.low, result.high) == pytest.approx((10, 10 - 5, 10 + 2**0.5))
    with pytest.raises(ValueError, match="one confidence"):
        difference(Interval(10, 9, 14, 0.95), Interval(20, 17, 21, 0.9))


def test_alike_requests_of_a_user_count_less() -> None:
    rng = np.random.default_rng(3)
    x = np.full(2_000, 10)
    alone = RatioSums.of(rng.binomial(x, 0.1).tolist(), x.tolist())
    alike = RatioSums.of((10 * rng.binomial(1, 0.1, 2_000)).tolist(), x.tolist())
    assert design_effect(alone) == pytest.approx(1.0, abs=0.1)
    assert design_effect(alike) == pytest.approx(10.0, rel=0.01)
    with pytest.raises(NotEnough):
        design_effect(RatioSums.of([0, 0], [1, 2]))


def test_the_tail_beyond_the_data_says_nothing() -> None:
    with pytest.raises(NotEnough, match="don't say"):
        interval(Histogram.of([1.0] * 20, BOUNDS), 0.99)
    with pytest.raises(NotEnough, match="last bound"):
        interval(Histogram((1.0,), (10, 990)), 0.5)
    with pytest.raises(NotEnough):
        interval(Histogram((1.0,), (0, 0)), 0.5)


def test_impossible_input_is_refused() -> None:
    for bounds, counts in (((), (1,)), ((2.0, 1.0), (0, 0, 0)), ((0.0,), (1, 1)), ((1.0,), (1,)), ((1.0,), (1, -1))):
        with pytest.raises(ValueError, match=r"bounds|counts"):
            Histogram(bounds, counts)
    with pytest.raises(ValueError, match="other bounds"):
        Histogram((1.0,), (0, 0)) + Histogram((2.0,), (0, 0))
    with pytest.raises(ValueError, match="design"):
        interval(EVEN, 0.5, design=0.5)
    with pytest.raises(ValueError, match="confidence"):
        interval(EVEN, 1.0)


def test_the_first_bin_begins_at_nothing_and_the_last_ends_at_its_bound() -> None:
    assert EVEN.at(0) == 0.0
    assert EVEN.at(5) == pytest.approx(0.5)
    assert EVEN.at(1_000) == 100.0
    assert Histogram((2.0, 4.0), (3, 1, 0)).at(0) == 0.0
    assert Histogram((2.0, 4.0), (1, 1, 0)).at(1.5) == pytest.approx(3.0), "a lone value lies evenly in its bin"


def test_an_interval_carries_its_confidence_on_to_the_difference() -> None:
    sides = interval(EVEN, 0.5, 0.9), interval(EVEN, 0.5, 0.9)
    assert [one.confidence for one in (*sides, difference(*sides))] == [0.9] * 3


@pytest.mark.parametrize("above", [0, 4])
def test_a_quantile_with_no_request_on_one_side_has_no_design_effect(above: int) -> None:
    with pytest.raises(NotEnough, match="one side"):
        design_effect(RatioSums.of([above] * 10, [4] * 10))
