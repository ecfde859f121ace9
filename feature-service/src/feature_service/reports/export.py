"""A report as CSV: one line per number, in words that a spreadsheet can filter."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from io import StringIO

from contracts.assignment import Group
from contracts.reports import Comparison, MetricReading, Range, Report

COLUMNS = ("part", "name", "group", "value", "low", "high", "p_value", "note")
Line = tuple[object, ...]


def as_csv(report: Report) -> str:
    """Intervals as in the report: lifts as a share of control, metrics in their own unit. Empty: not known."""
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(["" if cell is None else cell for cell in line] for line in _lines(report))
    return text.getvalue()


def _lines(report: Report) -> Iterator[Line]:
    experiment = report.experiment
    yield ("report", experiment.name, None, report.run, None, None, None, f"as of {report.at.isoformat()}")
    yield ("report", "days", None, report.days, None, None, None, f"{experiment.state}, {experiment.plan.mode}")
    for one in report.comparisons:
        yield ("verdict", one.verdict.kind, one.group, None, None, None, None, "; ".join(one.verdict.reasons))
    for group in report.groups:
        for name in ("assigned", "exposures", "degraded", "unlogged", "likes"):
            yield ("group", name, group.group, getattr(group, name), None, None, None, " ".join(group.models))
    note = "failed" if report.split.failed else ""
    yield ("split", "sample ratio", None, None, None, None, report.split.p_value, note)
    for period in report.split.periods:
        for name, users in period.assigned.items():
            expected = f"period {period.weight_period}, expected share {period.expected.get(name, 0.0):g}"
            yield ("split", "assigned", name, users, None, None, None, expected)
    for one in report.comparisons:
        yield from _of_comparison(one)
    if votes := report.interleaving:
        counts = f"test {votes.for_test}, control {votes.for_control}, ties {votes.ties}, excluded {votes.excluded}"
        yield ("interleaving", "share of test", None, *_range(votes.share), votes.p_value, votes.why or counts)
    if shadow := report.shadow:
        for name, value in (("asked", shadow.asked), ("failed", shadow.failed), ("p50_ms", shadow.p50_ms)):
            yield ("shadow", name, None, value, None, None, None, None)
        yield ("shadow", "p99_ms", None, shadow.p99_ms, None, None, None, None)
        yield ("shadow", "overlap", None, *_range(shadow.overlap), None, None)
        yield ("shadow", "rank_correlation", None, *_range(shadow.rank_correlation), None, None)
    for check in report.health:
        yield ("health", check.check, None, check.share, None, None, None, f"{check.state}: {check.what}")
    for out in report.left_out:
        yield ("left out", "users", out.group, out.users, None, None, None, f"{out.exposures} exposures")
    for reason, likes in report.unattributed.items():
        yield ("unattributed likes", reason, None, likes, None, None, None, None)
    for change in report.history:
        yield ("history", change.what, None, change.revision, None, None, None, f"{change.at.isoformat()} {change.by}")


def _of_comparison(one: Comparison) -> Iterator[Line]:
    for part, metrics in (("intent to treat", one.metrics), ("per protocol", one.per_protocol)):
        for metric in metrics:
            yield from _of_metric(part, metric, one.group)
    for rule in one.guardrails:
        for name, share in (("control", rule.control), (one.group, rule.test), (f"{one.group} - control", rule.more)):
            yield ("guardrail", rule.metric, name, *_range(share), None, f"{rule.state}, limit {rule.limit:g}")
    for each in one.segments:
        note = f"{each.metric}, {each.users} users, {each.reading}"
        yield ("segment", f"{each.dimension}: {each.value}", one.group, *_range(each.lift), each.p_value, note)
    for day in one.novelty:
        yield ("novelty", f"day {day.day}", one.group, *_range(day.lift), None, f"{day.users} users")
    for took in one.latency:
        for name, ms in (
            ("control", took.control),
            (one.group, took.test),
            (f"{one.group} - control", took.difference),
        ):
            yield ("latency in ms", f"quantile {took.quantile:g}", name, *_range(ms), None, None)


def _of_metric(part: str, metric: MetricReading, group: Group) -> Iterator[Line]:
    name = metric.metric
    yield (part, name, "control", metric.control, None, None, None, metric.why)
    yield (part, name, group, metric.test, None, None, None, metric.reading)
    for what, interval, p_value in (
        ("difference", metric.difference, metric.p_value),
        ("lift", metric.lift, metric.p_value),
        ("lift, always valid", metric.always_valid, metric.always_valid_p_value),
        ("difference, CUPED", metric.cuped, None),
    ):
        yield (part, f"{name}: {what}", group, *_range(interval), p_value, None)
    for day in metric.course:
        yield (
            part,
            f"{name}: course",
            group,
            *_range(day.lift),
            day.p_value,
            f"{day.day.isoformat()}, {day.users} users",
        )


def _range(interval: Range | None) -> tuple[float | None, float | None, float | None]:
    return (interval.estimate, interval.low, interval.high) if interval else (None, None, None)
