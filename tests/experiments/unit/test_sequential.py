"""Intervals for daily looks: wider than at one look, one with their evidence, and right at all looks at once."""

from __future__ import annotations

import numpy as np
import pytest
from experiments import sequential
from experiments.effects import Effect, NotEnough
from hypothesis import given
from hypothesis import strategies as st

effects = st.builds(Effect, st.floats(-1, 1), st.floats(1e-6, 1), st.integers(100, 100_000))


@given(effects, st.integers(1_000, 100_000))
def test_it_is_wider_than_at_a_look_fixed_in_advance(effect: Effect, planned: int) -> None:
    looked, fixed = sequential.interval(effect, planned), effect.interval()
    assert looked.low < fixed.low
    assert fixed.high < looked.high


@given(effects, st.integers(1_000, 100_000), st.sampled_from([0.9, 0.95, 0.99]))
def test_evidence_reaches_its_bound_at_the_edge_of_the_interval(
    effect: Effect, planned: int, confidence: float
) -> None:
    interval = sequential.interval(effect, planned, confidence)
    for edge in (interval.low, interval.high):
        assert sequential.evidence(effect, planned, edge, confidence) == pytest.approx(1 / (1 - confidence))
        assert sequential.p_value(effect, planned, edge, confidence) == pytest.approx(1 - confidence)


def test_it_is_near_its_tightest_at_the_plan() -> None:
    widths = []
    for planned in (1_000, 10_000, 100_000):
        interval = sequential.interval(Effect(0.0, 1.0, 10_000), planned)
        widths.append(interval.high)
    assert widths[1] == min(widths)


def test_overwhelming_evidence_has_no_overflow() -> None:
    effect = Effect(10.0, 1e-6, 1_000)
    assert sequential.evidence(effect, 1_000) == float("inf")
    assert sequential.p_value(effect, 1_000) == 0.0


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(NotEnough):
        sequential.interval(Effect(0.1, 0.0, 10), 100)
    for users, planned in ((0, 100), (100, 0)):
        with pytest.raises(ValueError, match="users"):
            sequential.p_value(Effect(0.1, 0.1, users), planned)
    with pytest.raises(ValueError, match="confidence"):
        sequential.interval(Effect(0.1, 0.1, 10), 100, 1.0)


def test_daily_looks_rarely_miss_the_truth() -> None:
    rng = np.random.default_rng(5)
    runs, days, users = 1_000, 14, 400
    sums = rng.normal(size=(runs, days)).cumsum(1) * users**0.5
    n = users * np.arange(1, days + 1)
    missed = [
        any(
            not sequential.interval(Effect(float(total / seen), 1 / int(seen), int(seen)), days * users).holds(0.0)
            for total, seen in zip(run, n, strict=True)
        )
        for run in sums
    ]
    assert np.mean(missed) < 0.05
