"""Data health, beside the verdict: whether what was counted are people who looked at posts.

Each check is a share with two bounds, `odd` and `bad`; it says what it saw in words, and changes no verdict: what is
foreign is left out by the plan (`left_out`), in both groups alike and for everybody to see. All of it reads the last
day of the platform's clock, but unlogged and degraded answers, which are the whole experiment's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from contracts.assignment import Group
from contracts.reports import GroupReading, HealthCheck, HealthReading, HealthState

from feature_service.database.engine import naive

WINDOW, LATELY = timedelta(days=1), timedelta(hours=1)
JOINED = timedelta(minutes=5)
"""After it most views and likes of an answer have come."""
TIMES_USUAL, FEWEST_IN_A_MINUTE = 10, 300
"""A minute of more answers than so many times the usual one's, and than so many, is a burst."""
FEWEST_ANSWERS, FEWEST_IDS, FEWEST_LIKES = 500, 50, 30
"""Below so many answers, ids, or likes that were to be expected, a check says nothing."""
LATEST = 2_000
BOUNDS: Mapping[HealthCheck, tuple[float, float]] = {
    "bursts": (0.1, 0.5),
    "few_ids": (0.05, 0.2),
    "likes_lost": (0.5, 0.8),
    "unseen": (0.3, 0.8),
    "unlogged": (0.001, 0.01),
    "degraded": (0.05, 0.2),
    "clock": (0.02, 0.2),
}
"""From the first on it is odd, from the second on bad."""

Row = Mapping[str, Any]
Ask = Callable[[str, Mapping[str, object]], Sequence[Row]]


def asked(ask: Ask, at: datetime) -> tuple[Row, Row]:
    """What the checks go by. ask: a query by name."""
    since: dict[str, object] = {"since": naive(at - WINDOW)}
    traffic = {"until": naive(at), "lately": naive(at - LATELY - JOINED), "joined": naive(at - JOINED)}
    bursts = {"times_usual": TIMES_USUAL, "fewest": FEWEST_IN_A_MINUTE}
    (day,) = ask("health", since | traffic | bursts)
    (latest,) = ask("unseen", since | {"seen": naive(at - JOINED), "most": LATEST})
    return day, latest


def checks(
    day: Row, latest: Row, groups: Sequence[GroupReading], unattributed: Mapping[str, int]
) -> list[HealthReading]:
    return [
        _bursts(day),
        _few_ids(day),
        _likes_lost(day, groups),
        _unseen(latest),
        _by_group("unlogged", groups, "answered while the log was dead"),
        _by_group("degraded", groups, "degraded answers"),
        _clock(latest, unattributed),
    ]


def _bursts(day: Row) -> HealthReading:
    share = _share(day["in_bursts"], day["answers"], FEWEST_ANSWERS)
    if not day["in_bursts"]:
        return _reading("bursts", share, "no minute had ten times the usual number of answers")
    return _reading(
        "bursts",
        share,
        f"{day['in_bursts']:,} of the last day's {day['answers']:,} answers came in {day['burst_minutes']:,} minutes of more "
        f"than ten times the usual traffic, from {day['burst_since']:%Y-%m-%d %H:%M} UTC on, with {day['likes_in_bursts']:,} "
        "likes",
    )


def _few_ids(day: Row) -> HealthReading:
    """One id, or ten of them at a third of the weight."""
    if day["ids"] < FEWEST_IDS or day["answers"] < FEWEST_ANSWERS:
        return _reading("few_ids", None, "too few answers to say")
    one, ten = day["of_one"] / day["answers"], day["of_ten"] / day["answers"]
    ids = ", ".join(str(user) for user in day["heaviest"])
    return _reading(
        "few_ids",
        max(one, ten / 3),
        f"the heaviest id has {_percent(one)} of the last day's answers, ten have {_percent(ten)}: {ids}, ...",
    )


def _likes_lost(day: Row, groups: Sequence[GroupReading]) -> HealthReading:
    """By the rate of all answers but the last hour's."""
    before = sum(group.exposures for group in groups) - day["lately"]
    likes_before = sum(group.likes for group in groups) - day["likes_lately"]
    expected = day["lately"] * likes_before / before if before > 0 else 0
    if expected < FEWEST_LIKES:
        return _reading("likes_lost", None, "too few likes to expect any number of them")
    lost = max(0.0, 1 - float(day["likes_lately"]) / float(expected))
    return _reading(
        "likes_lost",
        lost,
        f"{day['likes_lately']:,} likes on the last hour's {day['lately']:,} answers, {float(expected):,.0f} by the rate of before",
    )


def _unseen(latest: Row) -> HealthReading:
    share = _share(latest["unseen"], latest["answers"], FEWEST_ANSWERS)
    return _reading(
        "unseen",
        share,
        f"{latest['unseen']:,} of the latest {latest['answers']:,} answers were followed by no view of their posts",
    )


def _by_group(check: HealthCheck, groups: Sequence[GroupReading], what: str) -> HealthReading:
    """The worst group's."""
    counted = {group.group: getattr(group, check) / group.exposures for group in groups if group.exposures}
    words = ", ".join(f"{group} {_percent(share)}" for group, share in counted.items())
    return _reading(check, max(counted.values(), default=None), f"{what}: {words or 'no answers yet'}", counted)


def _clock(latest: Row, unattributed: Mapping[str, int]) -> HealthReading:
    early = unattributed.get("early", 0)
    share = _share(latest["before_shown"] + early, latest["likes"] + early, FEWEST_LIKES)
    return _reading(
        "clock",
        share,
        f"{latest['before_shown']:,} of the latest {latest['likes']:,} likes are dated before their answer, {early:,} by more "
        "than five minutes: clients' clocks",
    )


def _reading(
    check: HealthCheck, share: float | None, what: str, groups: Mapping[Group, float] | None = None
) -> HealthReading:
    return HealthReading(
        check=check, state=_state(check, share), share=share, what=what, groups=dict(groups) if groups else {}
    )


def _state(check: HealthCheck, share: float | None) -> HealthState:
    if share is None:
        return "cannot_tell"
    odd, bad = BOUNDS[check]
    return "bad" if share >= bad else "odd" if share >= odd else "good"


def _share(part: float, whole: float, fewest: int) -> float | None:
    return float(part) / float(whole) if whole >= fewest else None


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
