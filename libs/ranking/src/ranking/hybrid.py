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
from ranking.encoder import Matrix, UserState, dots
from ranking.examples import topic_places
from ranking.factors import Factors
from ranking.profiles import profile_inputs

FILE = "factors.npz"
COLUMNS = ("collaborative_taste", "recent_taste", "mood")
"""Of all likes, of the last ones, and of the last few while they are fresh."""
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
    """A post's vector is the content's and, behind it, its factors; the last columns are the user's taste for them.

    The trees start from the content alone: what the factors are worth on the feed at hand, held-out views decide.
    """

    content: ContentEncoder
    factors: Factors

    @property
    def columns(self) -> tuple[str, ...]:
        return *self.content.columns, *COLUMNS

    @property
    def base(self) -> tuple[str, ...]:
        return self.content.base

    @property
    def dimensions(self) -> int:
        return self.content.dimensions + self.factors.dimensions

    def vectors(self, ids: npt.NDArray[np.integer], texts: Sequence[str], topics: Sequence[str]) -> Matrix:
        embedded = self.content.embed(texts)
        own = self.content.vectors(ids, embedded, topics)
        return np.hstack([own, self.factors.coordinates(ids, embedded, topic_places(self.content.topics, topics))])

    def write(self, user: UserState, vectors: Matrix, topic: npt.NDArray[np.integer], out: Matrix) -> None:
        size = self.content.dimensions
        content = replace(user, liked_sum=user.liked_sum[:, :size])
        self.content.write(content, vectors[:, :size], topic, out[:, : -len(COLUMNS)])
        factors, mood = vectors[:, size:], user.last.faded(MOOD_LIKES, size).sums
        fresh = np.exp(-user.last.seconds / MOOD_SECONDS)
        told = profile_inputs(user.profile) @ self.factors.by_profile
        out[:, -3] = dots(self.factors.taste(user.liked_sum[:, size:], user.liked, told), factors)
        out[:, -2] = dots(self.factors.faded_taste(user.last.faded(RECENT_LIKES, size)), factors)
        out[:, -1] = dots((fresh[:, None] * mood).astype(np.float32), factors)

    def save(self, folder: Path) -> None:
        self.content.save(folder)
        arrays: dict[str, Any] = self.factors.arrays("factors")
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
                return cls(content, Factors.of_arrays(arrays, "factors"))
        except (OSError, ValueError, KeyError) as error:
            raise ArtefactError(f"{FILE} of the model cannot be read: {error}") from error
