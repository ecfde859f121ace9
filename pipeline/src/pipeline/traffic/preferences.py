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
from pipeline.world.feed import sigmoid
from pipeline.world.spec import FIRST_POST, FIRST_USER
from pipeline.world.truth import Truth

Floats = npt.NDArray[np.float64]
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(5)


class Minds:
    """posts: ids in the order in which they are shown; place: of the first one in the session, from 0."""

    def __init__(self, truth: Truth, rng: np.random.Generator) -> None:
        self._truth, self._rng = truth, rng
        self._liked: defaultdict[int, set[int]] = defaultdict(set)

    @property
    def users(self) -> npt.NDArray[np.int64]:
        return np.arange(FIRST_USER, FIRST_USER + len(self._truth.level))

    def chances(self, user: int, posts: Sequence[int], at: datetime, place: int) -> Floats:
        """Of a like of each, averaged over the noise; 0 for a post that the world lacks or the user likes already."""
        odds = self._odds(user, posts, at, place)
        noise = _NODES[:, None] * self._truth.spec.noise_sd
        return np.asarray((_WEIGHTS / _WEIGHTS.sum()) @ sigmoid(odds + noise))

    def views(self, user: int, posts: Sequence[int], at: datetime, place: int) -> npt.NDArray[np.bool_]:
        """Which of them the user likes now (and will not like again)."""
        odds = self._odds(user, posts, at, place)
        noise = self._rng.normal(0, self._truth.spec.noise_sd, len(odds))
        liked = self._rng.random(len(odds)) < sigmoid(odds + noise)
        self._liked[user].update(post for post, likes in zip(posts, liked, strict=True) if likes)
        return np.asarray(liked)

    def likes_already(self, user: int, posts: Sequence[int]) -> int:
        return sum(post in self._liked[user] for post in posts)

    def _odds(self, user: int, posts: Sequence[int], at: datetime, place: int) -> Floats:
        last = FIRST_POST + len(self._truth.topic)
        alive = np.array([FIRST_POST <= post < last and post not in self._liked[user] for post in posts], bool)
        known = np.where(alive, np.array(posts, np.int64), FIRST_POST)
        odds = self._truth.log_odds(np.array([user]), known, at) + PLACE[place : place + len(posts)]
        return np.where(alive, odds, -np.inf)


def hit_chance(chances: Floats) -> float:
    """The chance of at least one like."""
    return float(1 - np.prod(1 - chances))
