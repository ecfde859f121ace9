"""The experiment page as one value: its numbers and words, from a report alone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from contracts import names, numbers
from contracts.experiments import Experiment, Metric
from contracts.names import MODES, metric, verdict
from contracts.reports import MetricReading, Report, RunLine
from contracts.wire import Message

from console.experiment.arms import Arms, arms_of
from console.experiment.charts import Moment
from console.experiment.checks import Check, TrafficSplit, checks_of, traffic_of
from console.experiment.course import Course, course_of
from console.experiment.details import (
    Fine,
    Guard,
    LogLine,
    VoteCount,
    fine_of,
    groups_of,
    guard_of,
    log_of,
    protocol_of,
    shadow_of,
    unattributed_of,
    votes_of,
)
from console.experiment.health import Health, health_of
from console.experiment.rows import Forest, Kind, forest_of, kind_of
from console.experiment.segments import Breakdown, breakdown_of
from console.experiment.verdict import Words, is_held_back, stale, withheld, words_of
from console.words import Fact


class Run(Message):
    run: int
    at: datetime
    when: str
    verdict: str


class ExperimentView(Message):
    name: str
    mode: str
    shown: Literal["groups", "votes", "shadow"]
    state: str
    is_running: bool
    pauses: bool
    clock: str
    """What is to be said of the page's time; "" for real time."""
    words: Words
    stale: str | None
    held: bool
    """Lifts and charts are held back."""
    can_reveal: bool
    revealed: bool
    checks: list[Check]
    traffic: TrafficSplit
    compared: str
    """The group that the verdict, the metrics and the guardrails hold against control."""
    arms: Arms
    health: Health
    breakdown: Breakdown
    forest: Forest
    selected: str
    metric: Metric | None
    course: Course | None
    course_kind: Kind
    no_course: str
    fine: list[Fine]
    protocol: list[Fine]
    guards: list[Guard]
    votes: VoteCount | None
    shadow: list[Fact]
    groups: list[Fine]
    unattributed: str | None
    log: list[LogLine]
    runs: list[Run]
    run: int
    frozen: bool
    at: datetime
    foot: str


def view_of(
    report: Report, now: datetime, *, chosen: str = "", frozen: bool = False, reveal: bool = False,
    runs: Sequence[RunLine] = (), clock: str = "",
) -> ExperimentView:  # fmt: skip
    """chosen: the metric of the chart, by default the primary. reveal: show what the split check holds back."""
    failed = report.split.failed or report.verdict.kind == "split_failed"
    words, revealed = words_of(report, now), failed and reveal
    plain = report.verdict.kind == "too_early"
    held = is_held_back(report) and not revealed
    if held:
        report = withheld(report)
    plan = report.experiment.plan
    if plan.mode in ("interleave", "shadow"):  # no group saw one ranker alone: metrics have nothing to compare
        report = report.model_copy(update={"metrics": [], "per_protocol": []})
    selected = next((one for one in report.metrics if one.metric == chosen), next(iter(report.metrics), None))
    shown: Literal["groups", "votes", "shadow"] = "groups"
    if plan.mode in ("interleave", "shadow"):
        shown = "votes" if plan.mode == "interleave" else "shadow"
    return ExperimentView(
        name=report.experiment.name,
        mode=MODES[plan.mode],
        shown=shown,
        state=_state(report),
        is_running=report.experiment.state == "running",
        pauses=report.experiment.paused is not None,
        clock=clock,
        words=words,
        stale=None if frozen else stale(report, now),
        held=held,
        can_reveal=failed,
        revealed=revealed,
        checks=checks_of(report, held),
        traffic=traffic_of(report),
        compared=report.compared,
        arms=arms_of(report, held),
        health=health_of(report),
        breakdown=breakdown_of(report, held),
        forest=forest_of(report, selected, held, failed),
        selected=metric(selected.metric) if selected else "",
        metric=selected.metric if selected else None,
        course=_course(report, selected),
        course_kind=kind_of(selected) if selected and not plain else "none",
        no_course=_no_course(selected, held, failed),
        fine=[] if held else [fine_of(one) for one in report.metrics],
        protocol=[] if held else protocol_of(report),
        guards=[guard_of(one, held, plain) for one in report.guardrails],
        votes=votes_of(report, held),
        shadow=shadow_of(report),
        groups=groups_of(report),
        unattributed=unattributed_of(report),
        log=log_of(report, held),
        runs=[
            Run(run=run.run, at=run.at, when=numbers.date_and_clock(run.at), verdict=verdict(run.verdict, plan.mode))
            for run in runs
        ],
        run=report.run,
        frozen=frozen,
        at=report.at,
        foot=_foot(report),
    )


