"""The words of a verdict, made by one function for the page, its JSON and the announcement of a change.

The report says which verdict it is; here it is put into words. Better, worse, unclear: never "winner".
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from contracts import names
from contracts.names import DECIDED, METRICS, guardrail
from contracts.reports import ExperimentLine, GuardrailReading, MetricReading, Report, VerdictKind
from contracts.wire import Message

from console import numbers
from console.words import UNKNOWN

Tone = Literal["good", "bad", "wait", "none"]
"""none: no colour, since nothing can be read."""
STALE_SECONDS = 120.0
OLD = timedelta(hours=2)


class Words(Message):
    kind: VerdictKind
    headline: str
    """`Ship test`"""
    sentence: str
    tone: Tone
    decided: str | None = None
    """How it ended, where it has."""
    reasons: list[str] = []
    """The report's own, the decisive one first."""


def words_of(report: Report, now: datetime) -> Words:
    """now: the platform's or the console's time; only names the day of a first reading."""
    decision = report.experiment.decision
    words = Words(
        kind=report.verdict.kind,
        headline=_headline(report),
        sentence=_sentence(report, now),
        tone=_tone(report),
        reasons=report.verdict.reasons,
    )
    if decision is None:
        return words
    made = f" Decided on run {decision.run}." if decision.run else ""
    ended = f"{DECIDED[decision.outcome]} on {numbers.date_and_clock(decision.at)}, by {decision.by}"
    said = decision.reason if decision.reason.endswith((".", "!", "?", "…")) else f"{decision.reason}."
    return words.model_copy(
        update={
            "headline": DECIDED[decision.outcome],
            "tone": {"ship": "good", "roll_back": "bad"}.get(decision.outcome, "wait"),
            "decided": f"{ended}: {said}{made}",
        }
    )


def headline_of(line: ExperimentLine) -> str:
    """Of an experiment in a list; it never contradicts the page's own."""
    if line.verdict is None:
        return UNKNOWN
    return names.verdict(line.verdict, line.mode)


def is_held_back(report: Report) -> bool:
    """Whether a lift would mean nothing: the groups are not alike, or hold too few users or likers."""
    failed = report.split.failed or report.verdict.kind == "split_failed"
    return failed or _lacks_users(report) or _lacks_likers(report)


def withheld(report: Report) -> Report:
    """The report without anything that compares the groups."""
    return report.model_copy(
        update={
            "metrics": [_bare(one) for one in report.metrics],
            "per_protocol": [_bare(one) for one in report.per_protocol],
            "guardrails": [one.model_copy(update={"state": "cannot_tell"}) for one in report.guardrails],
            "interleaving": report.interleaving
            and report.interleaving.model_copy(update={"share": None, "p_value": None}),
        }
    )


def _bare(one: MetricReading) -> MetricReading:
    reading = "watched" if one.reading == "watched" else "cannot_tell"
    nothing: dict[str, object] = {
        "difference": None, "lift": None, "p_value": None, "adjusted_p_value": None, "always_valid": None,
        "always_valid_p_value": None, "cuped": None, "variance_removed": None, "course": [], "reading": reading,
    }  # fmt: skip
    return one.model_copy(update=nothing)


def stale(report: Report, now: datetime) -> str | None:
    """Why the numbers are older than they look; None for fresh ones and for an experiment that is over.

    A simulated platform's clock is not ours: only an age below a day is believed.
    """
    if report.experiment.state != "running":
        return None
    lag = report.lag_seconds or 0.0
    passed = now - report.at
    known = timedelta() <= passed < timedelta(days=1)
    age = max(passed.total_seconds(), lag) if known else lag
    if lag >= STALE_SECONDS:
        return f"Numbers are {numbers.age(age)} old because event lag is {numbers.age(lag)}."
    if known and passed >= OLD:
        return f"Numbers are {numbers.age(age)} old: the last analysis ran at {numbers.clock(report.at)}."
    return None


def _tone(report: Report) -> Tone:
    if _only_compares(report):
        return "wait"
    match report.verdict.kind:
        case "ship":
            return "good"
        case "roll_back" | "split_failed":
            return "bad"
        case "too_early":
            return "none"
        case _:
            return "wait"


def _headline(report: Report) -> str:
    said = names.verdict(report.verdict.kind, report.experiment.plan.mode)
    if report.verdict.kind == "too_early":
        return f"{said} to {'read' if _lacks_users(report) or _lacks_likers(report) else 'decide'}"
    return said


def _least(report: Report) -> int:
    """Users of the smaller group."""
    return min((group.assigned for group in report.groups), default=0)


def _lacks_users(report: Report) -> bool:
    return report.verdict.kind == "too_early" and _least(report) < report.experiment.plan.rules.min_users


def _lacks_likers(report: Report) -> bool:
    least = report.experiment.plan.rules.min_likers
    return report.verdict.kind == "too_early" and report.likers is not None and report.likers < least


