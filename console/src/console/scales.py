"""Where a number stands on an axis. Ticks are round numbers; what runs off the axis is cut, and marked as cut."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

from contracts.reports import Range
from contracts.wire import Message

_ROUND = (1.0, 2.0, 2.5, 5.0, 10.0)
LEAST_REACH = 0.01
SQUEEZE = 1.6
"""How much wider than the middle one an interval may be before it is cut instead of squeezing the others."""


class IntervalBar(Message):
    """In percent of the axis' width."""

    x: float
    width: float
    point: float | None
    """None for an estimate off the axis."""
    cut_left: bool
    cut_right: bool
    settled: bool
    """Filled; hollow where the interval holds zero."""


def nice(value: float) -> float:
    """The smallest of 1, 2, 2.5, 5 and their tens that is not below `value`."""
    if value <= 0:
        return _ROUND[0]
    ten = 10.0 ** math.floor(math.log10(value))
    return next(step * ten for step in _ROUND if step * ten >= value * (1 - 1e-9))


def reach(intervals: Sequence[Range]) -> float:
    """How far the one axis of all rows reaches on both sides of zero; its ticks stand at half of it.

    The first interval, of the primary metric, always fits.
    """
    if not intervals:
        return 2 * nice(LEAST_REACH)
    extents = [max(abs(one.low), abs(one.high)) for one in intervals]
    wanted = max(extents[0], min(max(extents), SQUEEZE * median(extents)), LEAST_REACH)
    return 2 * nice(wanted * 1.04 / 2)


def bar(interval: Range, left: float, right: float, zero: float = 0.0) -> IntervalBar:
    """`interval` on the axis from left to right. zero: what it must not hold to be settled."""

    def place(value: float) -> float:
        return round(100 * (min(max(value, left), right) - left) / (right - left), 3)

    inside = left <= interval.estimate <= right
    x = place(interval.low)
    return IntervalBar(
        x=x,
        width=round(place(interval.high) - x, 3),
        point=place(interval.estimate) if inside else None,
        cut_left=interval.low < left,
        cut_right=interval.high > right,
        settled=not interval.low <= zero <= interval.high,
    )


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round numbers within the axis, at most `most` + 1."""
    step = nice((high - low) / most)
    first = math.ceil(low / step - 1e-9)
    return [round(number * step, 12) for number in range(first, math.floor(high / step + 1e-9) + 1)]
