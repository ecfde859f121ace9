"""A/A: where nothing differs, p-values must be uniform. If not, no A/B result of the same pipeline can be trusted.

Kohavi, Tang & Xu, "Trustworthy Online Controlled Experiments" (2020), chapter 19: split the same users at random many
times, test each split, and hold the p-values to the uniform distribution by Kolmogorov & Smirnov's test.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, exp, sqrt

import numpy as np
from numpy.typing import NDArray

from experiments.effects import NotEnough
from experiments.ratios import RatioSums, effect

_EXACT = 100  # p-values; beyond it the limit is good to two digits
_CHUNK = 4_000_000  # entries of the mask of splits held at once


@dataclass(frozen=True, slots=True)
class Uniformity:
    """distance: the largest between the p-values' distribution and the uniform one, 0 to 1; p: that of the test."""

    distance: float
    p: float
    p_values: int


def uniformity(p_values: Sequence[float]) -> Uniformity:
    """Kolmogorov & Smirnov's test, two-sided. Raises NotEnough without p-values; ValueError for what is none.

    Exact up to 100 p-values (Marsaglia, Tsang & Wang 2003), beyond by Kolmogorov's limit (1933), which is a little
    strict.
    """
    if not p_values:
        raise NotEnough("no p-values")
    ordered, n = sorted(p_values), len(p_values)
    if not 0 <= ordered[0] <= ordered[-1] <= 1:
        raise ValueError("p-values between 0 and 1")
    distance = max(max((i + 1) / n - p, p - i / n) for i, p in enumerate(ordered))
    return Uniformity(distance, _exact(distance, n) if n <= _EXACT else _limit(sqrt(n) * distance), n)


def resplit(cells: Sequence[RatioSums], rng: np.random.Generator, times: int = 1_000) -> list[float]:
    """The p-values of so many random halvings of the same users, who stand in cells: single users, or sums of some.

    A half holds whole cells, so of a few hundred or more the halves are as random as of single users. Raises NotEnough
    where a half doesn't say.
    """
    columns = np.array([(c.users, c.y, c.x, c.yy, c.xx, c.xy) for c in cells], float).reshape(len(cells), 6)
    whole, p_values = columns.sum(0), list[float]()
    at_once = max(1, _CHUNK // max(len(cells), 1))
    for start in range(0, times, at_once):
        mask = rng.random((min(times - start, at_once), len(cells))) < 0.5
        p_values += [_p_value(part, whole) for part in mask @ columns]
    return p_values


def _p_value(part: NDArray[np.float64], whole: NDArray[np.float64]) -> float:
    return effect(_sums(whole - part), _sums(part)).p_value()


def _sums(columns: NDArray[np.float64]) -> RatioSums:
    users, *rest = columns.tolist()
    return RatioSums(round(users), *rest)


def _limit(scaled: float) -> float:
    """P(sqrt(n) D > scaled) for large n: 2 sum_k (-1)^(k-1) exp(-2 k^2 scaled^2), which is 1 to 16 digits below 0.2."""
    if scaled < 0.2:
        return 1.0
    terms = (2 * (-1.0) ** (k - 1) * exp(-2 * (k * scaled) ** 2) for k in range(1, 101))
    return min(1.0, max(0.0, sum(terms)))


def _exact(distance: float, n: int) -> float:
    """P(D > distance) by a matrix power: Marsaglia, Tsang & Wang, "Evaluating Kolmogorov's Distribution" (2003)."""
    if n * distance**2 > 18:  # below 1e-15 either way
        return _limit(sqrt(n) * distance)
    k = ceil(n * distance)
    m, h = 2 * k - 1, k - n * distance
    matrix = np.tril(np.ones((m, m)), 1)
    powers = h ** np.arange(1, m + 1)
    matrix[:, 0] -= powers
    matrix[-1, :] -= powers[::-1]
    matrix[-1, 0] += max(0.0, 2 * h - 1) ** m
    inverse_factorials = np.cumprod(1 / np.arange(1, m + 1))
    gaps = np.subtract.outer(np.arange(m), np.arange(m))
    matrix *= np.where(gaps >= 0, inverse_factorials[np.maximum(gaps, 0)], 1.0)
    power = np.eye(m)
    for i in range(1, n + 1):  # n! / n^n along the way, so that nothing overflows
        power = power @ matrix * (i / n)
    return float(min(1.0, max(0.0, 1 - power[k - 1, k - 1])))
