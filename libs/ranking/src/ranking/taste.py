"""A user's taste in a space of post vectors, in closed form.

Let a post's coordinates z have, within its topic, mean 0 and covariance 1. A user with taste w likes a post with log-odds
shifted by w . z, so the sum r of z over n liked posts is about normal with mean n w and covariance n. With w normal with mean 0
and covariance diag(v), the posterior mean of w is r / (n + 1 / v). v is learned over all users by moments:
E[r r'] = n 1 + n^2 V; the coordinates are then turned to V's own directions, and those that carry no taste are dropped.
(Empirical Bayes; Efron & Morris 1973.)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ranking.encoder import Column, Matrix
from ranking.examples import Examples, Index

EPSILON = 1e-6
"""Directions whose variance is a smaller share than this of the largest are no directions."""
LEAST = 1e-6
"""The least variance of a taste: a user is then taken to have none."""


@dataclass(frozen=True)
class Taste:
    """means: like-weighted mean vector of each topic and, last, of all, shape (topics + 1, dimensions);
    turn: shape (dimensions, rank); variance: v of each direction, above 0, shape (rank,)."""

    means: npt.NDArray[np.float64]
    turn: npt.NDArray[np.float64]
    variance: npt.NDArray[np.float64]

    @property
    def rank(self) -> int:
        return len(self.variance)

    def coordinates(self, vectors: npt.NDArray[np.floating], topic: Index) -> Matrix:
        """z of each post, shape (n, rank). topic: -1 for one that training never saw."""
        return ((vectors - self.means[topic]) @ self.turn).astype(np.float32)

    def of(self, coordinate_sum: Matrix, liked: Column) -> Matrix:
        """Posterior mean of w, shape (m, rank). coordinate_sum: shape (m, rank); liked: shape (m,)."""
        return posterior(coordinate_sum, liked, self.variance)

    def arrays(self, prefix: str) -> dict[str, npt.NDArray[np.float64]]:
        return {f"{prefix}_means": self.means, f"{prefix}_turn": self.turn, f"{prefix}_variance": self.variance}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, npt.NDArray[np.float64]], prefix: str) -> Taste:
        return cls(*(arrays[f"{prefix}_{part}"] for part in ("means", "turn", "variance")))


def posterior(coordinate_sum: Matrix, liked: Column, variance: npt.NDArray[np.float64]) -> Matrix:
    shrunk: Matrix = (coordinate_sum / (liked[:, None] + 1.0 / variance)).astype(np.float32)
    return shrunk


def fit_taste(vectors: npt.NDArray[np.floating], examples: Examples, rank: int) -> Taste:
    """At most `rank` directions, of those along which users differ by more than chance; at least one."""
    means, white = _whitened(vectors.astype(np.float64), examples)
    z = ((vectors - means[examples.posts.topic]) @ white).astype(np.float32)
    covariance, chance = _taste_covariance(z, examples)
    variance, turn = np.linalg.eigh(covariance)
    order = np.argsort(-variance)[:rank]
    kept = order[(variance[order] > chance) | (np.arange(len(order)) == 0)]
    return Taste(means, white @ turn[:, kept], np.maximum(variance[kept], LEAST))


def isotropic_taste(vectors: npt.NDArray[np.floating], examples: Examples, variance: float) -> Taste:
    """Every direction of the vectors counts alike: nothing is learned of how users differ."""
    means, white = _whitened(vectors.astype(np.float64), examples)
    return Taste(means, white, np.full(white.shape[1], variance))


def _whitened(
    vectors: npt.NDArray[np.float64], examples: Examples
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The means, and a matrix that gives vectors less their topic's mean covariance 1. Shape (dimensions, rank)."""
    topic, topics = examples.posts.topic, len(examples.posts.topics)
    weight = examples.post_likes() + 1.0
    sums = np.zeros((topics, vectors.shape[1]))
    np.add.at(sums, topic, vectors * weight[:, None])
    total = np.bincount(topic, weight, topics)
    means = np.vstack([sums / np.maximum(total, EPSILON)[:, None], np.average(vectors, axis=0, weights=weight)])
    centred = vectors - means[topic]
    spread, axes = np.linalg.eigh((centred * weight[:, None]).T @ centred / weight.sum())
    real = spread > EPSILON * max(float(spread.max(initial=0.0)), EPSILON)
    if not real.any():  # texts that don't differ: one direction in which nobody moves
        return means, np.zeros((vectors.shape[1], 1))
    return means, axes[:, real] / np.sqrt(spread[real])


def _taste_covariance(z: Matrix, examples: Examples) -> tuple[npt.NDArray[np.float64], float]:
    """V by moments over users, shape (rank, rank), and the largest eigenvalue that chance alone gives it."""
    start, count = examples.last_of_each_user()
    size = z.shape[1]
    if not len(start):
        return np.zeros((size, size)), LEAST
    sums = examples.all_liked.sums(z, start, count).astype(np.float64)
    likes = count.astype(np.float64)
    squares = float((likes**2).sum())
    moment: npt.NDArray[np.float64] = (sums.T @ sums - likes.sum() * np.eye(size)) / squares
    return moment, max(2.0 * float(np.sqrt(size / squares)), LEAST)
