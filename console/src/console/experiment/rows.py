"""The metrics as rows of one forest plot: levels, lift, interval, course, reading."""

from __future__ import annotations

from typing import Literal

from contracts import numbers
from contracts.experiments import Metric
from contracts.names import READINGS, metric
from contracts.numbers import UNKNOWN
from contracts.reports import MetricReading, Report
from contracts.wire import Message

from console.experiment.checks import NOT_READ
from console.scales import IntervalBar, bar, reach

Kind = Literal["good", "bad", "unsure", "none"]
SPARK_WIDTH, SPARK_HEIGHT, SPARK_PAD = 76.0, 26.0, 3.0


class MetricRow(Message):
    key: Metric
    name: str
    role: str
    control: str
    test: str
    kind: Kind
    lift: str
    interval: str
    reading: str
    spoken: str
    bar: IntervalBar | None
    spark: str
    spark_zero: float | None
    why: str | None
    selected: bool


class Forest(Message):
    ticks: list[str]
    rows: list[MetricRow]
    note: str


def forest_of(report: Report, selected: MetricReading | None, held: bool, failed: bool) -> Forest:
    far = reach([one.always_valid for one in report.metrics if one.always_valid is not None])
    half = round(far * 50, 6)
    watched = report.experiment.plan.watched
    rows = []
    for place, one in enumerate(report.metrics):
        role = "Primary" if place == 0 else "Watched, decides nothing" if one.metric in watched else "Secondary"
        row = _row(one, role, far, one is selected, held, failed)
        rows.append(row.model_copy(update={"kind": "none"}) if report.verdict.kind == "too_early" else row)
    alpha = report.experiment.plan.rules.alpha
    note = (
        f"Change with test against control. Bars are {numbers.level(alpha)} intervals that stay valid however often "
        "you look."
    )
    if held:
        note = "Held back while the split check fails." if failed else "Not read yet: too few users."
    return Forest(ticks=[f"{numbers.MINUS}{half:g}%", "0", f"+{half:g}%"], rows=rows, note=note)


def _row(one: MetricReading, role: str, far: float, selected: bool, held: bool, failed: bool) -> MetricRow:
    ever, name = one.always_valid, metric(one.metric)
    lift, between = (numbers.percent(ever.estimate), numbers.interval(ever)) if ever else (UNKNOWN, "")
    reading = _reading(one)
    if held:
        between, reading = "held back" if failed else "too early", NOT_READ
    spoken = f"{name}: {reading.lower()}. Lift {lift}, interval {between}." if ever else f"{name}: {reading.lower()}."
    spark, zero = _spark(one)
    return MetricRow(
        key=one.metric,
        name=name,
        role=role
        if role.startswith("Watched")
        else f"{role}, {'lower' if one.lower_is_better else 'higher'} is better",
        control=numbers.metric(one.metric, one.control),
        test=numbers.metric(one.metric, one.test),
        kind=kind_of(one),
        lift=lift,
        interval=between,
        reading=reading,
        spoken=spoken,
        bar=bar(ever, -far, far) if ever else None,
        spark=spark,
        spark_zero=zero,
        why=None if held or ever else one.why,
        selected=selected,
    )


def kind_of(one: MetricReading) -> Kind:
    match one.reading:
        case "better":
            return "good"
        case "worse":
            return "bad"
        case "unclear":
            return "unsure"
        case _:
            return "none"


def _reading(one: MetricReading) -> str:
    if one.reading == "watched":
        lift = one.always_valid
        if lift is None:
            return READINGS["cannot_tell"]
        if lift.low <= 0 <= lift.high:
            return READINGS["unclear"]
        return "Higher" if lift.estimate > 0 else "Lower"
    return READINGS[one.reading]


def _spark(one: MetricReading) -> tuple[str, float | None]:
    lifts = [day.lift.estimate for day in one.course if day.lift is not None][-40:]
    if len(lifts) < 2:
        return "", None
    low, high = min(0.0, *lifts), max(0.0, *lifts)
    span, room = (high - low) or 1.0, SPARK_HEIGHT - 2 * SPARK_PAD
    step = (SPARK_WIDTH - 2 * SPARK_PAD) / (len(lifts) - 1)

    def y(value: float) -> float:
        return round(SPARK_PAD + room * (high - value) / span, 1)

    return " ".join(f"{SPARK_PAD + step * i:.1f},{y(value)}" for i, value in enumerate(lifts)), y(0.0)
