"""What users liked last: sums over the posts' vectors in which a like counts the less, the more followed it.

Tastes move and moods pass, and a sum over all likes knows of neither. The order of likes is in a user's row already:
the liked ids stand in it from the oldest to the newest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]

LAST = 32
"""Likes that are looked at; of half-lives of ten likes, what lies before them weighs a tenth."""
ROWS_AT_ONCE = 8_192
ALL = slice(None)


@dataclass(frozen=True, slots=True)
class FadedSum:
    """sums: shape (m, dimensions); weight, square: of the likes in them the sum of weights and of their squares."""

    sums: Floats
    weight: Floats
    square: Floats


@dataclass(frozen=True, slots=True)
class LastLikes:
    """Of m users. vectors: of all posts; posts: places in them, the newest first, -1 behind the oldest, shape
    (m, at most LAST); seconds: since the last like, infinite for none, shape (m,)."""

    vectors: Matrix
    posts: Index
    seconds: Floats

    @classmethod
    def none(cls) -> LastLikes:
        """Of one user who liked nothing."""
        return cls(np.zeros((0, 0), np.float32), np.zeros((1, 0), np.int64), np.full(1, np.inf))

    def faded(self, half_life: float, dimensions: slice = ALL) -> FadedSum:
        """half_life: in likes, after which one counts half; dimensions: those that are summed up."""
        vectors = self.vectors[:, dimensions]
        weights = 0.5 ** (np.arange(self.posts.shape[1]) / half_life) * (self.posts >= 0)
        sums = np.zeros((len(self.posts), vectors.shape[1]))
        for low in range(0, len(sums), ROWS_AT_ONCE) if len(vectors) else ():
            part = slice(low, low + ROWS_AT_ONCE)
            sums[part] = np.einsum("mk,mkd->md", weights[part], vectors[self.posts[part]])
        return FadedSum(sums, weights.sum(axis=1), (weights**2).sum(axis=1))


def seconds_since(last_like_at: Floats, now: Floats) -> Floats:
    """Shape (m,). last_like_at: in seconds since the epoch, 0 for never."""
    return np.where(last_like_at > 0, np.maximum(now - last_like_at, 0.0), np.inf)
