"""The simulated world's truth: how probable a like is.

For oracles and simulated users, never for what trains or serves.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipeline.errors import LentaError
from pipeline.world.effects import HOUR, PLACE, freshness
from pipeline.world.feed import DAY_SECONDS, sigmoid
from pipeline.world.posts import Posts
from pipeline.world.spec import DAYS, FIRST_POST, FIRST_USER, WorldSpec, spec_of
from pipeline.world.tastes import Tastes

Floats = npt.NDArray[np.float64]
FOLDER, FILE = "truth", "truth.npz"
PLACES = 29
"""Views of a typical session: a like's probability is the mean over its places."""
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(5)


@dataclass(frozen=True)
class Truth:
    spec: WorldSpec
    start: datetime
    bias: float
    topic: npt.NDArray[np.int64]
    vector: Floats
    quality: Floats
    birth: Floats
    topic_taste: Floats
    theme_taste: Floats
    level: Floats

    @classmethod
    def load(cls, folder: Path) -> Truth:
        """folder: the world's. Raises LentaError where there is no truth, as for a real platform."""
        try:
            with np.load(folder / FOLDER / FILE, allow_pickle=False) as arrays:
                held = dict(arrays)
        except FileNotFoundError as error:
            raise LentaError(f"{folder} is no simulated world: it has no {FOLDER}/{FILE}") from error
        start = datetime.fromtimestamp(int(held.pop("start")), UTC)
        spec, bias = spec_of(str(held.pop("world"))), float(held.pop("bias"))
        return cls(spec, start, bias, **held)

    def log_odds(self, user_ids: npt.NDArray[np.integer], post_ids: npt.NDArray[np.integer], time: datetime) -> Floats:
        """Of a like at `time`, without place in the session and noise; shapes (1,) and (n,), or (n,) both."""
        user, post = user_ids - FIRST_USER, post_ids - FIRST_POST
        second = (time - self.start).total_seconds()
        day = np.minimum(np.array([second / DAY_SECONDS]), float(DAYS))
        return np.asarray(
            self.bias
            + self.topic_taste[user, self.topic[post]]
            + (self.theme_taste[user] * self.vector[post]).sum(axis=1)
            + self.quality[post]
            + freshness(day - self.birth[post], self.spec)
            + self.level[user]
            + HOUR[int(second % DAY_SECONDS // 3600)]
        )

    def like_probability(
        self, user_ids: npt.NDArray[np.integer], post_ids: npt.NDArray[np.integer], time: datetime
    ) -> Floats:
        """Mean over the places of a session, and over the noise by Gauss-Hermite quadrature. Shape (n,)."""
        odds = self.log_odds(user_ids, post_ids, time)
        places, counts = np.unique(PLACE[:PLACES], return_counts=True)
        mean = np.zeros(len(odds))
        for node, weight in zip(_NODES * self.spec.noise_sd, _WEIGHTS / _WEIGHTS.sum(), strict=True):
            for place, count in zip(places, counts / PLACES, strict=True):
                mean += weight * count * sigmoid(odds + node + place)
        return mean


def save_truth(folder: Path, spec: WorldSpec, end: date, bias: float, posts: Posts, tastes: Tastes) -> None:
    start = datetime(end.year, end.month, end.day, tzinfo=UTC) - timedelta(days=DAYS)
    (folder / FOLDER).mkdir(parents=True, exist_ok=True)
    np.savez(
        folder / FOLDER / FILE,
        world=np.array(spec.name),
        start=np.array(int(start.timestamp())),
        bias=np.array(bias),
        topic=posts.topic,
        vector=posts.vector,
        quality=posts.quality,
        birth=posts.birth,
        topic_taste=tastes.topic,
        theme_taste=tastes.theme,
        level=tastes.level,
    )
