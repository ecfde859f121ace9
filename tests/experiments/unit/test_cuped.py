"""Likes before the experiment take noise out of likes in it, and never move what is true."""

from __future__ import annotations

import numpy as np
import pytest
from experiments import cuped, ratios
from experiments.cuped import CupedSums
from experiments.effects import NotEnough
from hypothesis import given
from hypothesis import strategies as st

Row = tuple[int, int, float | None]
rows = st.lists(
    st.tuples(st.integers(0, 20), st.integers(1, 20), st.one_of(st.none(), st.floats(0, 1))), min_size=3, max_size=30
)


def sums(rows: list[Row]) -> CupedSums:
    return CupedSums.of([y for y, _, _ in rows], [x for _, x, _ in rows], [z for _, _, z in rows])


def world(rng: np.random.Generator, users: int, missing: float = 0.3, better: float = 0.0) -> CupedSums:
    lean = rng.beta(2, 8, users)
    x = rng.poisson(8, users) + 1
    y = rng.binomial(x, np.clip(lean + better, 0, 1))
    z = rng.binomial(20, lean) / 20
    gone = rng.random(users) < missing
    before = [None if g else float(a) for a, g in zip(z, gone, strict=True)]
    return CupedSums.of(y.tolist(), x.tolist(), before)


def least_squares(groups: list[CupedSums], rows: list[list[Row]]) -> tuple[float, float]:
    """The adjusted difference and its variance, users in hand: regression of the linearised ratio on (z, m)."""
    both = groups[0] + groups[1]
    covariates = [np.array([[0.0 if z is None else z, float(z is None)] for _, _, z in part]) for part in rows]
    linear = [
        np.array([(y - both.ratios.ratio * x) / (both.x / both.users) for y, x, _ in part], dtype=float)
        for part in rows
    ]
    stacked = np.vstack(covariates)
    design = np.column_stack([np.ones(len(stacked)), stacked])
    theta = np.linalg.lstsq(design, np.concatenate(linear), rcond=None)[0][1:]
    means, variances = [], []
    for group, part, c in zip(groups, rows, covariates, strict=True):
        own = np.array([(y - group.ratios.ratio * x) / (group.x / group.users) for y, x, _ in part])
        means.append(group.ratios.ratio - theta @ (c.mean(0) - stacked.mean(0)))
        variances.append((own - c @ theta).var(ddof=1) / group.users)
    return float(means[1] - means[0]), float(sum(variances))


def invented(rng: np.random.Generator, users: int) -> list[Row]:
    lean = rng.beta(2, 8, users)
    x = rng.poisson(5, users) + 1
    y = rng.binomial(x, lean)
    z = [
        None if gone else float(a) for a, gone in zip(rng.binomial(20, lean) / 20, rng.random(users) < 0.3, strict=True)
    ]
    return list(zip(y.tolist(), x.tolist(), z, strict=True))


def test_it_is_the_regression_on_users_in_hand() -> None:
    rng = np.random.default_rng(1)
    rows = [invented(rng, 300), invented(rng, 200)]
    groups = [sums(part) for part in rows]
    found = cuped.effect(*groups).effect
    assert (found.estimate, found.variance) == pytest.approx(least_squares(groups, rows), rel=1e-9, abs=1e-12)


@given(rows, rows)
def test_sums_add_up(first: list[Row], second: list[Row]) -> None:
    together, added = sums(first + second), sums(first) + sums(second)
    for name in CupedSums.__slots__:
        assert getattr(added, name) == pytest.approx(getattr(together, name))


def test_what_users_did_before_takes_noise_out() -> None:
    rng = np.random.default_rng(2)
    control, test = world(rng, 4_000), world(rng, 4_000)
    adjusted, plain = cuped.effect(control, test), ratios.effect(control.ratios, test.ratios)
    assert 0.2 < adjusted.removed < 0.6
    assert adjusted.effect.variance == pytest.approx(plain.variance * (1 - adjusted.removed))
    assert cuped.relative_effect(control, test).removed == pytest.approx(adjusted.removed, abs=0.02)


@pytest.mark.parametrize("z", [0.5, None])
def test_a_covariate_that_says_nothing_changes_nothing(z: float | None) -> None:
    control = CupedSums.of([1, 2, 0], [3, 2, 1], [z] * 3)
    test = CupedSums.of([2, 2, 1], [3, 4, 1], [z] * 3)
    found, plain = cuped.effect(control, test), ratios.effect(control.ratios, test.ratios)
    assert (found.effect.estimate, found.effect.variance) == pytest.approx((plain.estimate, plain.variance))
    assert found.removed == pytest.approx(0)


def test_a_like_rate_that_only_says_who_was_there_before_counts_once() -> None:
    y, x = [1, 2, 0, 3, 1], [3, 2, 1, 4, 3]
    seen = [CupedSums.of(part, x, [0.5, None, 0.5, 0.5, None]) for part in (y, y[::-1])]
    unlike = [CupedSums.of(part, x, [0.0, None, 0.0, 0.0, None]) for part in (y, y[::-1])]
    first, second = cuped.effect(*seen).effect, cuped.effect(*unlike).effect
    assert (first.estimate, first.variance) == pytest.approx((second.estimate, second.variance))


def test_a_difference_and_a_lift_mirror_and_agree() -> None:
    rng = np.random.default_rng(3)
    control, test = world(rng, 500), world(rng, 700, better=0.05)
    there, back = cuped.difference(control, test), cuped.difference(test, control)
    assert (there.estimate, there.low) == pytest.approx((-back.estimate, -back.high))
    up, down = cuped.lift(control, test), cuped.lift(test, control)
    assert (1 + up.estimate) * (1 + down.estimate) == pytest.approx(1)
    assert cuped.effect(control, test).interval().holds(0.05)


def test_impossible_input_is_refused_and_too_little_says_nothing() -> None:
    with pytest.raises(ValueError, match="no users can have"):
        CupedSums(users=1, m=2.0)
    with pytest.raises(ValueError, match="shorter"):
        CupedSums.of([1.0], [1.0], [])
    with pytest.raises(NotEnough):
        cuped.difference(CupedSums(), CupedSums.of([1, 2], [1, 1], [None, 0.1]))
    with pytest.raises(NotEnough):
        cuped.lift(CupedSums.of([0, 0], [1, 1], [0.2, 0.1]), CupedSums.of([1, 2], [1, 1], [None, 0.1]))
