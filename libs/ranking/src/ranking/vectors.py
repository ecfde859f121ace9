"""The vectors of the posts that training knew, kept beside the model: `posts.npz`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ranking.artefact import ArtefactError
from ranking.encoder import Matrix

FILE = "posts.npz"


@dataclass(frozen=True)
class PostVectors:
    """post_id: ascending, shape (n,); vectors: shape (n, dimensions)."""

    post_id: npt.NDArray[np.int64]
    vectors: Matrix

    @classmethod
    def of(cls, post_id: npt.NDArray[np.integer], vectors: Matrix) -> PostVectors:
        order = np.argsort(post_id, kind="stable")
        return cls(post_id[order].astype(np.int64), np.ascontiguousarray(vectors[order]))

    def save(self, folder: Path) -> None:
        np.savez(folder / FILE, post_id=self.post_id, vectors=self.vectors)

    @classmethod
    def load(cls, folder: Path) -> PostVectors:
        try:
            with np.load(folder / FILE, allow_pickle=False) as arrays:
                return cls(arrays["post_id"], arrays["vectors"])
        except (OSError, ValueError, KeyError) as error:
            raise ArtefactError(f"{FILE} of the model cannot be read: {error}") from error

    def find(self, ids: npt.NDArray[np.integer]) -> npt.NDArray[np.intp]:
        """The row of each id, -1 for a post that is not held."""
        if not len(self.post_id):
            return np.full(len(ids), -1, np.intp)
        place = np.minimum(np.searchsorted(self.post_id, ids), len(self.post_id) - 1)
        return np.where(self.post_id[place] == ids, place, -1)

    def missing(self, ids: npt.NDArray[np.integer]) -> list[int]:
        return [int(post) for post in ids[self.find(ids) < 0]]

    def with_posts(self, ids: Sequence[int], vectors: Matrix) -> PostVectors:
        """These vectors, and those of more posts."""
        if not len(ids):
            return self
        return PostVectors.of(np.append(self.post_id, np.array(ids, np.int64)), np.vstack([self.vectors, vectors]))

    def rows(self, ids: npt.NDArray[np.integer]) -> Matrix:
        """Shape (len(ids), dimensions); zeros for a post that is not held."""
        place = self.find(ids)
        held = self.vectors[place] if len(self.vectors) else np.zeros((len(ids), self.vectors.shape[1]), np.float32)
        return np.where((place >= 0)[:, None], held, np.float32(0.0)).astype(np.float32)
