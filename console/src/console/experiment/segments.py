"""For whom, since when and how fast: segments and days as forest plots, latency by quantile."""

from __future__ import annotations

from collections.abc import Sequence

from contracts import numbers
from contracts.names import DIMENSIONS, READINGS
from contracts.numbers import UNKNOWN
from contracts.reports import Range, Report
from contracts.wire import Message

from console.experiment.rows import Kind
from console.scales import IntervalBar, bar, reach


class Slice(Message):
    kind: Kind
    name: str
    users: str
    lift: str
    interval: str
    reading: str
    bar: IntervalBar | None


class Slices(Message):
    """rows: by their heading."""

    ticks: list[str]
    rows: list[tuple[str, list[Slice]]]


class Quantile(Message):
    name: str
    control: str
    test: str
    difference: str


class Breakdown(Message):
    segments: Slices | None
    novelty: Slices | None
    latency: list[Quantile]


def breakdown_of(report: Report, held: bool) -> Breakdown:
    if held:
        return Breakdown(segments=None, novelty=None, latency=[])
    return Breakdown(segments=_segments(report), novelty=_novelty(report), latency=_latency(report))


def _segments(report: Report) -> Slices | None:
    lifts = [each.lift for each in report.segments if each.lift]
    if not lifts:
        return None
    far = reach(lifts)
    rows: dict[str, list[Slice]] = {}
    for each in report.segments:
        kind: Kind = {"better": "good", "worse": "bad", "unclear": "unsure"}.get(each.reading, "none")  # type: ignore[assignment]
        made = _slice(each.value, each.users, each.lift, far, kind, READINGS[each.reading])
        rows.setdefault(DIMENSIONS[each.dimension], []).append(made)
    return Slices(ticks=_ticks(far), rows=list(rows.items()))


def _novelty(report: Report) -> Slices | None:
    lifts = [day.lift for day in report.novelty if day.lift]
    if len(lifts) < 2:
        return None
    far = reach(lifts)
    days = [_slice(f"Day {day.day}", day.users, day.lift, far, "unsure", "") for day in report.novelty if day.lift]
    return Slices(ticks=_ticks(far), rows=[("", days)])


def _slice(name: str, users: int, lift: Range | None, far: float, kind: Kind, reading: str) -> Slice:
    return Slice(
        kind=kind,
        name=name,
        users=f"{users:,}",
        lift=numbers.percent(lift.estimate) if lift else UNKNOWN,
        interval=numbers.interval(lift) if lift else "",
        reading=reading,
        bar=bar(lift, -far, far) if lift else None,
    )


def _ticks(far: float) -> list[str]:
    half = round(far * 50, 6)
    return [f"{numbers.MINUS}{half:g}%", "0", f"+{half:g}%"]


def _latency(report: Report) -> list[Quantile]:
    return [
        Quantile(
            name=f"p{100 * each.quantile:g}",
            control=_ms([each.control]),
            test=_ms([each.test]),
            difference=f"{each.difference.low:+.1f} to {each.difference.high:+.1f} ms".replace("-", numbers.MINUS),
        )
        for each in report.latency
        if each.difference is not None
    ]


def _ms(ranges: Sequence[Range | None]) -> str:
    return ", ".join(UNKNOWN if one is None else f"{one.estimate:.1f} ms" for one in ranges)
