"""A user's taste in a space of post vectors, in closed form.

Let a post's coordinates z have, within its topic, mean 0 over what is shown. A user with taste w likes a post with
log-odds shifted by w . z, so at a like rate p the sum r of z over n likes is about normal with mean n (1 - p) S w and
covariance n S, where S is the covariance of z. The spaces here have S = 1, or take each direction by itself. (Empirical
Bayes; Efron & Morris 1973.)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ranking.encoder import Column, Matrix
from ranking.examples import Examples, Index

Floats = npt.NDArray[np.float64]
RANK = 16
"""The most directions that are kept."""
EPSILON = 1e-6
"""Directions with a smaller share than this of the largest variance are dropped."""
LEAST = 1e-6
"""The least variance of a taste, which amounts to none."""


@dataclass(frozen=True)
class Space:
    """means: mean vector of what is shown, of each topic and, last, of all, shape (topics + 1, dimensions);
    turn: shape (dimensions, rank)."""

    means: Floats
    turn: Floats

    @property
    def rank(self) -> int:
        return int(self.turn.shape[1])

    def coordinates(self, vectors: npt.NDArray[np.floating], topic: Index) -> Matrix:
        """z of each post, shape (n, rank). topic: -1 for one that training never saw."""
        return ((vectors - self.means[topic]) @ self.turn).astype(np.float32)

    def arrays(self, prefix: str) -> dict[str, Floats]:
        return {f"{prefix}_means": self.means, f"{prefix}_turn": self.turn}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, Floats], prefix: str) -> Space:
        return cls(arrays[f"{prefix}_means"], arrays[f"{prefix}_turn"])


def standard_space(vectors: npt.NDArray[np.floating], examples: Examples) -> Space:
    """The vectors' own directions, each with variance 1 over what is shown; those that don't vary stay at 0."""
    means, centred, weight = _centred(vectors, examples)
    variance = np.average(centred**2, axis=0, weights=weight)
    real = variance > EPSILON * max(float(variance.max(initial=0.0)), EPSILON)
    return Space(means, np.diag(np.where(real, 1.0 / np.sqrt(np.where(real, variance, 1.0)), 0.0)))


def taste_space(vectors: npt.NDArray[np.floating], examples: Examples, rank: int = RANK) -> Space:
    """At most `rank` directions, of those along which users differ by more than chance; at least one."""
    means, centred, weight = _centred(vectors, examples)
    white = _whitening((centred * weight[:, None]).T @ centred / weight.sum())
    sums, likes = liked_sums((centred @ white).astype(np.float32), examples)
    covariance, chance = _taste_covariance(sums, likes)
    variance, turn = np.linalg.eigh(covariance)
    order = np.argsort(-variance)[:rank]
    kept = order[(variance[order] > chance) | (np.arange(len(order)) == 0)]
    return Space(means, white @ turn[:, kept])


def taste_variances(z: Matrix, examples: Examples) -> Floats:
    """How much users differ along each direction by itself, shape (rank,): E[r^2] = n + n^2 v over users."""
    sums, likes = liked_sums(z, examples)
    squares = max(float((likes**2).sum()), 1.0)
    moments: Floats = ((sums**2).sum(axis=0) - likes.sum()) / squares
    return np.maximum(moments, LEAST)


def independent_taste(coordinate_sum: Matrix, liked: Column, variance: Floats) -> Matrix:
    """Posterior mean of w, every direction by itself, shape (m, rank). coordinate_sum: shape (m, rank); liked: (m,)."""
    shrunk: Matrix = (coordinate_sum / (liked[:, None] + 1.0 / variance)).astype(np.float32)
    return shrunk


def liked_sums(z: Matrix, examples: Examples) -> tuple[Floats, Floats]:
    """Sum of z over each user's likes, and how many, as of the user's last row; shapes (users, rank), (users,)."""
    last = examples.last_rows()
    sums = examples.all_liked.sums(z, examples.liked_from[last], examples.liked[last])
    return sums.astype(np.float64), examples.liked[last].astype(np.float64)


def _centred(vectors: npt.NDArray[np.floating], examples: Examples) -> tuple[Floats, Floats, Floats]:
    """The space's means, vectors less their topic's, and how often each post is shown."""
    topic, topics = examples.posts.topic, len(examples.posts.topics)
    weight = examples.post_views() + EPSILON
    sums = np.zeros((topics, vectors.shape[1]))
    np.add.at(sums, topic, vectors * weight[:, None])
    total = np.bincount(topic, weight, topics)
    means = np.vstack([sums / np.maximum(total, EPSILON)[:, None], np.average(vectors, axis=0, weights=weight)])
    return means, vectors - means[topic], weight


def _whitening(covariance: Floats) -> Floats:
    """A matrix that turns vectors of this covariance to covariance 1. Shape (dimensions, rank)."""
    spread, axes = np.linalg.eigh(covariance)
    real = spread > EPSILON * max(float(spread.max(initial=0.0)), EPSILON)
    if not real.any():  # texts that don't differ: one direction in which nobody moves
        return np.zeros((len(covariance), 1))
    return np.asarray(axes[:, real] / np.sqrt(spread[real]))


def _taste_covariance(sums: Floats, likes: Floats) -> tuple[Floats, float]:
    """V by moments over users, E[r r'] = n 1 + n^2 V, shape (rank, rank), and the largest eigenvalue due to chance."""
    size = sums.shape[1]
    squares = float((likes**2).sum())
    if not squares:
        return np.zeros((size, size)), LEAST
    moment: Floats = (sums.T @ sums - likes.sum() * np.eye(size)) / squares
    return moment, max(2.0 * float(np.sqrt(size / squares)), LEAST)
