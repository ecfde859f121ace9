"""A metric's course over time: the lift with its always-valid interval, and the evidence against no difference.

Drawn twice, at 1040 units wide and at 346, so that text keeps its size on a phone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta

from contracts import numbers
from contracts.numbers import UNKNOWN
from contracts.reports import Day, Range
from contracts.wire import Message

from console.experiment.charts import Chart, ChartLayout, Moment

MOST_POINTS = 60
SIZES = (("wide", 1040.0, 210.0, 100.0), ("narrow", 346.0, 170.0, 90.0))
"""Name, width, height of the lift's panel, height of the evidence's."""


class DayRow(Message):
    """One row of the table that holds the chart's numbers."""

    at: datetime
    day: str
    users: str
    lift: str
    interval: str
    evidence: str


class Course(Message):
    charts: list[Chart]
    lines: list[DayRow]
    summary: str
    notes: list[str]


def course_of(
    name: str, days: Sequence[Day], start: datetime, planned: float, alpha: float, moments: Sequence[Moment] = ()
) -> Course | None:
    """None without a day that has a lift. moments: what happened, beside the crossing of the bound."""
    read = [day for day in days if day.lift is not None]
    if not read:
        return None
    shown = _thinned(read)
    crossed = crossing(days, alpha)
    marks = list(moments)
    if crossed is not None:
        marks.append(Moment(at=crossed.day, text=f"bound crossed, {_ordinal(crossed.day, start)}"))
    axis, cut = _axis([day.lift for day in shown if day.lift is not None])
    charts = [
        ChartLayout(title, width, tall, low, start, planned, axis, alpha).chart(shown, marks)
        for title, width, tall, low in SIZES
    ]
    outside = [day for day in shown if day.lift and (day.lift.low < axis[0] or day.lift.high > axis[1])]
    notes = []
    if cut and outside:
        span = " to ".join(dict.fromkeys(_ordinal(day.day, start) for day in (outside[0], outside[-1])))
        notes.append(f"The axis is cut: the interval runs past it on {span.replace(' to day ', ' to ')}.")
    return Course(
        charts=charts, lines=[_line(day, start) for day in days], summary=_summary(name, read[-1], alpha), notes=notes
    )


def crossing(days: Sequence[Day], alpha: float) -> Day | None:
    """The first day whose evidence reached the bound."""
    return next((day for day in days if day.p_value is not None and day.p_value <= alpha), None)


def day_number(at: datetime, start: datetime) -> int:
    """The first day is 1 and ends 24 hours after the start."""
    return max(1, math.ceil((at - start) / timedelta(days=1) - 1e-6))


def _ordinal(at: datetime, start: datetime) -> str:
    return f"day {day_number(at, start)}"


def _thinned(days: list[Day]) -> list[Day]:
    """At most so many points: the last one always among them."""
    step = -(-len(days) // MOST_POINTS)
    return days[(len(days) - 1) % step :: step]


def _axis(lifts: Sequence[Range]) -> tuple[tuple[float, float], bool]:
    """From the later half of the course, so that the wide first days don't squeeze what is known by now."""
    later = lifts[len(lifts) // 2 :]
    low = min(0.0, *(one.low for one in later))
    high = max(0.0, *(one.high for one in later))
    room = max((high - low) * 0.5, 0.02)
    low, high = low - room, high + room
    lowest, highest = min(one.low for one in lifts), max(one.high for one in lifts)
    low, high = max(low, min(0.0, lowest * 1.05)), min(high, max(0.0, highest * 1.05))
    if high - low < 0.01:
        low, high = low - 0.005, high + 0.005
    return (low, high), lowest < low or highest > high


def _line(day: Day, start: datetime) -> DayRow:
    return DayRow(
        at=day.day,
        day=str(day_number(day.day, start)),
        users=f"{day.users:,}",
        lift=numbers.percent(day.lift.estimate) if day.lift else UNKNOWN,
        interval=numbers.interval(day.lift) if day.lift else UNKNOWN,
        evidence=numbers.evidence(day.p_value) if day.p_value is not None else UNKNOWN,
    )


def _summary(name: str, last: Day, alpha: float) -> str:
    assert last.lift is not None
    said = f"{name} over time: now {numbers.percent(last.lift.estimate)}, {numbers.full_interval(last.lift)}"
    if last.p_value is not None:
        said += f"; evidence {numbers.evidence(last.p_value)}, needs {1 / alpha:.3g}×"
    return f"{said}. The table below holds the numbers of every day."
