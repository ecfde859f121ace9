"""An effect: how far test lies from control, with its variance. Every interval and p-value here comes from one.

Two independent estimates, each near normal for many users, have a difference whose variance is the sum of theirs. Their
relative difference t / c - 1 has variance var t / c^2 + t^2 var c / c^4, by the delta method: Deng, Knoblich & Lu,
"Applying the Delta Method in Metric Analytics" (KDD 2018), section 3 (percent changes; independent groups have no
covariance).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import erfc, isfinite, sqrt
from statistics import NormalDist


class NotEnough(ValueError):
    """The data do not say it: too few users, nothing to divide by, or users who don't differ."""


@dataclass(frozen=True, slots=True)
class Interval:
    """In the units of the metric, or of the lift (0.05 is 5 %)."""

    estimate: float
    low: float
    high: float
    confidence: float

    def holds(self, value: float) -> bool:
        return self.low <= value <= self.high


@dataclass(frozen=True, slots=True)
class Rate:
    """A group's metric: its estimate, the estimate's variance (not a user's), and from how many users."""

    value: float
    variance: float
    users: int

    def __post_init__(self) -> None:
        _refuse_impossible(self.value, self.variance, self.users)


@dataclass(frozen=True, slots=True)
class Effect:
    """test - control, or test / control - 1: the estimate, its variance, and the users of both groups."""

    estimate: float
    variance: float
    users: int

    def __post_init__(self) -> None:
        _refuse_impossible(self.estimate, self.variance, self.users)

    @property
    def error(self) -> float:
        """The standard error. Raises NotEnough where it is 0: users who are all alike say nothing of those to come."""
        if self.variance <= 0:
            raise NotEnough("users who don't differ: no variance")
        return sqrt(self.variance)

    def interval(self, confidence: float = 0.95) -> Interval:
        """At a horizon fixed in advance: estimate -+ z error (Wald). Who looks each day takes `sequential.interval`.

        Raises NotEnough; ValueError for a confidence outside (0, 1).
        """
        half = NormalDist().inv_cdf((1 + proper(confidence)) / 2) * self.error
        return Interval(self.estimate, self.estimate - half, self.estimate + half, confidence)

    def p_value(self, of: float = 0.0) -> float:
        """Two-sided, that the truth is `of`; at a horizon fixed in advance. Raises NotEnough."""
        return erfc(abs(self.estimate - of) / self.error / sqrt(2))


def absolute(control: Rate, test: Rate) -> Effect:
    """test - control, in the metric's units. Raises NotEnough for a group without variance, as one without likes."""
    _refuse_alike(control, test)
    return Effect(test.value - control.value, control.variance + test.variance, control.users + test.users)


def relative(control: Rate, test: Rate) -> Effect:
    """test / control - 1: the lift. Raises NotEnough where control's rate is 0, or a group has no variance."""
    if control.value == 0:
        raise NotEnough("a lift over nothing: control's rate is 0")
    _refuse_alike(control, test)
    c, t = control.value, test.value
    return Effect(t / c - 1, test.variance / c**2 + t**2 * control.variance / c**4, control.users + test.users)


def proper(confidence: float) -> float:
    """The same, if it is one. Raises ValueError outside (0, 1)."""
    if not 0 < confidence < 1:
        raise ValueError(f"a confidence between 0 and 1, not {confidence:g}")
    return confidence


def _refuse_alike(*groups: Rate) -> None:
    if any(group.variance <= 0 for group in groups):
        raise NotEnough("a group whose users don't differ: no variance")


def _refuse_impossible(value: float, variance: float, users: int) -> None:
    if not (isfinite(value) and isfinite(variance)) or variance < 0 or users < 0:
        raise ValueError(f"no estimate: {value:g}, variance {variance:g}, users {users}")
