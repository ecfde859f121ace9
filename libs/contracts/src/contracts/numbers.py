"""How numbers are written, on pages, in their JSON, by the command line and in logs.

One decimal for a lift, two to three digits for a rate, a true minus, `–` for unknown.
"""

from __future__ import annotations

import math
from datetime import datetime, timedelta

from contracts.experiments import Metric
from contracts.reports import Range

UNKNOWN = "–"
MINUS = "−"
_SHARES = {"hit_rate", "returned_within_7_days"}
"""Metrics that are shares: their differences are in percentage points, which are never written as percent."""


def percent(value: float) -> str:
    """`+3.1%`, `−0.4%`, `0.0%`: a change, as a share, with its sign and one decimal."""
    points = round(value * 100, 1)
    return f"{'+' if points > 0 else MINUS if points < 0 else ''}{abs(points):.1f}%"


def interval(bounds: Range) -> str:
    """`+0.7 to +5.5%`."""
    return f"{percent(bounds.low).removesuffix('%')} to {percent(bounds.high)}"


def full_interval(bounds: Range) -> str:
    """`−1.4% to +8.6%`, for a sentence."""
    return f"{percent(bounds.low)} to {percent(bounds.high)}"


def lift(bounds: Range | None) -> str:
    """`+3.1%, +0.7 to +5.5%`: no lift without its interval."""
    return UNKNOWN if bounds is None else f"{percent(bounds.estimate)}, {interval(bounds)}"


def size_of(value: float) -> str:
    """`6.8%`: of a change whose direction the sentence says."""
    return f"{abs(value) * 100:.1f}%"


def size(low: float, high: float) -> str:
    """`0.7% to 5.5%`: of a change whose direction the sentence says."""
    near, far = sorted((abs(low), abs(high)))
    return f"{size_of(near)} to {size_of(far)}"


def share(value: float | None) -> str:
    """`31.2%`, `0.84%`, `0.021%`: of something counted, in two to three digits."""
    if value is None:
        return UNKNOWN
    points = value * 100
    if points >= 10:
        return f"{points:.1f}%".replace(".0%", "%") if points >= 99.95 else f"{points:.1f}%"
    return f"{_digits(points, 2)}%"


def shares(bounds: Range) -> str:
    """`0.71% to 0.96%`; an end below zero is zero."""
    return f"{share(max(0.0, bounds.low))} to {share(max(0.0, bounds.high))}"


def share_and_range(bounds: Range | None) -> str:
    """`0.84% (0.71% to 0.96%)`."""
    return UNKNOWN if bounds is None else f"{share(bounds.estimate)} ({shares(bounds)})"


def plain_and_range(bounds: Range | None) -> str:
    """`0.31 (0.29 to 0.33)`: of what has no unit."""
    return (
        UNKNOWN
        if bounds is None
        else f"{bounds.estimate:.2f} ({bounds.low:.2f} to {bounds.high:.2f})".replace("-", MINUS)
    )


def level(alpha: float) -> str:
    """`95%`."""
    return f"{(1 - alpha) * 100:g}%"


def limit(value: float) -> str:
    """`5%`, `0.5%`: as somebody wrote it."""
    return f"{round(value * 100, 6):g}%"


def metric(name: Metric, value: float | None) -> str:
    if value is None:
        return UNKNOWN
    return share(value) if name in _SHARES else _digits(value, 3)


def difference(name: Metric, bounds: Range | None) -> str:
    """`+0.97 points, +0.22 to +1.7` of a share, `+0.04, −0.01 to +0.09` of anything else: in the metric's own unit."""
    if bounds is None:
        return UNKNOWN
    scale, unit = (100.0, " points") if name in _SHARES else (1.0, "")
    estimate, low, high = (_signed(value * scale) for value in (bounds.estimate, bounds.low, bounds.high))
    return f"{estimate}{unit}, {low} to {high}"


def points(bounds: Range) -> str:
    """`1.8 to 2.4 points`: by which one share surpasses another, which is nothing at least and all at most."""
    low, high = (_digits(100 * min(1.0, max(0.0, end)), 2) for end in (bounds.low, bounds.high))
    return f"{low} to {high} points"


def limit_points(value: float) -> str:
    """`1 point`, `0.5 points`: as somebody wrote it."""
    number = f"{round(value * 100, 6):g}"
    return f"{number} point{'' if number == '1' else 's'}"


def p(value: float | None) -> str:
    """`0.44`, `< 0.001`."""
    if value is None:
        return UNKNOWN
    return "< 0.001" if value < 0.001 else _digits(value, 2)


def probability(value: float | None) -> str:
    """`p = 0.44`, `p < 0.001`."""
    said = p(value)
    return f"p {said}" if said == UNKNOWN or said.startswith("<") else f"p = {said}"


def evidence(p_value: float) -> str:
    """`4.6×`: how much more likely the data are with a difference than without one, at least."""
    if p_value <= 1e-4:
        return "over 10,000×"
    times = 1 / p_value
    return f"{times:.0f}×" if times >= 10 else f"{_digits(times, 2)}×"


def age(seconds: float) -> str:
    """`12 s`, `14 min`, `3 h`, `2 days`."""
    if seconds < 60:
        return f"{max(0, round(seconds))} s"
    if seconds < 3600:
        return f"{round(seconds / 60)} min"
    if seconds < 48 * 3600:
        return f"{round(seconds / 3600)} h"
    return f"{round(seconds / 86400)} days"


def days(number: float) -> str:
    """`11 days`, `6 hours` within the first day, `4 minutes` within the first hour."""
    for unit, size in (("day", 1.0), ("hour", 24.0)):
        if (whole := int(number * size)) >= 1:
            return count(whole, unit, f"{unit}s")
    return count(max(1, round(number * 1440)), "minute", "minutes")


def count(number: int, one: str, many: str) -> str:
    """`1 like`, `12,345 likes`."""
    return f"{number:,} {one if number == 1 else many}"


def clock(at: datetime) -> str:
    return f"{at:%H:%M} UTC"


def date_and_clock(at: datetime) -> str:
    """`14 Mar, 10:02 UTC`."""
    return f"{at.day} {at:%b}, {at:%H:%M} UTC"


def about(at: datetime, now: datetime) -> str:
    """Rounded up to what one can promise: `14:00 UTC`, `16 Mar, 14:00 UTC` on another day."""
    up = (at + timedelta(minutes=59, seconds=59)).replace(minute=0, second=0, microsecond=0)
    return clock(up) if up.date() == now.date() else date_and_clock(up)


def _signed(value: float) -> str:
    return f"{'+' if value > 0 else MINUS if value < 0 else ''}{_digits(abs(value), 2)}"


def _digits(value: float, digits: int) -> str:
    """`digits` significant digits, without an exponent, with thousands separators."""
    if value == 0:
        return "0"
    places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:,.{places}f}".replace("-", MINUS)
