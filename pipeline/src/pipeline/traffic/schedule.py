"""When simulated users come: sessions over a daily rhythm, as in the world's own feed."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from pipeline.world.effects import HOURS
from pipeline.world.feed import DAY_SECONDS
from pipeline.world.spec import WorldSpec

POSTS = 5
"""Shown by one request, each viewed."""
Coming = dict[int, deque["Session"]]
"""Each user's sessions, in order."""


@dataclass(frozen=True, slots=True)
class Session:
    """at: when the first request is made; requests: one after the other, as the user scrolls on."""

    at: datetime
    requests: int


def schedule(
    users: Sequence[int],
    begin: datetime,
    days: float,
    requests_per_user: float,
    spec: WorldSpec,
    rng: np.random.Generator,
) -> Coming:
    """Within `days` from `begin`. A user makes Poisson many requests, one at least, in sessions as long as the world's.

    Sessions begin at any of the world's hours, of any day alike.
    """
    counts = np.maximum(rng.poisson(requests_per_user, len(users)), 1)
    return {user: _sessions(int(count), begin, days, spec, rng) for user, count in zip(users, counts, strict=True)}


def _sessions(requests: int, begin: datetime, days: float, spec: WorldSpec, rng: np.random.Generator) -> deque[Session]:
    lengths = _lengths(requests, spec, rng)
    times = sorted(_time(begin, days, rng) for _ in lengths)
    return deque(Session(at, length) for at, length in zip(times, lengths, strict=True))


def _lengths(requests: int, spec: WorldSpec, rng: np.random.Generator) -> list[int]:
    lengths: list[int] = []
    while (left := requests - sum(lengths)) > 0:
        views = rng.normal(spec.session_views_mean, spec.session_views_sd)
        lengths.append(min(left, max(round(views / POSTS), 1)))
    return lengths


def _time(begin: datetime, days: float, rng: np.random.Generator) -> datetime:
    """At one of HOURS. A period shorter than a day may hold none of them: then any time will do."""
    for _ in range(100):
        midnight = begin.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        seconds = int(rng.integers(0, int(days) + 2)) * DAY_SECONDS + int(rng.choice(HOURS)) * 3600
        at = midnight + timedelta(seconds=seconds + float(rng.random()) * 3600)
        if begin <= at < begin + timedelta(days=days):
            return at
    return begin + timedelta(days=days * float(rng.random()))
