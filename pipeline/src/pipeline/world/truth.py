"""The simulated world's truth: how probable a like is.

For oracles and simulated users, never for what trains or serves.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from pipeline.errors import LentaError
from pipeline.world.appeal import Ints, Tastes, Traits, appeal
from pipeline.world.effects import HOUR, PLACE
from pipeline.world.feed import DAY_SECONDS, sigmoid
from pipeline.world.spec import DAYS, FIRST_POST, FIRST_USER, WorldSpec, spec_of

Kind = TypeVar("Kind", Traits, Tastes)
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
    posts: Traits
    tastes: Tastes

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
        return cls(spec, start, bias, _held(Traits, "post", held), _held(Tastes, "user", held))

    def log_odds(self, user_ids: npt.NDArray[np.integer], post_ids: npt.NDArray[np.integer], time: datetime) -> Floats:
        """Of a like at `time`, without place in the session, mood and noise; shapes (1,) and (n,), or (n,) both."""
        user, post = np.broadcast_arrays(user_ids - FIRST_USER, post_ids - FIRST_POST)
        second = (time - self.start).total_seconds()
        day = np.minimum(np.array([second / DAY_SECONDS]), float(DAYS))
        odds = appeal(self.posts, self.tastes, self.spec, user, post, day)
        return np.asarray(self.bias + odds + HOUR[int(second % DAY_SECONDS // 3600)])

    def appeal(self, user_ids: Ints, post_ids: Ints, seconds: Floats) -> Floats:
        """What tells one post from another at a moment: log-odds without bias, hour, place, mood and noise.

        seconds: since the epoch; shape (n,) each.
        """
        day = np.minimum((seconds - self.start.timestamp()) / DAY_SECONDS, float(DAYS))
        return appeal(self.posts, self.tastes, self.spec, user_ids - FIRST_USER, post_ids - FIRST_POST, day)

    def contents(self, post_ids: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
        """What each post shows: the id of the post that it repeats, or its own. Shape (n,)."""
        return np.asarray(self.posts.original[post_ids - FIRST_POST] + FIRST_POST)

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


def save_truth(folder: Path, spec: WorldSpec, end: date, bias: float, posts: Traits, tastes: Tastes) -> None:
    start = datetime(end.year, end.month, end.day, tzinfo=UTC) - timedelta(days=DAYS)
    (folder / FOLDER).mkdir(parents=True, exist_ok=True)
    np.savez(
        folder / FOLDER / FILE,
        world=np.array(spec.name),
        start=np.array(int(start.timestamp())),
        bias=np.array(bias),
        **{f"post_{field.name}": getattr(posts, field.name) for field in fields(Traits)},
        **{f"user_{field.name}": getattr(tastes, field.name) for field in fields(Tastes)},
    )


def _held(kind: type[Kind], prefix: str, held: dict[str, npt.NDArray[Any]]) -> Kind:
    return kind(**{field.name: held[f"{prefix}_{field.name}"] for field in fields(kind)})
