"""Measures of how good scores are: formulas and nothing else."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
K = 5
DRAWS = 2_000
LEAST = 1e-15


def log_loss(probability: npt.NDArray[np.floating], clicked: Floats) -> float:
    """Mean negative log likelihood; shapes (n,)."""
    p = np.clip(np.asarray(probability, np.float64), LEAST, 1 - LEAST)
    return float(-np.mean(clicked * np.log(p) + (1 - clicked) * np.log1p(-p)))


def area_under_curve(scores: npt.NDArray[np.floating], clicked: Floats) -> float:
    """Chance that a liked row scores above one that was not, ties half (Mann & Whitney 1947). 0.5 for one class."""
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    rank = (np.cumsum(counts) - (counts - 1) / 2.0)[place]
    liked = float(clicked.sum())
    others = len(clicked) - liked
    if not liked or not others:
        return 0.5
    return float((rank[clicked > 0].sum() - liked * (liked + 1) / 2) / (liked * others))


def hit_rate(
    scores: npt.NDArray[np.floating],
    users: npt.NDArray[np.integer],
    liked: npt.NDArray[np.bool_],
    k: int = K,
) -> Floats:
    """HitRate@k by user: 1 where one of the user's k best-scored rows was liked, else 0.

    All of shape (n,); the result is of shape (distinct users,), users ascending. Ties go to the earlier row.
    """
    order = np.lexsort((-np.asarray(scores, np.float64), users))
    first = np.concatenate([[True], np.diff(users[order]) != 0]) if len(order) else np.zeros(0, bool)
    starts = np.flatnonzero(first)
    place = np.arange(len(order)) - starts[np.cumsum(first) - 1]
    hits = liked[order] & (place < k)
    return np.logical_or.reduceat(hits, starts).astype(np.float64) if len(starts) else np.zeros(0)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over users and its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def bootstrap(values: Floats, rng: np.random.Generator, draws: int = DRAWS) -> Estimate:
    """Percentile bootstrap of the mean (Efron 1979). values: one a user, at least one."""
    if not len(values):
        raise ValueError("no users to resample")
    means = np.array([values[rng.integers(0, len(values), len(values))].mean() for _ in range(draws)])
    low, high = np.percentile(means, [2.5, 97.5])
    return Estimate(float(values.mean()), float(low), float(high))


def paired_bootstrap(better: Floats, worse: Floats, rng: np.random.Generator, draws: int = DRAWS) -> Estimate:
    """Of the mean difference, user by user: what both get right alike adds no noise."""
    return bootstrap(better - worse, rng, draws)
