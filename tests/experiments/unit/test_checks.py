"""A/A: p-values of random halvings of the same users are uniform, and a broken test's are not."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from experiments.checks import resplit, uniformity
from experiments.effects import NotEnough
from experiments.ratios import RatioSums
from hypothesis import given
from hypothesis import strategies as st


@given(st.lists(st.floats(0, 1), min_size=1, max_size=100))
def test_few_p_values_are_held_to_the_exact_distribution(result: list[float]) -> None:
    theirs = scipy.stats.kstest(result, "uniform", method="exact")
    ours = uniformity(result)
    assert (ours.distance, ours.p) == pytest.approx((theirs.statistic, theirs.pvalue), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("size", [101, 1_000, 10_000])
@pytest.mark.parametrize("power", [1.0, 1.05])
def test_many_p_values_are_held_to_the_limit(size: int, power: float) -> None:
    result = np.random.default_rng(size).random(size) ** power
    theirs = scipy.stats.kstest(result, "uniform", method="asymp")
    ours = uniformity(result.tolist())
    assert (ours.distance, ours.p) == pytest.approx((theirs.statistic, theirs.pvalue), rel=1e-9, abs=1e-9)


def test_halvings_of_the_same_users_are_uniform_and_requests_taken_for_users_are_not() -> None:
    rng = np.random.default_rng(11)
    x = rng.poisson(8, 2_000) + 1
    y = rng.binomial(x, rng.beta(1, 4, 2_000))
    cells = [RatioSums.of([a], [b]) for a, b in zip(y.tolist(), x.tolist(), strict=True)]
    pairs = [one + other for one, other in zip(cells[::2], cells[1::2], strict=True)]
    assert uniformity(resplit(pairs, rng, times=1_000)).p > 0.01
    assert uniformity(resplit(cells, rng, times=1_000)).p > 0.01
    wrong = []
    for _ in range(500):
        test = rng.random(2_000) < 0.5
        (a, n), (b, m) = ((y[side].sum(), x[side].sum()) for side in (test, ~test))
        pooled = (a + b) / (n + m)
        wrong.append(
            float(2 * scipy.stats.norm.sf(abs(a / n - b / m) / (pooled * (1 - pooled) * (1 / n + 1 / m)) ** 0.5))
        )
    assert uniformity(wrong).p < 1e-6


def test_nothing_says_nothing_and_what_is_no_p_value_is_refused() -> None:
    with pytest.raises(NotEnough):
        uniformity([])
    for wrong in ([-0.1], [0.5, 1.5]):
        with pytest.raises(ValueError, match="between 0 and 1"):
            uniformity(wrong)
    with pytest.raises(NotEnough):
        resplit([RatioSums.of([0], [1])] * 4, np.random.default_rng(1), times=2)


def test_a_p_value_of_one_is_a_p_value() -> None:
    assert uniformity([0.5, 1.0]).p_values == 2
