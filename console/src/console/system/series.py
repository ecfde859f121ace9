"""Readings into courses: differences between neighbouring readings, gathered into equal slots of time.

What was not measured is None, never zero: a counter's difference exists only between two readings of one process.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TypeVar

from console.system.sample import Buckets, Sample

SLOTS = 40
Key = tuple[str, str]
K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Difference:
    """What happened between two readings of one replica."""

    replica: str
    start: datetime
    end: datetime
    asked: float
    errors: float
    served: Mapping[Key, float]
    degraded: Mapping[Key, float]
    """By group and reason: an answer may have several."""
    degraded_answers: Mapping[str, float]
    """By group, each once."""
    replies: Mapping[str, Buckets]


@dataclass(slots=True)
class Slot:
    """seconds: for which there are counts, summed over replicas; 0 where there are none."""

    start: datetime
    end: datetime
    seconds: float = 0.0
    asked: float = 0.0
    errors: float = 0.0
    served: float = 0.0
    degraded: float = 0.0
    replies: dict[str, dict[float, float]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(float)))
    lag: float | None = None
    heard: set[str] = field(default_factory=set)
    """The replicas that were measured."""
    silent: bool = False
    """Whether a replica did not answer: what all of them did together is then not known."""


def thinned(samples: Sequence[Sample], poll_seconds: float, pace: float) -> list[Sample]:
    """One reading every `pace` seconds, always those of the same moments; and every silence."""
    stride = max(1, round(pace / poll_seconds))
    return [one for one in samples if not one.answered or int(one.at.timestamp() // poll_seconds) % stride == 0]


def differences(replica: str, samples: Sequence[Sample], longest: timedelta) -> list[Difference]:
    """longest: two readings further apart say nothing about the time between them."""
    made = []
    for before, after in pairwise(samples):
        same = before.started_at == after.started_at
        if before.asked is None or after.asked is None or not same or after.at - before.at > longest:
            continue
        made.append(
            Difference(
                replica=replica,
                start=before.at,
                end=after.at,
                asked=after.asked - before.asked,
                errors=after.errors - before.errors,
                served=_grown(before.served, after.served),
                degraded=_grown(before.degraded, after.degraded),
                degraded_answers=_grown(before.degraded_answers, after.degraded_answers),
                replies={name: _risen(before.replies.get(name, {}), now) for name, now in after.replies.items()},
            )
        )
    return [difference for difference in made if difference.asked >= 0]


def slots(
    start: datetime,
    end: datetime,
    gateway: Iterable[Difference],
    lags: Iterable[tuple[datetime, float]],
    silences: Iterable[datetime] = (),
    number: int = SLOTS,
) -> list[Slot]:
    """silences: moments at which a replica of the gateway did not answer."""
    width = (end - start) / number
    made = [Slot(start + width * i, start + width * (i + 1)) for i in range(number)]
    for difference in gateway:
        if (place := _place(difference.end, start, width, number)) is not None:
            _add(made[place], difference)
    for at, lag in lags:
        if (place := _place(at, start, width, number)) is not None:
            made[place].lag = max(lag, made[place].lag or 0.0)
    for at in silences:
        if (place := _place(at, start, width, number)) is not None:
            made[place].silent = True
    return made


def quantile(buckets: Buckets, share: float) -> float | None:
    """Seconds, linear between two bounds; the last finite bound for whatever lies beyond it. None without counts."""
    total = buckets.get(math.inf, 0.0)
    if total <= 0:
        return None
    below, floor = 0.0, 0.0
    for bound, count in sorted(buckets.items()):
        if count >= share * total:
            if math.isinf(bound):
                return floor
            inside = (share * total - below) / (count - below) if count > below else 1.0
            return floor + (bound - floor) * inside
        below, floor = count, bound
    return floor


def _add(slot: Slot, difference: Difference) -> None:
    slot.heard.add(difference.replica)
    slot.seconds += (difference.end - difference.start).total_seconds()
    slot.asked += difference.asked
    slot.errors += difference.errors
    slot.served += sum(difference.served.values())
    slot.degraded += sum(difference.degraded_answers.values())
    for name, buckets in difference.replies.items():
        for bound, count in buckets.items():
            slot.replies[name][bound] += count


def _place(at: datetime, start: datetime, width: timedelta, number: int) -> int | None:
    place = math.ceil((at - start) / width) - 1
    return max(place, 0) if -1 <= place < number else None


def _grown(before: Mapping[K, float], after: Mapping[K, float]) -> dict[K, float]:
    return {key: value - before.get(key, 0.0) for key, value in after.items() if value > before.get(key, 0.0)}


def _risen(before: Buckets, after: Buckets) -> dict[float, float]:
    return {bound: max(0.0, count - before.get(bound, 0.0)) for bound, count in after.items()}