def json_of(report: Report, now: datetime, *, reveal: bool = False) -> str:
    """The report with the words of its verdict; what the page holds back is held back here too."""
    words = words_of(report, now)
    failed = report.split.failed or report.verdict.kind == "split_failed"
    shown = withheld(report) if is_held_back(report) and not (failed and reveal) else report
    body = Numbers(words=words, stale=stale(report, now), report=shown)
    return body.model_dump_json(exclude={"report": {"experiment": {"periods": {"__all__": {"table"}}}}})


class Numbers(Message):
    words: Words
    stale: str | None
    report: Report


def _state(report: Report) -> str:
    experiment = report.experiment
    match experiment.state:
        case "running":
            planned = experiment.plan.rules.days
            day = int(report.days) + 1
            if day > planned:
                return f"Running, {numbers.days(report.days)}; {planned} planned{_paused(experiment)}"
            left = numbers.days(planned - report.days)
            return f"Running, day {day} of {planned}, {left} left{_paused(experiment)}"
        case "draft":
            return "Draft, not started"
        case "stopped" | "archived":
            when = f" on {numbers.date_and_clock(experiment.stopped_at)}" if experiment.stopped_at else ""
            return f"{experiment.state.capitalize()}{when} after {numbers.days(report.days)}"


def _paused(experiment: Experiment) -> str:
    pause = experiment.paused
    return (
        f"; {names.paused(pause).replace(chr(39), chr(8217))} until {pause.until:%H:%M} UTC: {names.pause(pause)}"
        if pause
        else ""
    )


def _course(report: Report, selected: MetricReading | None) -> Course | None:
    start = report.experiment.started_at
    if selected is None or start is None:
        return None
    rules = report.experiment.plan.rules
    changed = [
        Moment(
            at=period.starts_at,
            text="test pauses"
            if period.pause
            else f"weights {' / '.join(f'{round(w * 100):g}' for w in period.weights.values())}",
        )
        for period in report.experiment.periods[1:]
        if start < period.starts_at <= report.at
    ]
    planned = float(rules.days) if report.experiment.state == "running" else report.days  # nothing more is to come
    return course_of(metric(selected.metric), selected.course, start, planned, rules.alpha, changed[-2:])


def _no_course(selected: MetricReading | None, held: bool, failed: bool) -> str:
    if held and failed:
        return (
            "Held back while the split check fails. The two groups are not alike, so a lift here would say nothing "
            "about the model."
        )
    if held:
        return "Shown after the first reading."
    return (selected and selected.why) or "No day has a reading yet."


def _foot(report: Report) -> str:
    run = f"Analysis run {report.run}" if report.run else "Computed now, not stored"
    if report.experiment.stopped_at is not None:
        run += ", final" if report.final else ", not final: likes can still join its last answers"
    alpha = numbers.level(report.experiment.plan.rules.alpha)
    rest = 1 - report.experiment.plan.rules.winsorised
    heavy = f" The heaviest {numbers.share(rest)} of the users count no more than the next." if rest else ""
    return f"{run}, data up to {numbers.date_and_clock(report.at)}. {alpha} level, two-sided.{heavy}"
