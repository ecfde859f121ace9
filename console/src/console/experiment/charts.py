"""The two panels of a course as coordinates: the lift with its band, and below it the evidence with its bound."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta

from contracts import numbers
from contracts.reports import Day
from contracts.wire import Message

from console.scales import ticks

LEFT, RIGHT = 52.0, 14.0
MOST_EVIDENCE = 1e4
LABEL_ROOM = 118.0
"""Units that a label beside a line needs."""


class Point(Message):
    x: float
    y: float


class Label(Message):
    text: str
    x: float
    y: float
    line: bool = True


class Mark(Message):
    """A moment: the bound crossed, a change of weights."""

    text: str
    x: float
    y: float
    anchor: str
    text_x: float


class Panel(Message):
    top: float
    bottom: float
    labels: list[Label]
    line: list[Point]


class Chart(Message):
    name: str
    width: float
    height: float
    left: float
    right: float
    lift: Panel
    band: list[Point]
    """The upper edge from left to right, then the lower one back."""
    upper: list[Point]
    lower: list[Point]
    zero: float | None
    evidence: Panel
    bound: float
    bound_text: str
    days: list[Label]
    future: float | None
    """Where the days to come begin; None when the planned time is over."""
    marks: list[Mark]


class Moment(Message):
    at: datetime
    text: str


class ChartLayout:
    def __init__(
        self, name: str, width: float, tall: float, low: float, start: datetime, planned: float,
        axis: tuple[float, float], alpha: float,
    ) -> None:  # fmt: skip
        self.name, self.width = name, width
        self.left, self.right = LEFT, width - RIGHT
        self.top, self.bottom = 10.0, 10.0 + tall
        self.evidence_top = self.bottom + 30.0
        self.evidence_bottom = self.evidence_top + low
        self.start, self.planned, self.axis, self.alpha = start, planned, axis, alpha
        self.first, self.last = 0.0, planned

    def chart(self, days: list[Day], moments: Sequence[Moment]) -> Chart:
        passed = [self._days(day.day) for day in days]
        self.first = min(1.0, passed[0]) if len(days) > 1 else 0.0
        self.last = max(self.planned, passed[-1])
        lifts = [(x, day.lift) for x, day in zip(map(self._x, passed), days, strict=True) if day.lift is not None]
        known = [(self._x(x), day.p_value) for x, day in zip(passed, days, strict=True) if day.p_value is not None]
        most = max([100.0, 4 / self.alpha, *(self._capped(1 / max(p, 1e-9)) for _, p in known)])
        upper = [self._at(x, lift.high) for x, lift in lifts]
        lower = [self._at(x, lift.low) for x, lift in lifts]
        ahead = self._x(passed[-1])
        return Chart(
            name=self.name,
            width=self.width,
            height=self.evidence_bottom + 30,
            left=self.left,
            right=self.right,
            lift=Panel(
                top=self.top,
                bottom=self.bottom,
                labels=[Label(text=_tick(t), x=self.left - 9, y=self._y(t)) for t in ticks(*self.axis, 6)],
                line=[self._at(x, lift.estimate) for x, lift in lifts],
            ),
            band=[*upper, *reversed(lower)],
            upper=upper,
            lower=lower,
            zero=self._y(0.0),
            evidence=Panel(
                top=self.evidence_top,
                bottom=self.evidence_bottom,
                labels=self._evidence_labels(most),
                line=[Point(x=x, y=self._evidence_y(1 / max(p, 1e-9), most)) for x, p in known],
            ),
            bound=self._evidence_y(1 / self.alpha, most),
            bound_text=f"needs {1 / self.alpha:.3g}×",
            days=self._day_labels(),
            future=ahead if ahead < self.right - 1 else None,
            marks=self._marks(moments),
        )

    def _days(self, at: datetime) -> float:
        return (at - self.start) / timedelta(days=1)

    def _x(self, passed: float) -> float:
        span = max(self.last - self.first, 1e-9)
        return round(self.left + (self.right - self.left) * (passed - self.first) / span, 1)

    def _y(self, value: float) -> float:
        low, high = self.axis
        clipped = min(max(value, low), high)
        return round(self.bottom - (self.bottom - self.top) * (clipped - low) / (high - low), 1)

    def _at(self, x: float, value: float) -> Point:
        return Point(x=x, y=self._y(value))

    def _capped(self, evidence: float) -> float:
        return min(max(evidence, 1.0), MOST_EVIDENCE)

    def _evidence_y(self, evidence: float, most: float) -> float:
        up = math.log(self._capped(evidence)) / math.log(most)
        return round(self.evidence_bottom - (self.evidence_bottom - self.evidence_top) * min(up, 1.0), 1)

    def _evidence_labels(self, most: float) -> list[Label]:
        """1× and the largest round power of ten, where the bound's own label leaves room."""
        bound = self._evidence_y(1 / self.alpha, most)
        powers = [10.0**power for power in (2, 3, 4) if 10.0**power <= most * 1.001]
        labels = [Label(text="1×", x=self.left - 9, y=self.evidence_bottom)]
        if powers and abs(self._evidence_y(powers[-1], most) - bound) > 16:
            y = self._evidence_y(powers[-1], most)
            labels.append(Label(text=f"{powers[-1]:,.0f}×", x=self.left - 9, y=y))
        return labels

    def _day_labels(self) -> list[Label]:
        first, last = math.ceil(self.first - 1e-9), math.floor(self.last + 1e-9)
        room = max(1, int((self.right - self.left) / (46 if self.width > 500 else 62)))
        step = next(step for step in (1, 2, 3, 7, 14, 28, 91, 365, 3650) if (last - first) / step <= room)
        numbers_ = [*range(first, last + 1, step)]
        if numbers_ and last - numbers_[-1] >= step / 2:
            numbers_.append(last)
        elif numbers_:
            numbers_[-1] = last
        y = self.evidence_bottom + 23
        return [Label(text=("day " if n == first else "") + str(n), x=self._x(n), y=y) for n in dict.fromkeys(numbers_)]

    def _marks(self, moments: Sequence[Moment]) -> list[Mark]:
        """Texts stand left of their line where there is room, each on a line of its own."""
        marks = []
        for place, moment in enumerate(sorted(moments, key=lambda one: one.at, reverse=True)[:3]):
            x = self._x(min(max(self._days(moment.at), self.first), self.last))
            room = LABEL_ROOM + 6 * max(0, len(moment.text) - 20)
            to_left = x - self.left > room
            text_x, anchor = (x - 7, "end") if to_left else (x + 7, "start")
            y = self.bottom - 12 - 23 * place
            marks.append(Mark(text=moment.text, x=x, y=y, anchor=anchor, text_x=text_x))
        return marks


def _tick(value: float) -> str:
    points = round(value * 100, 6)
    sign = "+" if points > 0 else numbers.MINUS if points < 0 else ""
    return f"{sign}{abs(points):g}%"
