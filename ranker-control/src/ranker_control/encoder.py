"""How ranker-control sees posts: tf-idf folded onto a few directions, and how near a post is to what the user liked.

A post's vector is its raw text vector, followed by its coordinates within its topic (`ranking.taste`), so that the sum over
the posts that a user liked is already the sum of coordinates that the taste needs. Last stands the coordinates' length,
which no request has to compute again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from ranking.artefact import ArtefactError
from ranking.encoder import Matrix, UserState
from ranking.examples import topic_places
from ranking.taste import Taste
from ranking.text import TfidfProjection

FILE = "taste.npz"
TEXT_COLUMNS = 16
"""How many of the text's directions the trees see as they are."""
LEAST_NORM = 1e-6


@dataclass(frozen=True)
class TextEncoder:
    """topics: those of training, in order."""

    projection: TfidfProjection
    taste: Taste
    topics: list[str]

    @property
    def columns(self) -> tuple[str, ...]:
        return (*(f"text_{place}" for place in range(TEXT_COLUMNS)), "text_taste", "text_cosine")

    @property
    def dimensions(self) -> int:
        return self.projection.dimensions + self.taste.rank + 1

    def vectors(self, ids: npt.NDArray[np.integer], texts: Sequence[str], topics: Sequence[str]) -> Matrix:
        text = self.projection.vectors(texts)
        own = self.taste.coordinates(text, topic_places(self.topics, topics))
        return np.hstack([text, own, np.linalg.norm(own, axis=1, keepdims=True)])

    def write(self, user: UserState, vectors: Matrix, topic: npt.NDArray[np.integer], out: Matrix) -> None:
        own = slice(self.projection.dimensions, -1)
        liked, posts = user.liked_sum[:, own], vectors[:, own]
        out[:, :TEXT_COLUMNS] = vectors[:, :TEXT_COLUMNS]
        out[:, TEXT_COLUMNS] = dots(self.taste.of(liked, user.liked), posts)
        norms = np.linalg.norm(liked, axis=1) * vectors[:, -1]
        out[:, TEXT_COLUMNS + 1] = dots(liked, posts) / np.maximum(norms, LEAST_NORM)

    def save(self, folder: Path) -> None:
        self.projection.save(folder)
        arrays: dict[str, Any] = {"topics": np.array(self.topics, np.str_), **self.taste.arrays("text")}
        np.savez(folder / FILE, **arrays)

    @classmethod
    def load(cls, folder: Path) -> TextEncoder:
        """Raises ArtefactError for a folder without its files."""
        try:
            with np.load(folder / FILE, allow_pickle=False) as arrays:
                taste, topics = Taste.of_arrays(arrays, "text"), [str(topic) for topic in arrays["topics"]]
        except (OSError, ValueError, KeyError) as error:
            raise ArtefactError(f"{FILE} of the model cannot be read: {error}") from error
        return cls(TfidfProjection.load(folder), taste, topics)


def dots(users: Matrix, posts: Matrix) -> Matrix:
    """users . posts, for one user and n posts or row by row; shape (n,)."""
    product: Matrix = posts @ users[0] if len(users) == 1 else np.einsum("nd,nd->n", users, posts)
    return product