def _only_compares(report: Report) -> bool:
    return names.only_compares(report.verdict.kind, report.experiment.plan.mode)


def _sentence(report: Report, now: datetime) -> str:
    if _only_compares(report):
        return (
            "Users see control’s posts alone. Test is asked beside it, and its answers are compared with what was "
            "shown."
        )
    match report.verdict.kind:
        case "too_early":
            return _too_early(report, now)
        case "split_failed":
            return _split_failed(report)
        case "roll_back":
            return _roll_back(report)
        case "ship":
            return f"{_effect(report)}, and every guardrail stays within its limit."
        case "keep_control":
            return _keep_control(report)
        case "hold":
            return _hold(report)


def _too_early(report: Report, now: datetime) -> str:
    rules, least = report.experiment.plan.rules, _least(report)
    if not _lacks_users(report) and _lacks_likers(report):
        return (
            f"The likes stand on {report.likers:,.0f} of {rules.min_likers:,} users per group: too few like, or a few "
            "like far more than all others."
        )
    if not _lacks_users(report):
        day = f"Day {int(report.days) + 1} of at least {rules.min_days}"
        return f"Keep running. {day}: users of the first days are not like those of a whole week."
    said = f"{least:,} of {rules.min_users:,} users per group."
    start = report.experiment.started_at
    if not least or start is None or report.at <= start:
        return said
    first = start + (report.at - start) * (rules.min_users / least)
    today = now if abs(now - report.at) < timedelta(days=1) else report.at
    return f"{said} First reading about {numbers.about(first, today)}."


def _split_failed(report: Report) -> str:
    more = max(report.groups, key=lambda group: group.assigned - _expected(report, group.group), default=None)
    where = f"in {more.group}" if more else "in one group"
    return (
        f"More users landed {where} than the split allows, so the two groups may differ for reasons other than the "
        "model. Repair the assignment, then start again with a new salt."
    )


def _expected(report: Report, group: str) -> float:
    return sum(
        sum(period.assigned.values()) * share
        for period in report.split.periods
        for name, share in period.expected.items()
        if name == group
    )


def _roll_back(report: Report) -> str:
    breached = next((one for one in report.guardrails if one.state == "breached"), None)
    if breached is not None and breached.test is not None:
        return _breach(breached)
    if report.metrics and report.metrics[0].reading == "worse" and report.metrics[0].always_valid:
        return f"{_effect(report)}."
    return _first(report.verdict.reasons) or "test does harm."


def _breach(breached: GuardrailReading) -> str:
    assert breached.judged is not None
    of = "more of test’s answers than of control’s" if breached.more else "of test’s answers"
    how = {
        "slow_share": guardrail(breached.metric, breached.over_ms).lower(),
        "error_share": "without their ranker, which failed",
        "fallback_share": "a fallback’s",
    }[breached.metric]
    return f"{numbers.shares(breached.judged)} {of} are {how}; the limit is {numbers.limit(breached.limit)}."


def _hold(report: Report) -> str:
    primary = _primary(report)
    if report.interleaving and report.interleaving.share:
        share = report.interleaving.share
        if share.low <= 0.5 <= share.high:
            return f"Keep running. Test’s share of the votes still holds one half: {numbers.shares(share)}."
    elif primary and primary.always_valid and primary.reading == "unclear":
        name = METRICS[primary.metric].within
        return f"Keep running. The interval for {name} still holds zero: {numbers.full_interval(primary.always_valid)}."
    return f"Keep running. {_first(report.verdict.reasons)}".strip()


def _keep_control(report: Report) -> str:
    primary, interleaving = _primary(report), report.interleaving
    if interleaving and interleaving.share:
        between = numbers.shares(interleaving.share)
        return f"No clear preference by the planned end; test’s share of the votes lies in {between}."
    if primary and primary.always_valid:
        lift = primary.always_valid
        between = f"{numbers.percent(lift.low)} and {numbers.percent(lift.high)}"
        return f"No clear difference by the planned end; any change lies between {between}."
    return _first(report.verdict.reasons) or "No clear difference by the planned end."


def _effect(report: Report) -> str:
    """`Hit rate is higher with test, by 0.7% to 5.5%`."""
    primary, interleaving = _primary(report), report.interleaving
    if interleaving and interleaving.share:
        return f"Test’s share of the votes is {numbers.shares(interleaving.share)}, ties half to each"
    if primary is None or primary.always_valid is None:
        return _first(report.verdict.reasons).rstrip(".") or "test does better"
    name, lift = METRICS[primary.metric], primary.always_valid
    way = "higher" if lift.estimate > 0 else "lower"
    return f"{name.text} {name.is_are} {way} with test, by {numbers.size(lift.low, lift.high)}"


def _primary(report: Report) -> MetricReading | None:
    return report.metrics[0] if report.metrics else None


def _first(reasons: list[str]) -> str:
    return reasons[0] if reasons else ""
