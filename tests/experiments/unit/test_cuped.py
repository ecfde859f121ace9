"""Views and likes before the experiment take noise out of likes in it, and never move what is true."""

from __future__ import annotations

import numpy as np
import pytest
from experiments import cuped, ratios
from experiments.cuped import CupedSums
from experiments.effects import NotEnough
from hypothesis import given
from hypothesis import strategies as st

Row = tuple[int, int, int, int]
"""Likes, views, views before, likes before."""
rows = st.lists(
    st.tuples(st.integers(0, 20), st.integers(1, 20), st.integers(0, 40), st.integers(0, 20)), min_size=3, max_size=30
)


def sums(rows: list[Row]) -> CupedSums:
    y, x, a, b = zip(*rows, strict=True)
    return CupedSums.of(y, x, a, b)


def invented(rng: np.random.Generator, users: int, better: float = 0.0) -> list[Row]:
    """A third of them were not there before."""
    lean, often = rng.beta(2, 8, users), rng.gamma(2, 3, users)
    x = rng.poisson(often) + 1
    y = rng.binomial(x, np.clip(lean + better, 0, 1))
    a = rng.poisson(often * 2) * (rng.random(users) < 0.67)
    return list(zip(y.tolist(), x.tolist(), a.tolist(), rng.binomial(a, lean).tolist(), strict=True))


def world(rng: np.random.Generator, users: int, better: float = 0.0) -> CupedSums:
    return sums(invented(rng, users, better))


def least_squares(groups: list[CupedSums], rows: list[list[Row]]) -> tuple[float, float]:
    """The adjusted difference and its variance, users in hand: regression of the linearised ratio on (a, b)."""
    both = groups[0] + groups[1]
    covariates = [np.array([[float(a), float(b)] for _, _, a, b in part]) for part in rows]
    linear = [
        np.array([(y - both.ratios.ratio * x) / (both.x / both.users) for y, x, *_ in part], dtype=float)
        for part in rows
    ]
    stacked = np.vstack(covariates)
    design = np.column_stack([np.ones(len(stacked)), stacked])
    theta = np.linalg.lstsq(design, np.concatenate(linear), rcond=None)[0][1:]
    means, variances = [], []
    for group, part, c in zip(groups, rows, covariates, strict=True):
        own = np.array([(y - group.ratios.ratio * x) / (group.x / group.users) for y, x, *_ in part])
        means.append(group.ratios.ratio - theta @ (c.mean(0) - stacked.mean(0)))
        variances.append((own - c @ theta).var(ddof=1) / group.users)
    return float(means[1] - means[0]), float(sum(variances))


def test_it_is_the_regression_on_users_in_hand() -> None:
    rng = np.random.default_rng(1)
    rows = [invented(rng, 300), invented(rng, 200)]
    groups = [sums(part) for part in rows]
    result = cuped.effect(*groups).effect
    assert (result.estimate, result.variance) == pytest.approx(least_squares(groups, rows), rel=1e-9, abs=1e-12)


@given(rows, rows)
def test_sums_add_up(first: list[Row], second: list[Row]) -> None:
    together, added = sums(first + second), sums(first) + sums(second)
    for name in CupedSums.__slots__:
        assert getattr(added, name) == pytest.approx(getattr(together, name))


def test_what_users_did_before_takes_noise_out() -> None:
    rng = np.random.default_rng(2)
    control, test = world(rng, 4_000), world(rng, 4_000)
    adjusted, plain = cuped.effect(control, test), ratios.effect(control.ratios, test.ratios)
    assert 0.1 < adjusted.removed < 0.6
    assert adjusted.effect.variance == pytest.approx(plain.variance * (1 - adjusted.removed))


def test_both_covariates_together_explain_more_than_either() -> None:
    rng = np.random.default_rng(5)
    rows = [invented(rng, 3_000), invented(rng, 3_000)]
    views, likes, both = (
        cuped.effect(*(sums([(y, x, a * keep_a, b * keep_b) for y, x, a, b in part]) for part in rows)).removed
        for keep_a, keep_b in ((1, 0), (0, 1), (1, 1))
    )
    assert both > max(views, likes) + 0.02


@pytest.mark.parametrize("before", [0, 7])
def test_covariates_that_say_nothing_change_nothing(before: int) -> None:
    control = CupedSums.of([1, 2, 0], [3, 2, 1], [before] * 3, [0] * 3)
    test = CupedSums.of([2, 2, 1], [3, 4, 1], [before] * 3, [0] * 3)
    adjusted, plain = cuped.effect(control, test), ratios.effect(control.ratios, test.ratios)
    assert (adjusted.effect.estimate, adjusted.effect.variance) == pytest.approx((plain.estimate, plain.variance))
    assert adjusted.removed == pytest.approx(0)


def test_a_covariate_that_only_says_what_the_other_says_counts_once() -> None:
    y, x, before = [1, 2, 0, 3, 1], [3, 2, 1, 4, 3], [4, 0, 2, 6, 1]
    twice = [CupedSums.of(part, x, before, [2 * each for each in before]) for part in (y, y[::-1])]
    for alone in ((before, [0] * 5), ([0] * 5, before)):
        once = [CupedSums.of(part, x, *alone) for part in (y, y[::-1])]
        first, second = cuped.effect(*twice).effect, cuped.effect(*once).effect
        assert (first.estimate, first.variance) == pytest.approx((second.estimate, second.variance))


def test_a_difference_mirrors_and_holds_the_truth() -> None:
    rng = np.random.default_rng(3)
    control, test = world(rng, 500), world(rng, 700, better=0.05)
    there, back = cuped.difference(control, test), cuped.difference(test, control)
    assert (there.estimate, there.low) == pytest.approx((-back.estimate, -back.high))
    assert cuped.effect(control, test).interval().holds(0.05)


def test_impossible_input_is_refused_and_too_little_says_nothing() -> None:
    with pytest.raises(ValueError, match="no users can have"):
        CupedSums(users=1, aa=-2.0)
    with pytest.raises(ValueError, match="an entry a user"):
        CupedSums.of([1.0], [1.0], [], [])
    with pytest.raises(NotEnough):
        cuped.difference(CupedSums(), CupedSums.of([1, 2], [1, 1], [0, 3], [0, 1]))
