"""Data health beside the verdict: the worst first, and whom the plan leaves out."""

from __future__ import annotations

from contracts.names import HEALTH, HEALTH_STATES
from contracts.reports import HealthState, Report
from contracts.wire import Message

MARKS: dict[HealthState, str] = {"bad": "bad", "odd": "warn", "good": "done", "cannot_tell": "wait"}
"""The worst first."""


class HealthLine(Message):
    mark: str
    name: str
    state: str
    text: str


class Health(Message):
    summary: str
    lines: list[HealthLine]
    left_out: list[str]


def health_of(report: Report) -> Health:
    order = list(MARKS)
    readings = sorted(report.health, key=lambda each: order.index(each.state))
    lines = [
        HealthLine(
            mark=MARKS[each.state],
            name=HEALTH[each.check],
            state=HEALTH_STATES[each.state],
            text=f"{each.what[:1].upper()}{each.what[1:]}.",
        )
        for each in readings
    ]
    return Health(
        summary=_summary([each.state for each in readings]),
        lines=lines,
        left_out=[
            f"Left out of {each.group} by the plan: {each.users:,} users with {each.exposures:,} exposures."
            for each in report.left_out
        ],
    )


def _summary(states: list[HealthState]) -> str:
    odd = sum(state in ("odd", "bad") for state in states)
    if not odd:
        return "Nothing odd in the last day’s traffic."
    return f"{odd} of {len(states)} checks saw something odd. Leave out who is no user, in both groups alike."
