"""Incidents of degraded answers, in words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from contracts import numbers
from contracts.degradation import UNLOGGED
from contracts.wire import Message

from console.system.series import Difference
from console.words import FALLBACKS, moment

MOST_SHOWN = 20
MOST_REASONS = 3
REPLACED = ("ranker", "features")
"""Reasons for which other posts than the model's may be given begin with the service that could not be asked."""


class Degradation(Message):
    start: datetime
    text: str
    when: str


def degradations_of(differences: Sequence[Difference], now: datetime, joined: timedelta) -> list[Degradation]:
    """Incidents, newest first: when, whose answers, why, what was given instead, how large a share.

    joined: what is no further apart is one incident, whatever its groups and reasons.
    """
    incidents: list[list[Difference]] = []
    for difference in sorted((one for one in differences if one.degraded), key=lambda one: one.end):
        if incidents and difference.start - incidents[-1][-1].end <= joined:
            incidents[-1].append(difference)
        else:
            incidents.append([difference])
    said = [_degradation(part, differences, now) for part in incidents]
    return said[::-1][:MOST_SHOWN]


def _degradation(part: Sequence[Difference], all_of_them: Sequence[Difference], now: datetime) -> Degradation:
    start, end = min(one.start for one in part), max(one.end for one in part)
    whole = [one for one in all_of_them if start <= one.start and one.end <= end]
    reasons = _by(1, (one.degraded for one in part))
    groups = sorted(_by(0, (one.degraded for one in part)))
    said = f"{' and '.join(groups)}: {_reasons(reasons)}{_given(whole, groups, reasons)}, {_share(whole, groups)}"
    until = "" if f"{start:%H:%M}" == f"{end:%H:%M}" else f"–{end:%H:%M}"
    return Degradation(start=start, when=f"{near(start, now)}{until}", text=said)


def _by(place: int, counted: Iterable[Mapping[tuple[str, str], float]]) -> dict[str, float]:
    """The counts by group (0), or by reason or model (1)."""
    sums: dict[str, float] = defaultdict(float)
    for counts in counted:
        for key, number in counts.items():
            sums[key[place]] += number
    return dict(sums)


def _reasons(counts: Mapping[str, float]) -> str:
    ordered = sorted(counts, key=lambda reason: -counts[reason])
    more = len(ordered) - MOST_REASONS
    rest = f" and {numbers.count(more, 'other reason', 'other reasons')}" if more > 0 else ""
    return ", ".join(_why(reason) for reason in ordered[:MOST_REASONS]) + rest


def _given(whole: Sequence[Difference], groups: Sequence[str], reasons: Iterable[str]) -> str:
    """What most got in place of the model's posts."""
    mine = ({key: number for key, number in one.served.items() if key[0] in groups} for one in whole)
    instead = {model: number for model, number in _by(1, mine).items() if model in FALLBACKS}
    if not instead or not any(reason.startswith(REPLACED) for reason in reasons):
        return ""
    return f" → {FALLBACKS[max(instead, key=lambda one: instead[one])]}"


def _share(whole: Sequence[Difference], groups: Sequence[str]) -> str:
    """Of the groups' answers in that time: each is degraded once, whatever its reasons."""
    hit = sum(number for one in whole for group, number in one.degraded_answers.items() if group in groups)
    served = sum(number for one in whole for (group, _), number in one.served.items() if group in groups)
    whose = " and ".join(f"{group}’s" for group in groups)
    return f"{numbers.share(min(1.0, hit / served))} of {whose} answers" if served else f"{hit:,.0f} answers"


def _why(reason: str) -> str:
    """`ranker timeout`; an open breaker asks nobody."""
    if reason == UNLOGGED:
        return "recorded late, since the log was down"
    who, _, what = reason.rpartition("_")
    return f"{who} not asked, after failures" if who and what == "open" else reason.replace("_", " ")


def near(at: datetime, now: datetime) -> str:
    return moment(at, now).removeprefix("today ")
