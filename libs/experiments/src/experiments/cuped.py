"""A difference of rates with less noise: what users did before the experiment explains part of what they do in it.

Deng, Xu, Kohavi & Walker, "Improving the Sensitivity of Online Controlled Experiments by Utilizing Pre-Experiment Data"
(WSDM 2013), section 3, control variates; a ratio of sums: its appendix on other analysis units, and for the
linearisation Deng, Knoblich & Lu (KDD 2018), section 4.

The covariates of a user: a, the views, and b, the likes, strictly before the first assignment; 0 and 0 of who is new.
Together they say how active a user is and how easily the user likes, which a rate of likes alone does not.

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

from experiments.effects import Effect, Interval, Rate, absolute
from experiments.ratios import RatioSums

_DEGENERATE = 1e-9  # of a covariate's squares: less variance than that is rounding


@dataclass(frozen=True, slots=True)
class CupedSums:
    """Sufficient statistics of users with y, x (as RatioSums) and the covariates a and b."""

    users: int = 0
    y: float = 0.0
    x: float = 0.0
    yy: float = 0.0
    xx: float = 0.0
    xy: float = 0.0
    a: float = 0.0
    b: float = 0.0
    aa: float = 0.0
    bb: float = 0.0
    ab: float = 0.0
    ya: float = 0.0
    yb: float = 0.0
    xa: float = 0.0
    xb: float = 0.0

    def __post_init__(self) -> None:
        if not all(map(isfinite, _values(self))) or min(self.aa, self.bb) < 0:
            raise ValueError(f"sums that no users can have: {self}")
        _ = self.ratios  # refuses what is wrong with its part

    @classmethod
    def of(cls, y: Sequence[float], x: Sequence[float], a: Sequence[float], b: Sequence[float]) -> Self:
        """One entry a user. Raises ValueError for unequal lengths."""
        columns = {"y": y, "x": x, "a": a, "b": b}
        if len({len(column) for column in columns.values()}) > 1:
            raise ValueError(f"an entry a user, not {[len(column) for column in columns.values()]}")
        sums = {name: float(sum(column)) for name, column in columns.items()}
        for pair in ("yy", "xx", "xy", "aa", "bb", "ab", "ya", "yb", "xa", "xb"):
            sums[pair] = float(sum(p * q for p, q in zip(columns[pair[0]], columns[pair[1]], strict=True)))
        return cls(users=len(y), **sums)

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
    rates = [Rate(_adjusted(sums, both, theta), _variance(sums, theta), sums.users) for sums in (control, test)]
    adjusted = absolute(*rates)
    return Adjusted(adjusted, 1 - adjusted.variance / plain.variance)


def difference(control: CupedSums, test: CupedSums, confidence: float = 0.95) -> Interval:
    """test - control, adjusted, at a horizon fixed in advance. Raises as ratios.difference."""
    return effect(control, test).interval(confidence)


def _means(sums: CupedSums) -> tuple[float, float]:
    return sums.a / sums.users, sums.b / sums.users


def _covariates(sums: CupedSums) -> tuple[float, float, float]:
    """Sample var a, cov a b, var b."""
    n, (a, b) = sums.users, _means(sums)
    return (sums.aa - n * a * a) / (n - 1), (sums.ab - n * a * b) / (n - 1), (sums.bb - n * b * b) / (n - 1)


def _with_ratio(sums: CupedSums) -> tuple[float, float]:
    """Sample covariance of (y - r x) / mean x, whose mean is 0, with a and with b."""
    n, r = sums.users, sums.ratios.ratio
    scale = n / (n - 1) / sums.x
    return scale * (sums.ya - r * sums.xa), scale * (sums.yb - r * sums.xb)


def _theta(both: CupedSums) -> tuple[float, float]:
    """var(c)^-1 cov(c, ratio); of a covariate that does not vary, or only says what the other says, 0."""
    (aa, ab, bb), (ra, rb) = _covariates(both), _with_ratio(both)
    varies, other_varies = aa > _DEGENERATE * both.aa / both.users, bb > _DEGENERATE * both.bb / both.users
    determinant = aa * bb - ab * ab
    if varies and other_varies and determinant > _DEGENERATE * aa * bb:
        return (bb * ra - ab * rb) / determinant, (aa * rb - ab * ra) / determinant
    if varies:
        return ra / aa, 0.0
    return 0.0, (rb / bb if other_varies else 0.0)


def _adjusted(sums: CupedSums, both: CupedSums, theta: Sequence[float]) -> float:
    moves = (pull * (mean - centre) for pull, mean, centre in zip(theta, _means(sums), _means(both), strict=True))
    return sums.ratios.ratio - sum(moves)


def _variance(sums: CupedSums, theta: Sequence[float]) -> float:
    """Of the mean of (y - r x) / mean x - theta . (a, b)."""
    (aa, ab, bb), (ra, rb), (p, q) = _covariates(sums), _with_ratio(sums), theta
    explained = 2 * (p * ra + q * rb) - (p * p * aa + 2 * p * q * ab + q * q * bb)
    return max(sums.ratios.variance - explained / sums.users, 0.0)
