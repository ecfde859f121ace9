"""Whether a series of measurements stays what it was.

The rule: the median of the last fifth of a run beside that of its second fifth; the first fifth is for warming up. Of
memory it may be 5 % more, and half a megabyte where that is more. Of a latency 5 %, and as much as its own quartiles
lie from each other where that is more: what comes and goes within a minute is no growth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

SHARE = 0.05
MEGABYTES = 0.5
FEWEST = 10
"""Measurements for a judgement: two in each fifth."""


@dataclass(frozen=True, slots=True)
class Flatness:
    before: float
    after: float
    tolerance: float
    """By which `after` may lie above `before`."""

    @property
    def holds(self) -> bool:
        return self.after - self.before <= self.tolerance

    @property
    def growth(self) -> float:
        """As a share."""
        return self.after / self.before - 1


def of_memory(megabytes: Sequence[float]) -> Flatness:
    before, after = _fifths(megabytes)
    return Flatness(before, after, max(SHARE * before, MEGABYTES))


def of_latency(milliseconds: Sequence[float]) -> Flatness:
    before, after = _fifths(milliseconds)
    low, high = np.quantile(milliseconds, (0.25, 0.75))
    return Flatness(before, after, max(SHARE * before, float(high - low)))


def _fifths(values: Sequence[float]) -> tuple[float, float]:
    """The medians of the second and the last. Raises ValueError for fewer than `FEWEST` values."""
    if len(values) < FEWEST:
        raise ValueError(f"{len(values)} measurements: at least {FEWEST} make a run that can be judged")
    parts = np.array_split(np.asarray(values, np.float64), 5)
    return float(np.median(parts[1])), float(np.median(parts[-1]))
