"""All that users liked, for asking whether something alike is among it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float32]
Index = npt.NDArray[np.int64]
LAST_BITS = 2**16 - 1


@dataclass(frozen=True, slots=True)
class LikedPosts:
    """All that m users liked. vectors: of all posts; posts: places in them, of row i those from start[i] on, count[i]
    many and the oldest first; start, count: shape (m,)."""

    vectors: Matrix
    posts: Index
    start: Index
    count: Index

    @classmethod
    def none(cls) -> LikedPosts:
        """Of one user who liked nothing."""
        return cls(np.zeros((0, 0), np.float32), np.zeros(0, np.int64), np.zeros(1, np.int64), np.zeros(1, np.int64))

    def have(self, mark: Matrix, dimension: int) -> npt.NDArray[np.bool_]:
        """Whether a liked post has the same number there, 0 aside: for one user and n posts or row by row; shape (n,).

        mark: of the posts, shape (n,).
        """
        if not self.count.any():
            return np.zeros(len(mark), bool)
        liked = self.vectors[self.posts, dimension]
        if len(self.start) == 1:
            return _among(liked[liked != 0], mark)
        values, code = np.unique(np.append(liked, mark), return_inverse=True)
        owner = np.unique(self.start)
        likes = (np.searchsorted(owner, np.arange(len(liked)), side="right") - 1) * len(values) + code[: len(liked)]
        known, first = np.unique(likes, return_index=True)
        wanted = np.searchsorted(owner, self.start) * len(values) + code[len(liked) :]
        place = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
        same = (mark != 0) & (known[place] == wanted)
        return np.asarray(same & (first[place] < self.start + self.count), np.bool_)


def _among(liked: Matrix, wanted: Matrix) -> npt.NDArray[np.bool_]:
    """Nearly all are told by a table of the marks' last bits, without a search."""
    held = np.zeros(LAST_BITS + 1, bool)
    held[liked.astype(np.int32) & LAST_BITS] = True
    result = held.take(wanted.astype(np.int32) & LAST_BITS)
    maybe = result.nonzero()[0]
    result[maybe] = (wanted[maybe, None] == liked).any(axis=1)
    return result
