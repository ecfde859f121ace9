"""How ranker-control sees posts: tf-idf projected onto the few directions along which tastes differ.

A post's vector holds its coordinates within its topic (`ranking.taste`), so that the sum over the posts that a user
liked is already what the user's taste along each direction needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from ranking.artefact import ArtefactError
from ranking.encoder import Matrix, UserState, dots
from ranking.examples import topic_places
from ranking.taste import Floats, Space, independent_taste
from ranking.text import TfidfProjection

FILE = "taste.npz"


@dataclass(frozen=True)
class TextEncoder:
    """variance: of users' tastes along each direction, shape (rank,); topics: those of training, in order."""

    projection: TfidfProjection
    space: Space
    variance: Floats
    topics: list[str]

    columns = ("text_taste",)
    base = ("user_topic_by_post", "text_taste")

    @property
    def dimensions(self) -> int:
        return self.space.rank

    def embed(self, texts: Sequence[str]) -> Matrix:
        return self.projection.vectors(texts)

    def vectors(self, ids: npt.NDArray[np.integer], embedded: Matrix, topics: Sequence[str]) -> Matrix:
        return self.space.coordinates(embedded, topic_places(self.topics, topics))

    def write(self, user: UserState, vectors: Matrix, topic: npt.NDArray[np.integer], out: Matrix) -> None:
        out[:, 0] = dots(independent_taste(user.liked_sum, user.liked, self.variance), vectors)

    def save(self, folder: Path) -> None:
        self.projection.save(folder)
        topics = np.array(self.topics, np.str_)
        arrays: dict[str, Any] = {"topics": topics, "variance": self.variance, **self.space.arrays("text")}
        np.savez(folder / FILE, **arrays)

    @classmethod
    def load(cls, folder: Path) -> TextEncoder:
        """Raises ArtefactError for a folder without its files."""
        try:
            with np.load(folder / FILE, allow_pickle=False) as arrays:
                space, topics = Space.of_arrays(arrays, "text"), [str(topic) for topic in arrays["topics"]]
                return cls(TfidfProjection.load(folder), space, arrays["variance"], topics)
        except (OSError, ValueError, KeyError) as error:
            raise ArtefactError(f"{FILE} of the model cannot be read: {error}") from error
