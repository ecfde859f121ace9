"""Rates and their difference between two groups, from sums that add up over users, days and machines.

A user's requests are not independent of each other, so likes per view is a ratio of two means over users, and its
variance comes by the delta method: Deng, Knoblich & Lu, "Applying the Delta Method in Metric Analytics" (KDD 2018),
section 4. With every denominator 1 and numerators 0 or 1 it is the textbook interval of two proportions, unpooled
(Agresti & Caffo 2000, equation 1), up to the factor n / (n - 1) of the sample variance.

Hit rate per exposure: y hits, x exposures of a user. Likes per user: y likes, x 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Self

from experiments.effects import Effect, Interval, NotEnough, Rate, absolute, relative

__all__ = ["Interval", "NotEnough", "RatioSums", "difference", "effect", "lift", "p_value", "relative_effect"]

_ROUNDING = 1e-12  # of the squares that go in: a variance below it is the rounding of sums, not of users


@dataclass(frozen=True, slots=True)
class RatioSums:
    """Sufficient statistics of sum(y) / sum(x) over users; y: the numerator, x: the denominator of one user."""

    users: int = 0
    y: float = 0.0
    x: float = 0.0
    yy: float = 0.0
    xx: float = 0.0
    xy: float = 0.0

    def __post_init__(self) -> None:
        sums = (self.y, self.x, self.yy, self.xx, self.xy)
        if self.users < 0 or min(self.x, self.yy, self.xx) < 0 or not all(isfinite(value) for value in sums):
            raise ValueError(f"sums that no users can have: {self}")

    @classmethod
    def of(cls, y: Sequence[float], x: Sequence[float] | None = None) -> Self:
        """One entry a user; without x a plain mean. Raises ValueError for unequal lengths."""
        x = [1.0] * len(y) if x is None else x
        pairs = list(zip(y, x, strict=True))
        return cls(
            users=len(pairs),
            y=float(sum(y)),
            x=float(sum(x)),
            yy=float(sum(a * a for a in y)),
            xx=float(sum(b * b for b in x)),
            xy=float(sum(a * b for a, b in pairs)),
        )

    def __add__(self, other: RatioSums) -> RatioSums:
        """Of the users of both; no user may be in both."""
        return RatioSums(
            self.users + other.users,
            self.y + other.y,
            self.x + other.x,
            self.yy + other.yy,
            self.xx + other.xx,
            self.xy + other.xy,
        )

    @property
    def ratio(self) -> float:
        """Raises NotEnough."""
        if self.x <= 0:
            raise NotEnough("a ratio of nothing: the denominators add up to 0")
        return self.y / self.x

    @property
    def variance(self) -> float:
        """Of `ratio`: (var y - 2 r cov xy + r^2 var x) / (n mean(x)^2). Raises NotEnough for fewer than two users."""
        if self.users < 2:
            raise NotEnough("a variance needs two users")
        n, r = self.users, self.ratio
        squares = self.yy - 2 * r * self.xy + r * r * self.xx  # of y - r x, whose mean is 0
        if squares <= _ROUNDING * (self.yy + r * r * self.xx):
            return 0.0
        return squares / (n - 1) * n / self.x**2

    @property
    def effective_users(self) -> float:
        """On how many users the ratio stands: of one user who outweighs all others, 1; of likers who are alike, all.

        (sum w)^2 / sum w^2 of numerators or denominators, whichever is less: Kish, "Survey Sampling" (1965), section
        11.7. The central limit theorem wants some hundred of them, however many users stand beside.
        """
        return min(_effective(self.y, self.yy), _effective(self.x, self.xx))

    @property
    def rate(self) -> Rate:
        """Raises NotEnough for fewer than two users, or nothing to divide by."""
        return Rate(self.ratio, self.variance, self.users)


def effect(control: RatioSums, test: RatioSums) -> Effect:
    """test - control. The groups hold different users. Raises NotEnough."""
    return absolute(control.rate, test.rate)


def relative_effect(control: RatioSums, test: RatioSums) -> Effect:
    """test / control - 1. The groups hold different users. Raises NotEnough; so too where control's ratio is 0."""
    return relative(control.rate, test.rate)


def difference(control: RatioSums, test: RatioSums, confidence: float = 0.95) -> Interval:
    """test - control, in the metric's units, at a horizon fixed in advance.

    Raises NotEnough; ValueError for a confidence outside (0, 1).
    """
    return effect(control, test).interval(confidence)


def lift(control: RatioSums, test: RatioSums, confidence: float = 0.95) -> Interval:
    """test / control - 1 (0.05 is 5 %), at a horizon fixed in advance.

    Raises NotEnough, so too where control's ratio is 0; ValueError for a confidence outside (0, 1).
    """
    return relative_effect(control, test).interval(confidence)


def p_value(control: RatioSums, test: RatioSums) -> float:
    """Two-sided, that both groups have one rate; z test, at a horizon fixed in advance. Raises NotEnough."""
    return effect(control, test).p_value()


def _effective(total: float, squares: float) -> float:
    return total * total / squares if squares else 0.0
