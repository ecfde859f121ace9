"""A difference of rates with less noise: what users liked before the experiment explains part of what they like in it.

Deng, Xu, Kohavi & Walker, "Improving the Sensitivity of Online Controlled Experiments by Utilizing Pre-Experiment Data"
(WSDM 2013), section 3, control variates; a ratio of sums: its appendix on other analysis units, and for the
linearisation Deng, Knoblich & Lu (KDD 2018), section 4.

The covariates of a user: z, the rate of likes strictly before the first assignment; where there is none, z is 0 and m
is 1 (missing = mean plus indicator: the coefficient of m takes up whatever mean one would fill in; Cohen & Cohen,
"Applied Multiple Regression" 1983, chapter 7).

A ratio r = sum y / sum x is to first order a mean of (y - r x) / mean x, so adjusting the numerator by cov(y, c) and
the denominator by cov(x, c) is adjusting that mean by theta . c, with theta = var(c)^-1 (cov(y, c) - r cov(x, c)) /
mean x. theta, r and mean x are those of all users of both groups; a group's adjusted rate is

    r_group - theta . (mean c of the group - mean c of both groups)

The covariates precede the first assignment, so their difference between the groups is chance: the estimate stays
unbiased.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from math import isfinite
from operator import add, attrgetter
from typing import Self

from experiments.effects import Effect, Interval, NotEnough, Rate, absolute, relative
from experiments.ratios import RatioSums

_DEGENERATE = 1e-9  # of a covariate's squares: less variance than that is rounding


@dataclass(frozen=True, slots=True)
class CupedSums:
    """Sufficient statistics of users with y, x (as RatioSums), z (0 where missing) and m (1 where missing, else 0).

    Of the products with m, m m is m and z m is 0: they need no sums of their own.
    """

    users: int = 0
    y: float = 0.0
    x: float = 0.0
    yy: float = 0.0
    xx: float = 0.0
    xy: float = 0.0
    z: float = 0.0
    zz: float = 0.0
    yz: float = 0.0
    xz: float = 0.0
    m: float = 0.0
    ym: float = 0.0
    xm: float = 0.0

    def __post_init__(self) -> None:
        if not all(map(isfinite, _values(self))) or self.zz < 0 or not 0 <= self.m <= self.users:
            raise ValueError(f"sums that no users can have: {self}")
        _ = self.ratios  # refuses what is wrong with its part

    @classmethod
    def of(cls, y: Sequence[float], x: Sequence[float], z: Sequence[float | None]) -> Self:
        """One entry a user; z is None where missing. Raises ValueError for unequal lengths."""
        rows = [(a, b, c or 0.0, float(c is None)) for a, b, c in zip(y, x, z, strict=True)]
        ratios = RatioSums.of(y, x)
        return cls(
            users=ratios.users,
            y=ratios.y,
            x=ratios.x,
            yy=ratios.yy,
            xx=ratios.xx,
            xy=ratios.xy,
            z=float(sum(c for _, _, c, _ in rows)),
            zz=float(sum(c * c for _, _, c, _ in rows)),
            yz=float(sum(a * c for a, _, c, _ in rows)),
            xz=float(sum(b * c for _, b, c, _ in rows)),
            m=float(sum(m for _, _, _, m in rows)),
            ym=float(sum(a * m for a, _, _, m in rows)),
            xm=float(sum(b * m for _, b, _, m in rows)),
        )

    def __add__(self, other: CupedSums) -> CupedSums:
        """Of the users of both; no user may be in both."""
        return CupedSums(*map(add, _values(self), _values(other)))

    @property
    def ratios(self) -> RatioSums:
        """Without the covariates."""
        return RatioSums(self.users, self.y, self.x, self.yy, self.xx, self.xy)


_values = attrgetter(*(field.name for field in fields(CupedSums)))


@dataclass(frozen=True, slots=True)
class Adjusted:
    """An effect, and the share of variance that the covariates removed (0.4: as if there were 1 / 0.6 the users)."""

    effect: Effect
    removed: float

    def interval(self, confidence: float = 0.95) -> Interval:
        """At a horizon fixed in advance; for daily looks, `sequential.interval` of `effect`. Raises as Effect's."""
        return self.effect.interval(confidence)


