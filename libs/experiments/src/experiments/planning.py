"""How many users, how many days, how small an effect: before the experiment starts.

A rate's estimate from n users has variance v / n, with v the variance per user of the linearised ratio (`RatioSums`).
Who likes more varies more: where the change is the same share of each user's rate r, test's variance is g v with

    g = (1 + change / r)^2, and 1 for a change downwards

With z = the bound that the estimate over its error must pass, and a share s of users in test,

    users = v (z + z_power)^2 / change^2 (1 / (1 - s) + g / s)

van Belle, "Statistical Rules of Thumb" (2008), section 2.1, and Kohavi, Tang & Xu, "Trustworthy Online Controlled
Experiments" (2020), chapter 15 (16 v / change^2 a group at 80 % and 50:50). Who looks each day plans with the
sequential bound at the plan, which is wider; earlier looks only add to the power.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count, pairwise
from math import ceil, isfinite, sqrt
from statistics import NormalDist
from typing import Literal

from experiments import sequential
from experiments.effects import NotEnough, proper
from experiments.ratios import RatioSums

Looks = Literal["one", "daily"]

_normal = NormalDist()


@dataclass(frozen=True, slots=True)
class Users:
    """Of each group."""

    control: int
    test: int

    def __post_init__(self) -> None:
        if min(self.control, self.test) < 1:
            raise ValueError(f"users in both groups, not {self.control} and {self.test}")

    @property
    def total(self) -> int:
        return self.control + self.test


def users_needed(
    sums: RatioSums,
    change: float,
    *,
    power: float = 0.8,
    confidence: float = 0.95,
    test_share: float = 0.5,
    looks: Looks = "one",
    removed: float = 0.0,
) -> Users:
    """To find a change of this size, in the metric's units, with this power, by a two-sided test.

    sums: users like those to come, of either group or both. removed: the share of variance that CUPED takes (0 to 1).
    Raises NotEnough where the sums don't say their variance; ValueError for no change, or shares outside (0, 1).
    """
    if not change or not isfinite(change):
        raise ValueError(f"a change to be found, not {change:g}")
    share = proper(test_share)
    reach = _bound(looks, confidence) + _normal.inv_cdf(proper(power))
    spread = 1 / (1 - share) + _growth(sums, change) / share
    users = _per_user(sums, removed) * (reach / change) ** 2 * spread
    return Users(ceil(users * (1 - share)), ceil(users * share))


def minimal_effect(
    sums: RatioSums,
    users: Users,
    *,
    power: float = 0.8,
    confidence: float = 0.95,
    looks: Looks = "one",
    removed: float = 0.0,
) -> float:
    """The change upwards, in the metric's units, that so many users find with this power.

    Raises as `users_needed`; NotEnough where no change is large enough, since test's variance grows with it.
    """
    reach, rate = _bound(looks, confidence) + _normal.inv_cdf(proper(power)), sums.ratio
    a, b = (reach**2 * _per_user(sums, removed) / many for many in (users.control, users.test))
    left = 1 - b / rate**2 if rate else 1.0
    if left <= 0:
        raise NotEnough("too few users to find any change")
    half = b / rate if rate else 0.0  # of left c^2 - 2 half c - (a + b) = 0
    return (half + sqrt(half**2 + left * (a + b))) / left


def power(
    sums: RatioSums,
    change: float,
    users: Users,
    *,
    confidence: float = 0.95,
    looks: Looks = "one",
    removed: float = 0.0,
) -> float:
    """The chance that so many users find this change, on either side; with daily looks, at the last one alone.

    Raises as `users_needed`, but takes no change: its power is 1 - confidence at one look.
    """
    bound, moved = _bound(looks, confidence), change / _error(sums, users, removed, change)
    return _normal.cdf(moved - bound) + _normal.cdf(-moved - bound)


def days_needed(users: Users, arrivals: float | Sequence[float]) -> int:
    """Whole days until both groups together have their users.

    arrivals: new users a day, as long as it takes; or users so far at the end of day 1, 2, ..., which flatten as the
    same users come back. Raises NotEnough where the days listed don't suffice, or none arrive; ValueError where users
    get fewer.
    """
    if isinstance(arrivals, int | float):
        if arrivals <= 0:
            raise NotEnough("no users arrive")
        return ceil(users.total / arrivals)
    if any(later < earlier for earlier, later in pairwise(arrivals)):
        raise ValueError("users so far only grow")
    reached = (day for day, so_far in zip(count(1), arrivals, strict=False) if so_far >= users.total)
    if (day := next(reached, None)) is None:
        raise NotEnough(f"{users.total} users don't arrive within {len(arrivals)} days")
    return day


def _bound(looks: Looks, confidence: float) -> float:
    if looks == "daily":
        return sequential.bound(1, 1, confidence)
    return _normal.inv_cdf((1 + proper(confidence)) / 2)


def _per_user(sums: RatioSums, removed: float) -> float:
    if not 0 <= removed < 1:
        raise ValueError(f"a share of variance from 0 to below 1, not {removed:g}")
    if sums.variance == 0:
        raise NotEnough("users who don't differ: no variance")
    return sums.variance * sums.users * (1 - removed)


def _growth(sums: RatioSums, change: float) -> float:
    return max(1.0, 1 + change / sums.ratio) ** 2 if sums.ratio else 1.0


def _error(sums: RatioSums, users: Users, removed: float, change: float) -> float:
    return sqrt(_per_user(sums, removed) * (1 / users.control + _growth(sums, change) / users.test))
