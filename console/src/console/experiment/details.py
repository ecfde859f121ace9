"""The page below the metrics: guardrails, votes, the shadow's answers, finer numbers, groups, the log."""

from __future__ import annotations

from datetime import datetime

from contracts import numbers
from contracts.names import GUARDRAIL_STATES, guardrail, metric, metric_name
from contracts.numbers import UNKNOWN
from contracts.reports import GroupReading, GuardrailReading, MetricReading, Report
from contracts.wire import Message

from console.experiment.checks import NOT_READ, Mark
from console.experiment.course import crossing, day_number
from console.scales import IntervalBar, bar
from console.words import Fact


class Guard(Message):
    mark: Mark
    name: str
    control: str
    test: str
    text: str
    bar: IntervalBar | None
    limit: float
    """In percent of the axis' width."""


class Fine(Message):
    """One row of the table of finer numbers."""

    name: str
    cells: list[str]


class VoteCount(Message):
    control: str
    test: str
    ties: str
    percent: float
    """Of test among those who preferred one."""
    text: str
    excluded: str
    held: bool


class LogLine(Message):
    at: datetime
    when: str
    text: str
    by: str | None


def guard_of(one: GuardrailReading, held: bool, plain: bool) -> Guard:
    """plain: without the colour of a good mark, while nothing can be decided."""
    judged = one.judged
    far = max(one.limit * 1.22, min(judged.high, 4 * one.limit) * 1.04 if judged else 0.0)
    limit = (
        f"limit {numbers.limit_points(one.limit)} more than control’s"
        if one.more
        else f"limit {numbers.limit(one.limit)}"
    )
    amount = _points if one.more else numbers.share
    text = f"L{limit[1:]}"
    mark: Mark = "wait"
    if held or judged is None or one.state == "cannot_tell":
        text = f"{NOT_READ}. {text}" if held else f"{GUARDRAIL_STATES['cannot_tell']} yet. {text}"
    elif one.state == "breached":
        mark, text = "bad", f"Past its limit: best case {amount(max(0.0, judged.low))}, {limit}"
    else:
        mark = ("done" if plain else "good") if one.state == "holds" else "wait"
        text = f"Worst case {amount(max(0.0, judged.high))}, {limit}"
    return Guard(
        mark=mark,
        name=guardrail(one.metric, one.over_ms),
        control=numbers.share(one.control.estimate if one.control else None),
        test=numbers.share(one.test.estimate if one.test else None),
        text=text,
        bar=None if held or judged is None else bar(judged, 0.0, far, one.limit),
        limit=round(100 * one.limit / far, 2),
    )


def votes_of(report: Report, held: bool) -> VoteCount | None:
    votes = report.interleaving
    if votes is None:
        return None
    decided = votes.for_control + votes.for_test
    text = votes.why or "Nobody has preferred one list yet."
    if held:
        text = "Held back while the split check fails." if report.split.failed else "Too early to read."
    elif votes.share is not None:
        prefer = f"{numbers.share(votes.share.estimate)} of the votes for test, ties half to each, {numbers.shares(votes.share)}"
        text = f"{prefer}; {numbers.probability(votes.p_value)}."
    return VoteCount(
        control=f"{votes.for_control:,}",
        test=f"{votes.for_test:,}",
        ties=f"{votes.ties:,}",
        percent=round(100 * votes.for_test / decided, 2) if decided else 0.0,
        text=text,
        excluded=f"{votes.excluded:,}",
        held=held or not decided,
    )


def shadow_of(report: Report) -> list[Fact]:
    shadow = report.shadow
    if shadow is None:
        return []

    def took(ms: float | None) -> str:
        return UNKNOWN if ms is None else f"{ms:.0f} ms"

    failed = numbers.share(shadow.failed / shadow.asked) if shadow.asked else UNKNOWN
    return [
        Fact(label="Asked beside control", value=f"{shadow.asked:,}"),
        Fact(label="Failed", value=f"{shadow.failed:,}, {failed}"),
        Fact(label="Half answered within", value=took(shadow.p50_ms)),
        Fact(label="99% answered within", value=took(shadow.p99_ms)),
        Fact(label="Shown posts that test chose too", value=numbers.share_and_range(shadow.overlap)),
        Fact(label="Rank correlation (Kendall’s tau)", value=numbers.plain_and_range(shadow.rank_correlation)),
    ]


def fine_of(one: MetricReading) -> Fine:
    cells = [
        numbers.difference(one.metric, one.difference),
        numbers.full_interval(one.lift) if one.lift else UNKNOWN,
        *(numbers.p(p) for p in (one.p_value, one.adjusted_p_value, one.always_valid_p_value)),
        numbers.difference(one.metric, one.cuped),
        UNKNOWN if one.variance_removed is None else numbers.share(max(0.0, one.variance_removed)),
    ]  # fmt: skip
    return Fine(name=metric(one.metric), cells=cells)


def _points(share: float) -> str:
    return numbers.limit_points(float(f"{share:.2g}"))


def protocol_of(report: Report) -> list[Fine]:
    """Intent to treat beside per protocol."""
    beside = {one.metric: one for one in report.per_protocol}
    return [
        Fine(
            name=metric(one.metric),
            cells=[numbers.lift(lift) for lift in (one.always_valid or one.lift, other.always_valid or other.lift)],
        )
        for one in report.metrics
        if (other := beside.get(one.metric)) is not None
    ]


def groups_of(report: Report) -> list[Fine]:
    return [
        Fine(
            name=group.group,
            cells=[
                group.ranker,
                f"{group.assigned:,}",
                f"{group.exposures:,}",
                _degraded(group),
                f"{group.likes:,}",
            ],
        )
        for group in report.groups
    ]


def _degraded(group: GroupReading) -> str:
    """With how many of them were answered while the log was dead, where there are any."""
    if not group.exposures:
        return "0"
    unlogged = f", {group.unlogged:,} unlogged" if group.unlogged else ""
    return f"{group.degraded:,} ({numbers.share(group.degraded / group.exposures)}{unlogged})"


def unattributed_of(report: Report) -> str | None:
    counts = {reason: number for reason, number in report.unattributed.items() if number}
    if not counts:
        return None
    parts = ", ".join(f"{reason.replace('_', ' ')} {number:,}" for reason, number in counts.items())
    return f"Likes that belong to no exposure: {parts}."


def log_of(report: Report, held: bool) -> list[LogLine]:
    lines = [
        LogLine(at=change.at, when=_when(change.at, report), text=_said(change.what, change.reason), by=change.by)
        for change in report.history
    ]
    primary = next(iter(report.metrics), None)
    crossed = crossing(primary.course, report.experiment.plan.rules.alpha) if primary and not held else None
    if crossed is not None and primary is not None:
        text = f"Evidence for {metric_name(primary.metric).within} crossed the bound"
        lines.append(LogLine(at=crossed.day, when=_when(crossed.day, report), text=text, by=None))
    return sorted(lines, key=lambda line: line.at, reverse=True)


def _when(at: datetime, report: Report) -> str:
    start = report.experiment.started_at
    return (
        f"Day {day_number(at, start) if at > start else 0}"
        if start is not None and at >= start
        else f"{at.day} {at:%b}"
    )


def _said(what: str, reason: str) -> str:
    return f"{what}: {reason}" if reason and reason != what else what
