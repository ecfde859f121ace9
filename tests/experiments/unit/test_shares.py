"""A share's interval, against figures that others computed, and its coverage where Wald's fails."""

from __future__ import annotations

import numpy as np
import pytest
from experiments.effects import NotEnough
from experiments.shares import wilson
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest


@given(st.integers(1, 5_000).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of))))
def test_the_interval_is_scipys(counts: tuple[int, int]) -> None:
    result, of = counts
    ours, theirs = wilson(result, of, 0.99), binomtest(result, of).proportion_ci(0.99, method="wilson")
    assert ours.low == pytest.approx(theirs.low, abs=1e-9)
    assert ours.high == pytest.approx(theirs.high, abs=1e-9)


def test_a_rare_thing_is_covered() -> None:
    drawn = np.random.default_rng(1).binomial(200, 0.02, 10_000)
    assert np.mean([wilson(int(result), 200, 0.95).holds(0.02) for result in drawn]) > 0.93


def test_a_share_of_nothing_is_not_told() -> None:
    with pytest.raises(NotEnough):
        wilson(0, 0)
    with pytest.raises(ValueError, match="a count of 3 things"):
        wilson(4, 3)


def test_an_interval_is_of_95_percent_unless_another_is_asked_for() -> None:
    assert wilson(3, 40) == wilson(3, 40, 0.95)
    assert [wilson(3, 40, confidence).confidence for confidence in (0.95, 0.99)] == [0.95, 0.99]