def effect(control: CupedSums, test: CupedSums) -> Adjusted:
    """test - control, adjusted. A covariate without variance adjusts nothing. Raises NotEnough as ratios.effect."""
    plain = absolute(control.ratios.rate, test.ratios.rate)
    both = control + test
    theta = _theta(both)
    rates = [Rate(_adjusted(s, both, theta), _variance(s, 1.0, theta), s.users) for s in (control, test)]
    return _judged(plain, absolute(*rates))


def relative_effect(control: CupedSums, test: CupedSums) -> Adjusted:
    """test / control - 1, of the adjusted rates. Raises NotEnough, so too where control's adjusted rate is 0.

    Delta method. The mean that both rates are adjusted to is an estimate too and moves them together, which a
    difference does not feel and a lift does: hence the factors of theta, which are those of the rates where there is no
    lift.
    """
    plain = relative(control.ratios.rate, test.ratios.rate)
    both = control + test
    theta = _theta(both)
    c, t = (_adjusted(sums, both, theta) for sums in (control, test))
    if c == 0:
        raise NotEnough("a lift over nothing: control's rate is 0")
    q, share = t / c, test.users / both.users
    variances = (
        _variance(control, q / c, [a * (q + (1 - q) * (1 - share)) / c for a in theta]),
        _variance(test, 1 / c, [a * (1 - (1 - q) * share) / c for a in theta]),
    )
    return _judged(plain, Effect(q - 1, sum(variances), both.users))


def difference(control: CupedSums, test: CupedSums, confidence: float = 0.95) -> Interval:
    """test - control, adjusted, at a horizon fixed in advance. Raises as ratios.difference."""
    return effect(control, test).interval(confidence)


def lift(control: CupedSums, test: CupedSums, confidence: float = 0.95) -> Interval:
    """test / control - 1, adjusted, at a horizon fixed in advance. Raises as ratios.lift."""
    return relative_effect(control, test).interval(confidence)


def _judged(plain: Effect, adjusted: Effect) -> Adjusted:
    return Adjusted(adjusted, 1 - adjusted.variance / plain.variance)


def _means(sums: CupedSums) -> tuple[float, float]:
    return sums.z / sums.users, sums.m / sums.users


def _covariates(sums: CupedSums) -> tuple[float, float, float]:
    """Sample var z, cov z m, var m."""
    n, (z, m) = sums.users, _means(sums)
    return (sums.zz - n * z * z) / (n - 1), -n * z * m / (n - 1), (sums.m - n * m * m) / (n - 1)


def _with_ratio(sums: CupedSums) -> tuple[float, float]:
    """Sample covariance of (y - r x) / mean x, whose mean is 0, with z and with m."""
    n, r = sums.users, sums.ratios.ratio
    scale = n / (n - 1) / sums.x
    return scale * (sums.yz - r * sums.xz), scale * (sums.ym - r * sums.xm)


def _theta(both: CupedSums) -> tuple[float, float]:
    """var(c)^-1 cov(c, ratio); of a covariate that does not vary, or only says what the other says, 0."""
    (zz, zm, mm), (rz, rm) = _covariates(both), _with_ratio(both)
    varies = zz > _DEGENERATE * both.zz / both.users
    misses = mm > 0 and 0 < both.m < both.users
    determinant = zz * mm - zm * zm
    if varies and misses and determinant > _DEGENERATE * zz * mm:
        return (mm * rz - zm * rm) / determinant, (zz * rm - zm * rz) / determinant
    if varies:
        return rz / zz, 0.0
    return 0.0, (rm / mm if misses else 0.0)


def _adjusted(sums: CupedSums, both: CupedSums, theta: Sequence[float]) -> float:
    moves = (a * (mean - centre) for a, mean, centre in zip(theta, _means(sums), _means(both), strict=True))
    return sums.ratios.ratio - sum(moves)


def _variance(sums: CupedSums, scale: float, pull: Sequence[float]) -> float:
    """Of the mean of scale * (y - r x) / mean x - pull . (z, m)."""
    (zz, zm, mm), (rz, rm), (a, b) = _covariates(sums), _with_ratio(sums), pull
    explained = 2 * scale * (a * rz + b * rm) - (a * a * zz + 2 * a * b * zm + b * b * mm)
    return max(scale**2 * sums.ratios.variance - explained / sums.users, 0.0)
