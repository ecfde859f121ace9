"""A verdict as the page shows it: its tone, what is held back, and when its numbers are old."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from contracts import numbers, verdicts
from contracts.reports import Comparison, MetricReading, Report
from contracts.verdicts import lacks_likers, lacks_users, only_compares

Tone = Literal["good", "bad", "wait", "none"]
"""none: no colour, since nothing can be read."""
STALE_SECONDS = 120.0
OLD = timedelta(hours=2)


class Words(verdicts.Words):
    tone: Tone


def words_of(report: Report, now: datetime) -> Words:
    """now: the platform's or the console's time."""
    return Words(**dict(verdicts.words_of(report, now)), tone=_tone(report))


def is_held_back(report: Report) -> bool:
    """Whether a lift would mean nothing: the groups are not alike, or hold too few users or likers."""
    failed = report.split.failed or report.verdict.kind == "split_failed"
    return failed or lacks_users(report) or lacks_likers(report)


def withheld(report: Report) -> Report:
    """The report without anything that compares the groups."""
    return report.model_copy(
        update={
            "metrics": [_bare(one) for one in report.metrics],
            "per_protocol": [_bare(one) for one in report.per_protocol],
            "guardrails": [one.model_copy(update={"state": "cannot_tell"}) for one in report.guardrails],
            "others": [_withheld(one) for one in report.others],
            "interleaving": report.interleaving
            and report.interleaving.model_copy(update={"share": None, "p_value": None}),
        }
    )


def _withheld(one: Comparison) -> Comparison:
    return one.model_copy(
        update={
            "metrics": [_bare(metric) for metric in one.metrics],
            "per_protocol": [_bare(metric) for metric in one.per_protocol],
            "guardrails": [guard.model_copy(update={"state": "cannot_tell"}) for guard in one.guardrails],
        }
    )


def _bare(one: MetricReading) -> MetricReading:
    reading = "watched" if one.reading == "watched" else "cannot_tell"
    nothing: dict[str, object] = {
        "difference": None, "lift": None, "p_value": None, "adjusted_p_value": None, "always_valid": None,
        "always_valid_p_value": None, "cuped": None, "variance_removed": None, "course": [], "reading": reading,
    }  # fmt: skip
    return one.model_copy(update=nothing)


def stale(report: Report, now: datetime) -> str | None:
    """Why the numbers are older than they look; None for fresh ones and for an experiment that is over.

    A simulated platform's clock is not ours: only an age below a day is believed.
    """
    if report.experiment.state != "running":
        return None
    lag = report.lag_seconds or 0.0
    passed = now - report.at
    known = timedelta() <= passed < timedelta(days=1)
    age = max(passed.total_seconds(), lag) if known else lag
    if lag >= STALE_SECONDS:
        return f"Numbers are {numbers.age(age)} old because event lag is {numbers.age(lag)}."
    if known and passed >= OLD:
        return f"Numbers are {numbers.age(age)} old: the last analysis ran at {numbers.clock(report.at)}."
    return None


def _tone(report: Report) -> Tone:
    if (decision := report.experiment.decision) is not None:
        return {"ship": "good", "roll_back": "bad"}.get(decision.outcome, "wait")  # type: ignore[return-value]
    if only_compares(report):
        return "wait"
    match report.verdict.kind:
        case "ship":
            return "good"
        case "roll_back" | "split_failed":
            return "bad"
        case "too_early":
            return "none"
        case _:
            return "wait"
