"""The first stage: a linear score over the same columns, fitted to the model's own scores.

One matrix product keeps the best few hundred posts, which CatBoost then ranks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ranking.encoder import Matrix

KEPT = 500
RIDGE = 1e-3
TOP_SHARE = 0.05
"""How far down a user's list, as a share of it, a post weighs half as much as the first."""
LEAST_WEIGHT = 0.02
CONSTANT = 1e-9
"""A column that varies less than this within users cannot order posts."""


@dataclass(frozen=True)
class Retrieval:
    """weights: shape (columns,); fill: what stands in for a missing value, shape (columns,)."""

    weights: npt.NDArray[np.float32]
    intercept: float
    fill: npt.NDArray[np.float32]

    @classmethod
    def of(cls, retrieval: list[float], fill: list[float]) -> Retrieval:
        """From a manifest."""
        return cls(np.array(retrieval[:-1], np.float32), retrieval[-1], np.array(fill, np.float32))

    def score(self, matrix: Matrix) -> npt.NDArray[np.float32]:
        """Shape (posts,). What differs only between users has no weight, and is not looked at."""
        used = np.flatnonzero(self.weights)
        values = matrix[:, used]
        filled = np.where(np.isnan(values), self.fill[used], values)
        return np.asarray(filled @ self.weights[used] + np.float32(self.intercept), np.float32)


def fit_retrieval(
    matrix: Matrix, scores: npt.NDArray[np.float64], user: npt.NDArray[np.integer]
) -> tuple[list[float], list[float]]:
    """Ridge least squares of the model's scores on standardised columns, within each user, mostly for the top posts.

    What differs only between users orders no user's posts, and it matters little in which order those stand that no
    user will see: so both sides are centred by user, and a post's weight falls with its place among the user's.

    matrix: shape (n, columns); scores, user: shape (n,). Returns a manifest's `retrieval` (weights, intercept) and
    `fill`.
    """
    values = matrix.astype(np.float64)
    present = ~np.isnan(values)
    fill = np.where(present, values, 0.0).sum(axis=0) / np.maximum(present.sum(axis=0), 1)
    values = np.where(present, values, fill)
    _, who, posts = np.unique(user, return_inverse=True, return_counts=True)
    weight = _top_weights(scores, who, posts)
    centred = values - _mean_by(who, values, weight)[who]
    target = scores - _mean_by(who, scores[:, None], weight)[who, 0]
    spread = np.sqrt(weight @ centred**2)
    scale = np.where(spread > CONSTANT, spread, np.inf)
    unit = centred / scale
    gram = (unit * weight[:, None]).T @ unit + RIDGE * np.eye(unit.shape[1])
    weights = np.linalg.solve(gram, unit.T @ (weight * target)) / scale
    intercept = float(weight @ (scores - values @ weights))
    return [*map(float, weights), intercept], [*map(float, fill)]


def _top_weights(
    scores: npt.NDArray[np.float64], user: npt.NDArray[np.intp], posts: npt.NDArray[np.intp]
) -> npt.NDArray[np.float64]:
    """Of each row by its place among its user's, the same sum for every user, 1 in all. posts: rows of each user."""
    place = np.empty(len(scores))
    first = np.cumsum(posts) - posts
    place[np.lexsort((-scores, user))] = np.arange(len(scores)) - np.repeat(first, posts)
    weight = 1.0 / (1.0 + place / (TOP_SHARE * posts[user])) + LEAST_WEIGHT
    total = np.bincount(user, weight)
    return np.asarray(weight / (total[user] * len(posts)), np.float64)


def _mean_by(
    user: npt.NDArray[np.intp], values: npt.NDArray[np.float64], weight: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Weighted mean of each user's rows, shape (users, columns)."""
    sums = np.stack([np.bincount(user, weight * column) for column in values.T], axis=1)
    return np.asarray(sums / np.bincount(user, weight)[:, None], np.float64)
