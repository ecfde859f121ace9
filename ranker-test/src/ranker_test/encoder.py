"""How ranker-test sees users and posts: a two-tower network over closed-form preferences, in numpy alone.

A post's vector has three parts, so that one sum over the posts that a user liked serves all:
`text`, its coordinates in the directions of its text along which users' tastes differ; `tower`, what the network's post
side makes of it; `shared`, the same kind of coordinates as the first, of the tower's vectors, which hold what the feed
taught of posts beyond their text. A post that training never saw has all three, by its text and topic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from ranking.artefact import ArtefactError
from ranking.encoder import Matrix, UserState, dots
from ranking.examples import Index, topic_places
from ranking.preference import PreferencePosterior
from ranking.profiles import profile_inputs
from ranking.taste import Space
from ranking.text import WordShares

from ranker_test import minilm
from ranker_test.minilm import MiniLM
from ranker_test.towers import Towers, user_inputs

FILE = "towers.npz"


class TextVectors(Protocol):
    """What turns texts into vectors: projected word shares, or a transformer."""

    @property
    def dimensions(self) -> int: ...

    def vectors(self, texts: Sequence[str]) -> Matrix:
        """Shape (len(texts), dimensions)."""
        ...

    def save(self, folder: Path) -> None: ...


def load_texts(folder: Path) -> TextVectors:
    """Raises ArtefactError for a folder without its files."""
    return MiniLM.load(folder) if (folder / minilm.TURN).exists() else WordShares.load(folder)


@dataclass(frozen=True)
class TowerEncoder:
    """known: ids of the posts that the towers were trained on, ascending."""

    texts: TextVectors
    text: Space
    text_preference: PreferencePosterior
    towers: Towers
    shared: Space
    shared_preference: PreferencePosterior
    topics: list[str]
    known: Index

    columns = ("topic_taste", "text_taste", "tower", "shared_topic_taste", "shared_taste", "taste")
    """Last stands the mean of what the network and the shared space say: they err apart."""
    base = ("post_rate", "taste")

    @property
    def dimensions(self) -> int:
        return self.text.rank + self.towers.dimensions + self.shared.rank

    def embed(self, texts: Sequence[str]) -> Matrix:
        return self.texts.vectors(texts)

    def vectors(self, ids: npt.NDArray[np.integer], embedded: Matrix, topics: Sequence[str]) -> Matrix:
        topic = topic_places(self.topics, topics)
        text = self.text.coordinates(embedded, topic)
        tower = self.towers.posts(text, topic, self._places(ids))
        return np.hstack([text, tower, self.shared.coordinates(tower, topic)])

    def write(self, user: UserState, vectors: Matrix, topic: npt.NDArray[np.integer], out: Matrix) -> None:
        text, tower, shared = np.split(vectors, self._ends, axis=1)
        liked_text, _, liked_shared = np.split(user.liked_sum, self._ends, axis=1)
        inputs = profile_inputs(user.profile)
        theta = self.text_preference.posterior(user, liked_text, inputs)
        out[:, 0] = self.text_preference.topic_log_odds(theta, topic)
        out[:, 1] = dots(self.text_preference.tastes(theta), text)
        out[:, 2] = dots(self.towers.users(user_inputs(inputs, user.liked, theta)), tower)
        theta = self.shared_preference.posterior(user, liked_shared, inputs)
        out[:, 3] = self.shared_preference.topic_log_odds(theta, topic)
        out[:, 4] = dots(self.shared_preference.tastes(theta), shared)
        out[:, 5] = (out[:, 0] + out[:, 2] + out[:, 3] + out[:, 4]) / 2

    def save(self, folder: Path) -> None:
        self.texts.save(folder)
        arrays: dict[str, Any] = {
            "topics": np.array(self.topics, np.str_),
            "known": self.known,
            **self.text.arrays("text"),
            **self.text_preference.arrays("text"),
            **self.shared.arrays("shared"),
            **self.shared_preference.arrays("shared"),
            **self.towers.arrays(),
        }
        np.savez(folder / FILE, **arrays)

    @classmethod
    def load(cls, folder: Path) -> TowerEncoder:
        """Raises ArtefactError for a folder without its files."""
        try:
            with np.load(folder / FILE, allow_pickle=False) as arrays:
                return cls(
                    texts=load_texts(folder),
                    text=Space.of_arrays(arrays, "text"),
                    text_preference=PreferencePosterior.of_arrays(arrays, "text"),
                    towers=Towers.of_arrays(arrays),
                    shared=Space.of_arrays(arrays, "shared"),
                    shared_preference=PreferencePosterior.of_arrays(arrays, "shared"),
                    topics=[str(topic) for topic in arrays["topics"]],
                    known=arrays["known"],
                )
        except (OSError, ValueError, KeyError) as error:
            raise ArtefactError(f"{FILE} of the model cannot be read: {error}") from error

    @property
    def _ends(self) -> tuple[int, int]:
        return self.text.rank, self.text.rank + self.towers.dimensions

    def _places(self, ids: npt.NDArray[np.integer]) -> Index:
        """Index among the known posts; for any other post their number, where `Towers.own` holds zeros."""
        place = np.minimum(np.searchsorted(self.known, ids), len(self.known) - 1)
        return np.where(self.known[place] == ids, place, len(self.known)).astype(np.int64)
