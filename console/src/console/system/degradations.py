"""Spells of degraded answers, in words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

from contracts import numbers
from contracts.wire import Message

from console.system.series import Difference
from console.words import FALLBACKS, moment

MOST_SHOWN = 20
REPLACED = ("ranker", "features")
"""Reasons for which other posts than the model's may be given begin with the service that could not be asked."""


class Degradation(Message):
    start: datetime
    text: str
    when: str


def degradations_of(differences: Sequence[Difference], now: datetime, joined: timedelta) -> list[Degradation]:
    """Spells by group and reason, newest first: when, why, what was given instead, how large a share.

    joined: two that are no further apart count as one.
    """
    spells: dict[tuple[str, str], list[list[Difference]]] = defaultdict(list)
    for difference in sorted(differences, key=lambda one: one.end):
        for key in difference.degraded:
            groups = spells[key]
            if groups and difference.start - groups[-1][-1].end <= joined:
                groups[-1].append(difference)
            else:
                groups.append([difference])
    said = [_degradation(key, part, now) for key, parts in spells.items() for part in parts]
    return sorted(said, key=lambda one: one.start, reverse=True)[:MOST_SHOWN]


def _degradation(key: tuple[str, str], part: Sequence[Difference], now: datetime) -> Degradation:
    group, reason = key
    start, end = part[0].start, max(difference.end for difference in part)
    hit = sum(difference.degraded.get(key, 0.0) for difference in part)
    served = sum(number for difference in part for (name, _), number in difference.served.items() if name == group)
    instead: dict[str, float] = defaultdict(float)
    for difference in part:
        for (name, model), number in difference.served.items():
            if name == group and model in FALLBACKS:
                instead[model] += number
    replaced = instead and reason.startswith(REPLACED)
    given = f" → {FALLBACKS[max(instead, key=lambda one: instead[one])]}" if replaced else ""
    share = f"{numbers.share(min(1.0, hit / served))} of {group}’s answers" if served else f"{hit:,.0f} answers"
    until = "" if f"{start:%H:%M}" == f"{end:%H:%M}" else f"–{end:%H:%M}"
    when = f"{near(start, now)}{until}"
    return Degradation(start=start, when=when, text=f"{group}: {_why(reason)}{given}, {share}")


def _why(reason: str) -> str:
    """`ranker timeout`; an open breaker asks nobody."""
    who, _, what = reason.rpartition("_")
    return f"{who} not asked, after failures" if who and what == "open" else reason.replace("_", " ")


def near(at: datetime, now: datetime) -> str:
    return moment(at, now).removeprefix("today ")
