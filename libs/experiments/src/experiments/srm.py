"""Sample ratio mismatch: did assignment split the users as its weights say? If not, no other result can be trusted.

Fabijan et al., "Diagnosing Sample Ratio Mismatch in Online Controlled Experiments" (KDD 2019). Counted are the users
who were assigned, by the weight period of their first assignment, never those who went on to do something.

Sequential, so that one may look each day: Lindon & Malek, "Anytime-Valid Inference for Multinomial Count Data" (NeurIPS
2022), section 2: the Bayes factor of a Dirichlet(k w) prior on the shares against the weights w,

    B = Gamma(k) / Gamma(k + n) * prod_g Gamma(k w_g + n_g) / Gamma(k w_g) / w_g^n_g

is a martingale from 1 if the weights hold, so 1 / B is an always-valid p-value. Two concentrations k, averaged, see
both a gross fault after some dozens of users and a slight one after many; the average of martingales is one. Periods
follow each other, so their factors multiply.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, isfinite, lgamma, log

from experiments.effects import NotEnough

THRESHOLD = 0.01
"""A split check fails below it: of sound experiments one in a hundred at most, over all looks of each (simulated, with
daily looks: one in two thousand, since a martingale that is seen once a day rarely reaches its bound)."""

TOLERATED, FEWEST_STRAYS = 0.001, 10
"""Of the users, and at least: so many may be where they cannot be, as one process that had not heard of new weights
assigns them for a moment. More of them are a fault of the assignment."""

CONCENTRATIONS = (10.0, 10_000.0)


@dataclass(frozen=True, slots=True)
class Period:
    """While the weights stood: users assigned to each group, and the groups' weights, in one order.

    Weights need not add up to 1. A group of weight 0 has no users; those that it has are strays.
    Raises ValueError for negative counts or weights, unequal lengths, or no weight at all.
    """

    counts: tuple[int, ...]
    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.counts) != len(self.weights) or min(self.counts, default=0) < 0:
            raise ValueError(f"a count a group, not {self.counts} for {len(self.weights)} weights")
        if min(self.weights, default=-1) < 0 or sum(self.weights) == 0 or not all(isfinite(w) for w in self.weights):
            raise ValueError(f"weights that are not negative, and some weight, not {self.weights}")

    def __add__(self, other: Period) -> Period:
        """The counts of both, of one period of weights. Raises ValueError where the weights differ."""
        if self.weights != other.weights:
            raise ValueError(f"two periods of weights: {self.weights} and {other.weights}")
        return Period(tuple(a + b for a, b in zip(self.counts, other.counts, strict=True)), self.weights)

    @property
    def users(self) -> int:
        return sum(self.counts)

    @property
    def strays(self) -> int:
        """Users in a group without weight."""
        return sum(count for count, weight in zip(self.counts, self.weights, strict=True) if not weight)

    @property
    def shares(self) -> list[tuple[int, float]]:
        """Of each group that has weight: users, and the share that they should be."""
        total = sum(self.weights)
        return [(count, weight / total) for count, weight in zip(self.counts, self.weights, strict=True) if weight]


@dataclass(frozen=True, slots=True)
class SplitCheck:
    """p: always valid; it may be looked at each day."""

    p: float
    users: int
    threshold: float
    strays: int = 0

    @property
    def failed(self) -> bool:
        return self.p < self.threshold


def check(periods: Sequence[Period], threshold: float = THRESHOLD, strays: int = 0) -> SplitCheck:
    """Over all periods so far; strays: users of no period at all. Its p is 0 where more have strayed than is tolerated.

    Raises NotEnough without users; ValueError for a threshold outside (0, 1).
    """
    if not 0 < threshold < 1:
        raise ValueError(f"a threshold between 0 and 1, not {threshold:g}")
    users, strays = sum(period.users for period in periods), strays + sum(period.strays for period in periods)
    p = 0.0 if strays > max(FEWEST_STRAYS, TOLERATED * users) else sequential_p_value(periods)
    return SplitCheck(p, users, threshold, strays)


def sequential_p_value(periods: Sequence[Period], concentrations: Sequence[float] = CONCENTRATIONS) -> float:
    """Always valid: under alpha at some look with a chance of alpha at most, if the weights hold.

    concentrations: of the priors that are averaged, each in users' worth, above 0. Raises NotEnough without users.
    """
    if not any(period.users for period in periods):
        raise NotEnough("no users were assigned")
    return exp(min(0.0, -sum(_log_bayes_factor(period, concentrations) for period in periods)))


def _log_bayes_factor(period: Period, concentrations: Sequence[float]) -> float:
    logs = [_log_factor(period.shares, concentration) for concentration in concentrations]
    top = max(logs)
    return top + log(sum(exp(value - top) for value in logs) / len(logs))


def _log_factor(shares: Sequence[tuple[int, float]], k: float) -> float:
    n = sum(count for count, _ in shares)
    groups = (lgamma(k * w + count) - lgamma(k * w) - count * log(w) for count, w in shares)
    return lgamma(k) - lgamma(k + n) + sum(groups)
