"""The four checks beside the verdict, and the traffic behind them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from contracts import numbers
from contracts.assignment import CONTROL, Group
from contracts.names import guardrail, metric
from contracts.numbers import UNKNOWN
from contracts.reports import PeriodSplit, Report
from contracts.wire import Message

from console.experiment.course import crossing, day_number

Mark = Literal["good", "bad", "wait", "done"]
"""done: good, but without a colour."""
NOT_READ = "Not read"
MOST_MODELS = 2


class Check(Message):
    mark: Mark
    title: str
    text: str


class Side(Message):
    group: Group
    models: str
    users: str
    share: str
    percent: float
    begin: float
    """How many percent stand before it."""


class TrafficSplit(Message):
    sides: list[Side]
    planned: float | None
    """Control's share by plan, in percent; None where it changed on the way."""
    check: Check
    periods: list[list[str]]
    """Starts, planned, assigned to each group: of each weight period where there are several."""


def plainly(check: Check) -> Check:
    """Without a colour, while nothing can be read."""
    return check.model_copy(update={"mark": "done"}) if check.mark == "good" else check


def checks_of(report: Report, held: bool) -> list[Check]:
    if report.experiment.plan.mode == "shadow":
        return []
    rules = report.experiment.plan.rules
    long_enough = report.days >= rules.min_days
    ran = Check(
        mark="good" if long_enough else "wait",
        title="Ran long enough" if long_enough else "Not long enough yet",
        text=f"{numbers.days(report.days)}, at least {rules.min_days}{' days' if report.days < 1 else ''}",
    )
    checks = [_split_check(report), ran, _primary_check(report, held), _guard_check(report, held)]
    return [plainly(check) for check in checks] if report.verdict.kind == "too_early" else checks


def _split_check(report: Report) -> Check:
    users = sum(group.assigned for group in report.groups)
    if report.split.failed:
        control = next((group.assigned for group in report.groups if group.group == "control"), 0)
        planned = _planned(report)
        plan = f", planned {numbers.limit(planned)}" if planned is not None else ""
        return Check(
            mark="bad", title="Split is not even", text=f"{numbers.share(control / max(users, 1))} in control{plan}"
        )
    if report.split.p_value is None:
        return Check(mark="wait", title="Split", text="Not checked yet")
    said = f"{users:,} user{'' if users == 1 else 's'}, {numbers.probability(report.split.p_value)}"
    return Check(mark="good", title="Split is even", text=said)


def _primary_check(report: Report, held: bool) -> Check:
    primary = next(iter(report.metrics), None)
    if report.interleaving is not None:
        share = report.interleaving.share
        if held or share is None:
            return Check(mark="wait", title="Preference", text=NOT_READ)
        settled = not share.low <= 0.5 <= share.high
        mark: Mark = "wait" if not settled else "good" if share.estimate > 0.5 else "bad"
        title = "Preference is clear" if settled else "Preference is unclear"
        return Check(mark=mark, title=title, text=f"{numbers.shares(share)} of the votes for test")
    if held or primary is None or primary.always_valid is None:
        return Check(mark="wait", title="Primary", text=(primary and primary.why) or NOT_READ)
    if primary.reading == "unclear":
        return Check(mark="wait", title="Primary is unclear", text=f"{metric(primary.metric)}, interval holds zero")
    crossed, start = crossing(primary.course, report.experiment.plan.rules.alpha), report.experiment.started_at
    said = f"Bound crossed on day {day_number(crossed.day, start)}" if crossed and start else metric(primary.metric)
    if primary.reading == "worse":
        return Check(mark="bad", title="Primary is worse", text=said)
    return Check(mark="good", title="Primary is clear", text=said)


def _guard_check(report: Report, held: bool) -> Check:
    guardrails, total = report.guardrails, len(report.guardrails)
    if not total:
        return Check(mark="wait", title="Guardrails", text="None planned")
    if held:
        return Check(mark="wait", title="Guardrails", text=NOT_READ)
    holding = sum(one.state == "holds" for one in guardrails)
    if breached := [guardrail(one.metric, one.over_ms) for one in guardrails if one.state == "breached"]:
        return Check(mark="bad", title="Guardrail breached", text=breached[0])
    if holding == total:
        return Check(mark="good", title="Guardrails hold", text=f"{holding} of {total} within limits")
    return Check(mark="wait", title="Guardrails", text=f"{holding} of {total} settled within limits")


def _planned(report: Report) -> float | None:
    expected = {tuple(sorted(period.expected.items())) for period in report.split.periods}
    return dict(expected.pop()).get(CONTROL) if len(expected) == 1 else None


def traffic_of(report: Report) -> TrafficSplit:
    total = sum(group.assigned for group in report.groups)
    by_group = {group.group: group for group in report.groups}
    sides = list[Side]()
    for name in report.experiment.plan.groups:
        reading = by_group.get(name)
        users = reading.assigned if reading else 0
        sides.append(
            Side(
                group=name,
                models=_models(reading.models) if reading else "",
                users=f"{users:,} user{'' if users == 1 else 's'}",
                share=numbers.share(users / total) if total else UNKNOWN,
                percent=round(100 * users / total, 2) if total else 0.0,
                begin=round(sum(side.percent for side in sides), 2),
            )
        )
    planned = _planned(report)
    said = _split_words(report, planned)
    return TrafficSplit(
        sides=sides,
        planned=None if planned is None else round(100 * planned, 2),
        check=plainly(said) if report.verdict.kind == "too_early" else said,
        periods=_periods(report),
    )


def _models(models: list[str]) -> str:
    """Of a group, by exposures; fallbacks have no version, and stand here only where nothing else answered."""
    named = [one.replace("@", " ") for one in models if "@" in one] or models
    more = f" and {len(named) - MOST_MODELS} more" if len(named) > MOST_MODELS else ""
    return ", ".join(named[:MOST_MODELS]) + more


def _split_words(report: Report, planned: float | None) -> Check:
    split = report.split
    plan = "Weights changed on the way."
    if planned is not None:
        plan = f"Planned {_shares(report.split.periods[0], report.experiment.plan.groups)}."
    if split.p_value is None:
        return Check(mark="wait", title="", text=f"Split not checked yet. {plan}")
    word, mark = ("failed", "bad") if split.failed else ("passed", "good")
    return Check(mark=mark, title="", text=f"Split check {word}, {numbers.probability(split.p_value)}. {plan}")


def _shares(period: PeriodSplit, groups: Sequence[Group]) -> str:
    """`50 / 30 / 20`, in the groups' order."""
    return " / ".join(f"{round(period.expected.get(group, 0.0) * 100, 2):g}" for group in groups)


def _periods(report: Report) -> list[list[str]]:
    groups = report.experiment.plan.groups
    if len(report.split.periods) < 2:
        return []
    return [
        [
            numbers.date_and_clock(period.starts_at),
            _shares(period, groups),
            *(f"{period.assigned.get(group, 0):,}" for group in groups),
        ]
        for period in report.split.periods
    ]
