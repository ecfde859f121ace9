"""What simulated users think of posts: the world's truth, and what each liked already.

It judges what was served, and never reaches what serves or trains: only views and likes leave this process.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

import numpy as np
import numpy.typing as npt

from pipeline.world.effects import PLACE
from pipeline.world.feed import next_mood, sigmoid
from pipeline.world.spec import FIRST_POST, FIRST_USER
from pipeline.world.truth import Truth

Floats = npt.NDArray[np.float64]
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(5)


class Minds:
    """posts: ids in the order in which they are shown; place: of the first one in the session, from 0."""

    def __init__(self, truth: Truth, rng: np.random.Generator) -> None:
        self._truth, self._rng = truth, rng
        self._liked: defaultdict[int, set[int]] = defaultdict(set)
        """By user, what the posts show that they liked."""
        self._mood: dict[int, Floats] = {}

    @property
    def users(self) -> npt.NDArray[np.int64]:
        return np.arange(FIRST_USER, FIRST_USER + len(self._truth.tastes.level))

    def chances(self, user: int, posts: Sequence[int], at: datetime, place: int) -> Floats:
        """Of a like of each, averaged over the noise; 0 for what the world lacks or what shows what they liked."""
        odds = self._odds(user, posts, at, place)
        noise = _NODES[:, None] * self._truth.spec.noise_sd
        return np.asarray((_WEIGHTS / _WEIGHTS.sum()) @ sigmoid(odds + noise))

    def views(self, user: int, posts: Sequence[int], at: datetime, place: int) -> npt.NDArray[np.bool_]:
        """Which of them the user likes now (and will not like again)."""
        odds = self._odds(user, posts, at, place)
        noise = self._rng.normal(0, self._truth.spec.noise_sd, len(odds))
        liked = np.asarray(self._rng.random(len(odds)) < sigmoid(odds + noise))
        known = self._known(posts)
        self._liked[user].update(self._truth.contents(known[liked]).tolist())
        if self._truth.spec.momentum:
            self._mood[user] = self._mood_after(user, known, liked, place)
        return liked

    def likes_already(self, user: int, posts: Sequence[int]) -> int:
        return int((self._exist(posts) & self._shows_liked(user, posts)).sum())

    def _odds(self, user: int, posts: Sequence[int], at: datetime, place: int) -> Floats:
        known = self._known(posts)
        alive = self._exist(posts) & ~self._shows_liked(user, posts)
        odds = self._truth.log_odds(np.array([user]), known, at) + PLACE[place : place + len(posts)]
        if self._truth.spec.momentum:
            odds = odds + self._vectors(known) @ self._mood_at(user, place)
        return np.where(alive, odds, -np.inf)

    def _exist(self, posts: Sequence[int]) -> npt.NDArray[np.bool_]:
        ids = np.array(posts, np.int64)
        return np.asarray((ids >= FIRST_POST) & (ids < FIRST_POST + len(self._truth.posts.topic)))

    def _known(self, posts: Sequence[int]) -> npt.NDArray[np.int64]:
        """The first post in place of one that the world does not have."""
        return np.where(self._exist(posts), np.array(posts, np.int64), FIRST_POST)

    def _shows_liked(self, user: int, posts: Sequence[int]) -> npt.NDArray[np.bool_]:
        contents = self._truth.contents(self._known(posts)).tolist()
        return np.array([content in self._liked[user] for content in contents], bool)

    def _mood_at(self, user: int, place: int) -> Floats:
        """A session begins without one. A page is one moment: what is liked on it moves the next one."""
        nothing = np.zeros(self._truth.posts.vector.shape[1])
        return self._mood.get(user, nothing) if place else nothing

    def _mood_after(self, user: int, posts: npt.NDArray[np.int64], liked: npt.NDArray[np.bool_], place: int) -> Floats:
        mood = self._mood_at(user, place)[None, :]
        for vector, likes in zip(self._vectors(posts)[:, None, :], liked[:, None], strict=True):
            mood = next_mood(mood, vector, likes, self._truth.spec)
        return np.asarray(mood[0])

    def _vectors(self, posts: npt.NDArray[np.int64]) -> Floats:
        return self._truth.posts.vector[posts - FIRST_POST]


def hit_chance(chances: Floats) -> float:
    """The chance of at least one like."""
    return float(1 - np.prod(1 - chances))
