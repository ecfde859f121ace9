"""A verdict in words: the one function for page, JSON, command line and log.

The report says which verdict it is; here it is put into words. Better, worse, unclear: never "winner". Colours and
tones are chosen where it is shown.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from contracts import names, numbers
from contracts.names import DECIDED, guardrail, metric_name
from contracts.reports import GuardrailReading, MetricReading, Report, VerdictKind
from contracts.wire import Message


class Words(Message):
    kind: VerdictKind
    headline: str
    """`Ship test`; what was decided, where it is."""
    sentence: str
    decided: str | None = None
    """How it ended, where it has."""
    reasons: list[str] = []
    """The report's own, the decisive one first."""


def words_of(report: Report, now: datetime | None = None) -> Words:
    """now: the platform's time, by default that of the report; only names the day of a first reading."""
    decision = report.experiment.decision
    return Words(
        kind=report.verdict.kind,
        headline=names.about(DECIDED[decision.outcome], decision.group) if decision else _headline(report),
        sentence=_sentence(report, now or report.at),
        decided=_decided(report),
        reasons=report.verdict.reasons,
    )


def line_of(report: Report) -> str:
    """`Hold: Keep running. ...`, for a terminal or a log: begins with the headline."""
    words = words_of(report)
    return words.decided or f"{words.headline}: {words.sentence}"


def lacks_users(report: Report) -> bool:
    return report.verdict.kind == "too_early" and _least(report) < report.experiment.plan.rules.min_users


def lacks_likers(report: Report) -> bool:
    least = report.experiment.plan.rules.min_likers
    return report.verdict.kind == "too_early" and report.likers is not None and report.likers < least


def only_compares(report: Report) -> bool:
    return names.only_compares(report.verdict.kind, report.experiment.plan.mode)


def _decided(report: Report) -> str | None:
    if (decision := report.experiment.decision) is None:
        return None
    made = f" Decided on run {decision.run}." if decision.run else ""
    ended = f"{names.about(DECIDED[decision.outcome], decision.group)} on {numbers.date_and_clock(decision.at)}, by {decision.by}"
    said = decision.reason if decision.reason.endswith((".", "!", "?", "…")) else f"{decision.reason}."
    return f"{ended}: {said}{made}"


def _headline(report: Report) -> str:
    said = names.verdict(report.verdict.kind, report.experiment.plan.mode, report.compared)
    if report.verdict.kind == "too_early":
        return f"{said} to {'read' if lacks_users(report) or lacks_likers(report) else 'decide'}"
    return said


def _least(report: Report) -> int:
    """Users of the smaller group."""
    return min((group.assigned for group in report.groups), default=0)


def _sentence(report: Report, now: datetime) -> str:
    if only_compares(report):
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
    if not lacks_users(report) and lacks_likers(report):
        return (
            f"The likes stand on {report.likers:,.0f} of {rules.min_likers:,} users per group: too few like, or a few "
            "like far more than all others."
        )
    if not lacks_users(report):
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
        return names.about(_breach(breached), report.compared)
    if report.metrics and report.metrics[0].reading == "worse" and report.metrics[0].always_valid:
        return f"{_effect(report)}."
    return _first(report.verdict.reasons) or f"{report.compared} does harm."


def _breach(breached: GuardrailReading) -> str:
    assert breached.judged is not None
    how = {
        "slow_share": guardrail(breached.metric, breached.over_ms).lower(),
        "error_share": "without their ranker, which failed",
        "fallback_share": "a fallback’s",
    }[breached.metric]
    if breached.more is None:
        said = f"{numbers.shares(breached.judged)} of test’s answers are {how}"
        return f"{said}; the limit is {numbers.limit(breached.limit)}."
    said = f"{numbers.points(breached.more)} more of test’s answers than of control’s are {how}"
    return f"{said}; the limit is {numbers.limit_points(breached.limit)}."


def _hold(report: Report) -> str:
    primary = _primary(report)
    if report.interleaving and report.interleaving.share:
        share = report.interleaving.share
        if share.low <= 0.5 <= share.high:
            return f"{_keep_running(report)} Test’s share of the votes still holds one half: {numbers.shares(share)}."
    elif primary and primary.always_valid and primary.reading == "unclear":
        name = metric_name(primary.metric).within
        return f"{_keep_running(report)} The interval for {name} still holds zero: {numbers.full_interval(primary.always_valid)}."
    return f"{_keep_running(report)} {_first(report.verdict.reasons)}".strip()


def _keep_running(report: Report) -> str:
    """`Keep running: 3 days of 14 planned are left.`"""
    planned = report.experiment.plan.rules.days
    left = planned - report.days
    if left <= 0 or report.experiment.state != "running":
        return "Keep running."
    return f"Keep running: {numbers.days(left)} of {planned} planned are left."


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
        return _first(report.verdict.reasons).rstrip(".") or f"{report.compared} does better"
    name, lift = metric_name(primary.metric), primary.always_valid
    way = "higher" if lift.estimate > 0 else "lower"
    return f"{name.text} {name.is_are} {way} with {report.compared}, by {numbers.size(lift.low, lift.high)}"


def _primary(report: Report) -> MetricReading | None:
    return report.metrics[0] if report.metrics else None


def _first(reasons: list[str]) -> str:
    return reasons[0] if reasons else ""
