"""A high quantile, such as latency's p99, and its difference between two groups, from counts in bins that add up.

A quantile's interval runs between the values at two ranks, n q -+ z sqrt(n q (1 - q)): the order-statistic interval,
Conover, "Practical Nonparametric Statistics" (1999), section 3.2. A user's requests are alike, so the ranks' distance
is stretched by sqrt(design effect): Deng, Knoblich & Lu (KDD 2018), section 5. Two intervals make one of the difference
by Zou & Donner, "Construction of confidence limits about effect measures" (Statistics in Medicine 2008), section 2:

    t - c  -sqrt((t - low t)^2 + (high c - c)^2)  to  t - c  +sqrt((high t - t)^2 + (c - low c)^2)

Within a bin, values are taken to lie evenly (as Prometheus does): an answer is no finer than the bins.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import hypot, sqrt
from statistics import NormalDist

from experiments.effects import Interval, NotEnough, proper
from experiments.ratios import RatioSums


@dataclass(frozen=True, slots=True)
class Histogram:
    """counts[i]: values above bounds[i - 1] (or 0) up to bounds[i]; the last count, one more than bounds: above all.

    Raises ValueError for bounds that don't rise from above 0, or counts that don't fit them.
    """

    bounds: tuple[float, ...]
    counts: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.bounds or any(high <= low for low, high in zip((0.0, *self.bounds), self.bounds, strict=False)):
            raise ValueError(f"bounds that rise from above 0, not {self.bounds}")
        if len(self.counts) != len(self.bounds) + 1 or min(self.counts) < 0:
            raise ValueError(f"{len(self.bounds) + 1} counts, not {self.counts}")

    @classmethod
    def of(cls, values: Sequence[float], bounds: Sequence[float]) -> Histogram:
        counts = [0] * (len(bounds) + 1)
        for value in values:
            counts[bisect_left(bounds, value)] += 1
        return cls(tuple(bounds), tuple(counts))

    def __add__(self, other: Histogram) -> Histogram:
        """Raises ValueError where the bounds differ."""
        if self.bounds != other.bounds:
            raise ValueError("two histograms of other bounds don't add up")
        return Histogram(self.bounds, tuple(a + b for a, b in zip(self.counts, other.counts, strict=True)))

    @property
    def n(self) -> int:
        return sum(self.counts)

    def at(self, rank: float) -> float:
        """The value below which so many lie. Raises NotEnough for a rank outside 0 to n, or above all bounds."""
        below = list(accumulate(self.counts, initial=0))
        if not 0 <= rank <= self.n or not self.n:
            raise NotEnough(f"{self.n} values don't say where rank {rank:g} lies")
        index = max(bisect_left(below, rank) - 1, 0)
        if index >= len(self.bounds):
            raise NotEnough(f"rank {rank:g} lies above the last bound, {self.bounds[-1]:g}")
        low = self.bounds[index - 1] if index else 0.0
        return low + (self.bounds[index] - low) * (rank - below[index]) / max(self.counts[index], 1)


def design_effect(over: RatioSums) -> float:
    """How many times the variance is that of independent requests; 1 or more, as a user's are alike.

    over: y: a user's requests above (or below) about the quantile, x: all of the user's requests. Raises NotEnough.
    """
    share = over.ratio
    if not 0 < share < 1:
        raise NotEnough("no request on one side of the quantile")
    return max(1.0, over.variance * over.x / (share * (1 - share)))


def interval(
    values: Histogram, q: float, confidence: float = 0.95, *, design: float = 1.0, bound: float | None = None
) -> Interval:
    """Of the quantile q (0.99: p99), in the values' units.

    design: a `design_effect`. bound: in z's place, for daily looks `sequential.bound(users, planned_users,
    confidence)`. Raises NotEnough where the ranks lie outside the values; ValueError for a q or confidence outside (0,
    1), a design below 1.
    """
    if design < 1:
        raise ValueError(f"a design effect of 1 or more, not {design:g}")
    n, z = values.n, bound if bound is not None else NormalDist().inv_cdf((1 + proper(confidence)) / 2)
    half = z * sqrt(n * proper(q) * (1 - q) * design)
    return Interval(values.at(n * q), values.at(n * q - half), values.at(n * q + half), proper(confidence))


def difference(control: Interval, test: Interval) -> Interval:
    """test - control, from the interval of each, of one confidence. Raises ValueError where the confidences differ."""
    if control.confidence != test.confidence:
        raise ValueError(f"one confidence, not {control.confidence:g} and {test.confidence:g}")
    estimate = test.estimate - control.estimate
    down = hypot(test.estimate - test.low, control.high - control.estimate)
    up = hypot(test.high - test.estimate, control.estimate - control.low)
    return Interval(estimate, estimate - down, estimate + up, control.confidence)
