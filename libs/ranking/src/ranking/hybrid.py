"""A model's view of content with collaborative filtering beside it: what texts tell, and what likes tell of posts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ranking.artefact import ArtefactError
from ranking.copies import COPIES, MARKS, marks
from ranking.encoder import Matrix, UserState, dots
from ranking.examples import topic_places
from ranking.factors import Factors
from ranking.profiles import profile_inputs
from ranking.quality import Quality, log_lengths

FILE = "factors.npz"
TASTES = ("collaborative_taste", "recent_taste", "mood")
"""Of all likes, of the last ones, and of the last few while they are fresh."""
TOLD = "text_quality"
COLUMNS = (*TASTES, TOLD, *COPIES)
RECENT_LIKES, MOOD_LIKES = 10.0, 1.0
"""How many more likes halve what one says of a taste that moves, and of a mood."""
MOOD_SECONDS = 1_800.0
"""In which a mood falls by e after the last like."""


class ContentEncoder(Protocol):
    """As `ranking.encoder.Encoder`, with texts turned to vectors once for itself and for the factors."""

    @property
    def columns(self) -> tuple[str, ...]: ...

    @property
    def base(self) -> tuple[str, ...]: ...

    @property
    def dimensions(self) -> int: ...

    @property
    def topics(self) -> list[str]:
        """Those of training, in order."""
        ...

    def embed(self, texts: Sequence[str]) -> Matrix:
        """The texts' vectors, shape (n, any)."""
        ...

    def vectors(self, ids: npt.NDArray[np.integer], embedded: Matrix, topics: Sequence[str]) -> Matrix: ...

    def write(self, user: UserState, vectors: Matrix, topic: npt.NDArray[np.integer], out: Matrix) -> None: ...

    def save(self, folder: Path) -> None: ...


@dataclass(frozen=True)
class HybridEncoder:
    """A post's vector is the content's and, behind it, its factors, what its text tells of its quality, and its marks;
    the last columns are the user's taste for the factors, that quality, and whether the user liked what has the same
    marks.

    The trees start from the content alone: what the factors are worth on the feed at hand, held-out views decide.
    """

    content: ContentEncoder
    factors: Factors
    quality: Quality

    @property
    def columns(self) -> tuple[str, ...]:
        return *self.content.columns, *COLUMNS

    @property
    def base(self) -> tuple[str, ...]:
        return self.content.base

    @property
    def dimensions(self) -> int:
        return self.content.dimensions + self.factors.dimensions + 1 + MARKS

    def vectors(self, ids: npt.NDArray[np.integer], texts: Sequence[str], topics: Sequence[str]) -> Matrix:
        embedded = self.content.embed(texts)
        own = self.content.vectors(ids, embedded, topics)
        topic = topic_places(self.content.topics, topics)
        factors = self.factors.coordinates(ids, embedded, topic)
        quality = self.quality.values(ids, embedded, topic, log_lengths(texts))
        return np.hstack([own, factors, quality[:, None], marks(ids, texts)])

    def likeness(self, vectors: Matrix) -> Matrix:
        """Content and factors: marks are equal or say nothing, and posts of a quality are not alike by it."""
        return vectors[:, : self.content.dimensions + self.factors.dimensions]

    def write(self, user: UserState, vectors: Matrix, topic: npt.NDArray[np.integer], out: Matrix) -> None:
        size = self.content.dimensions
        content = replace(user, liked_sum=user.liked_sum[:, :size])
        self.content.write(content, vectors[:, :size], topic, out[:, : -len(COLUMNS)])
        self._write_tastes(user, vectors, out[:, -len(COLUMNS) :])
        out[:, -3] = vectors[:, size + self.factors.dimensions]
        before, *same = (user.liked_posts.have(vectors[:, place], place) for place in range(-MARKS, 0))
        out[:, -2], out[:, -1] = before, np.logical_or(*same) & ~before

    def _write_tastes(self, user: UserState, vectors: Matrix, out: Matrix) -> None:
        own = slice(self.content.dimensions, self.content.dimensions + self.factors.dimensions)
        factors, mood = vectors[:, own], user.last.faded(MOOD_LIKES, own).sums
        fresh = np.exp(-user.last.seconds / MOOD_SECONDS)
        told = profile_inputs(user.profile) @ self.factors.by_profile
        out[:, 0] = dots(self.factors.taste(user.liked_sum[:, own], user.liked, told), factors)
        out[:, 1] = dots(self.factors.faded_taste(user.last.faded(RECENT_LIKES, own)), factors)
        out[:, 2] = dots((fresh[:, None] * mood).astype(np.float32), factors)

    def save(self, folder: Path) -> None:
        self.content.save(folder)
        arrays: dict[str, Any] = self.factors.arrays("factors") | self.quality.arrays("quality")
        np.savez(folder / FILE, **arrays)

    @classmethod
    def loader(cls, load_content: Callable[[Path], ContentEncoder]) -> Callable[[Path], HybridEncoder]:
        """What opens a saved one; another process can be given it."""
        return partial(cls.load, load_content)

    @classmethod
    def load(cls, load_content: Callable[[Path], ContentEncoder], folder: Path) -> HybridEncoder:
        """Raises ArtefactError for a folder without its files."""
        content = load_content(folder)
        try:
            with np.load(folder / FILE, allow_pickle=False) as arrays:
                return cls(content, Factors.of_arrays(arrays, "factors"), Quality.of_arrays(arrays, "quality"))
        except (OSError, ValueError, KeyError) as error:
            raise ArtefactError(f"{FILE} of the model cannot be read: {error}") from error
