"""Experiments and reports as tables. The report has all that is said; here it is only put into rows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from contracts import names, numbers
from contracts.assignment import Group
from contracts.experiments import Experiment, ExperimentPage
from contracts.plan_words import plan_in_words, weights_in_words
from contracts.reports import ExperimentLine, InterleavingReading, MetricReading, Reach, Report, RunLine, ShadowReading
from contracts.verdicts import line_of, words_of
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipeline.experiment import words
from pipeline.experiment.words import next_step

__all__ = ["lines_table", "next_step", "print_page", "print_reach", "print_report"]
SHOWN_RUNS = 5
SHOWN_HISTORY = 8


def lines_table(lines: Sequence[ExperimentLine]) -> Table:
    table = _table("experiment", "state", "", "mode", "users", "primary", "lift, read any day", "verdict")
    for line in lines:
        users = "" if line.users is None else f"{line.users:,}"
        primary, standing = names.metric(line.primary), names.standing(line)
        table.add_row(
            line.name, line.state, names.progress(line), line.mode, users, primary, numbers.lift(line.lift), standing
        )
    return table


def print_page(page: ExperimentPage, console: Console) -> None:
    experiment = page.experiment
    _line(console, f"[bold]{experiment.name}[/bold], {_state(experiment)}")
    console.print(_plan_table(experiment))
    if experiment.periods:
        table = _table("weight period", "from", "weights", "reason")
        for period in experiment.periods:
            table.add_row(
                str(period.number), _time(period.starts_at), weights_in_words(period.weights), escape(period.reason)
            )
        _section(console, "Weights", table)
    if page.history:
        _section(console, "History", _history(page))


def print_report(report: Report, runs: Sequence[RunLine], console: Console) -> None:
    """The verdict in words first."""
    verdict, experiment = report.verdict, report.experiment
    mode = experiment.plan.mode
    said = words_of(report)
    headline = words.coloured(said.headline, f"bold {words.VERDICT_COLOURS[verdict.kind]}")
    _line(console, f"{headline}{escape(line_of(report).removeprefix(said.headline))}")
    if said.decided:
        _line(console, escape(said.sentence))
    _line(console, f"[dim]By the rules: {escape('; '.join(said.reasons))}[/dim]")
    stored = f"analysis {report.run}" if report.run else "not stored"
    lag = f", data {report.lag_seconds:.0f} s behind" if report.lag_seconds else ""
    _line(
        console,
        f"[dim]{experiment.name} ({mode}), {_state(experiment)}; up to {_time(report.at)} UTC, "
        f"{report.days:.1f} days; {stored}{lag}[/dim]",
    )
    if report.others:
        _section(console, "Groups against control", _comparisons(report))
    _section_of_metrics(report.metrics, report.compared, console)
    if any(reading.difference for reading in report.metrics):
        _section(
            console, "The same at a fixed horizon: to be read once, at the planned end", _at_the_end(report.metrics)
        )
    if report.per_protocol:
        _section(console, "Per protocol: without degraded answers", _metrics(report.per_protocol, report.compared))
    if report.interleaving:
        _section(console, "Interleaving: one vote a user", _interleaving(report.interleaving))
    if report.shadow:
        _section(console, "Shadow: the other ranker, seen by nobody", _shadow(report.shadow))
    _section(console, "Groups", _groups(report))
    _section(console, "Split", _split(report))
    if report.guardrails:
        _section(console, "Guardrails", _guardrails(report))
    if any(each.lift for each in report.segments):
        _section(console, "For whom: all these intervals hold at once", _segments(report))
    if any(day.lift for day in report.novelty):
        _section(console, "By day since a user's first", _novelty(report))
    if any(each.difference for each in report.latency):
        _section(console, "Latency of the last day's answers", _latency(report))
    if report.health:
        _section(console, "Data health", _health(report))
    for out in report.left_out:
        _line(console, f"Left out of {out.group} by the plan: {out.users:,} users with {out.exposures:,} exposures")
    if report.unattributed:
        counts = ", ".join(f"{reason.replace('_', ' ')} {count:,}" for reason, count in report.unattributed.items())
        _line(console, f"\nLikes that belong to no exposure: {escape(counts)}")
    if len(runs) > 1:
        table = _table("analysis", "up to", "verdict")
        for run in sorted(runs, key=lambda line: -line.run)[:SHOWN_RUNS]:
            table.add_row(str(run.run), _time(run.at), names.verdict(run.verdict, mode))
        _section(console, "Earlier: lenta experiment report --run N", table)
    _line(console, f"\nNext: {escape(words.after(verdict.kind, experiment, report.compared))}")


def print_reach(reach: Reach, console: Console) -> None:
    if reach.rate is None or reach.smallest_lift is None:
        _line(console, f"Nothing to plan by: {reach.why}")
        return
    name = names.metric_name(reach.metric).within
    _line(
        console,
        f"As in the last {reach.days} days, {reach.users[-1]:,} users with {name} "
        f"{numbers.metric(reach.metric, reach.rate)}: a lift of {numbers.size_of(reach.smallest_lift)} or more is found "
        "by then with a chance of 80%.",
    )
    table = _table("lift", "users", "days")
    for each in reach.lifts:
        days = f"more than {reach.days}" if each.days is None else str(each.days)
        table.add_row(numbers.limit(each.lift), f"{each.users:,}", days)
    console.print(table)


def _section_of_metrics(readings: Sequence[MetricReading], group: Group, console: Console) -> None:
    """Where the same reason keeps all of them from being read, that reason alone."""
    reasons = {reading.why for reading in readings}
    if len(reasons) == 1 and (why := readings[0].why):
        _line(console, f"\n[bold]Metrics[/bold]: {escape(why)}")
        return
    _section(console, "Metrics: intent to treat, all assigned users", _metrics(readings, group))
    for reading in readings:
        if reading.why:
            _line(console, f"[dim]{names.metric(reading.metric)}: {escape(reading.why)}[/dim]")


def _state(experiment: Experiment) -> str:
    if experiment.decision:
        made = experiment.decision
        ended = names.about(names.DECIDED[made.outcome], made.group).lower()
        return f"{experiment.state}: {ended} on {_time(made.at)} ({escape(made.reason)})"
    if experiment.state == "running" and experiment.started_at:
        return f"running since {_time(experiment.started_at)}{_pause(experiment)}"
    return experiment.state


def _pause(experiment: Experiment) -> str:
    pause = experiment.paused
    return f"; {names.paused(pause)} until {_time(pause.until)}: {names.pause(pause)}" if pause else ""


def _plan_table(experiment: Experiment) -> Table:
    table = Table.grid(padding=(0, 2))
    for name, value in {**plan_in_words(experiment), "Revision": str(experiment.revision)}.items():
        if value:
            table.add_row(f"[dim]{name}[/dim]", escape(value))
    return table


def _history(page: ExperimentPage) -> Table:
    table = _table("at", "by", "what", "reason")
    newest = sorted(page.history, key=lambda change: change.revision, reverse=True)
    for change in newest[:SHOWN_HISTORY]:
        table.add_row(_time(change.at), escape(change.by), escape(change.what), escape(change.reason))
    return table


def _metrics(readings: Sequence[MetricReading], group: Group) -> Table:
    """What the decision goes by: the intervals that may be read every day."""
    table = _table("metric", "control", group, "lift, read any day", "p", f"{group} is")
    for reading in readings:
        table.add_row(
            names.metric(reading.metric),
            numbers.metric(reading.metric, reading.control),
            numbers.metric(reading.metric, reading.test),
            numbers.lift(reading.always_valid),
            numbers.p(reading.always_valid_p_value),
            words.coloured(names.READINGS[reading.reading], words.READING_COLOURS.get(reading.reading)),
        )
    return table


def _comparisons(report: Report) -> Table:
    """Each group's own verdict, the decisive one first."""
    table = _table("group", "lift of the primary, read any day", "p", "verdict")
    for one in report.comparisons:
        primary = one.metrics[0]
        table.add_row(
            one.group,
            numbers.lift(primary.always_valid),
            numbers.p(primary.adjusted_p_value),
            words.coloured(
                names.verdict(one.verdict.kind, report.experiment.plan.mode, one.group),
                words.VERDICT_COLOURS[one.verdict.kind],
            ),
        )
    return table


def _at_the_end(readings: Sequence[MetricReading]) -> Table:
    table = _table("metric", "lift", "p", "p, Holm", "difference", "with CUPED")
    for reading in readings:
        removed = (
            f"; {numbers.share(reading.variance_removed)} of the variance less" if reading.variance_removed else ""
        )
        table.add_row(
            names.metric(reading.metric),
            numbers.lift(reading.lift),
            numbers.p(reading.p_value),
            numbers.p(reading.adjusted_p_value),
            numbers.difference(reading.metric, reading.difference),
            numbers.difference(reading.metric, reading.cuped) + removed,
        )
    return table


def _groups(report: Report) -> Table:
    table = _table("group", "ranker", "users", "exposures", "degraded", "unlogged", "likes", "models")
    for group in report.groups:
        counts = (
            f"{count:,}" for count in (group.assigned, group.exposures, group.degraded, group.unlogged, group.likes)
        )
        table.add_row(group.group, group.ranker, *counts, ", ".join(group.models))
    return table


def _split(report: Report) -> Table:
    split = report.split
    verdict = (
        f"[red]failed: {numbers.probability(split.p_value)}, below {split.alpha:g}[/red]"
        if split.failed
        else f"[green]holds[/green] ({numbers.probability(split.p_value)})"
    )
    table = _table("weight period", "from", "expected", "assigned", verdict)
    for period in split.periods:
        assigned = ", ".join(f"{group} {users:,}" for group, users in period.assigned.items())
        table.add_row(str(period.weight_period), _time(period.starts_at), weights_in_words(period.expected), assigned)
    return table


def _guardrails(report: Report) -> Table:
    table = _table("guardrail", "limit", "control", report.compared, f"{report.compared} less control", "")
    for guard in report.guardrails:
        table.add_row(
            names.guardrail(guard.metric, guard.over_ms),
            numbers.limit_points(guard.limit) if guard.more else numbers.limit(guard.limit),
            numbers.share_and_range(guard.control),
            numbers.share_and_range(guard.test),
            numbers.points(guard.more) if guard.more else numbers.UNKNOWN,
            words.coloured(names.GUARDRAIL_STATES[guard.state], words.GUARDRAIL_COLOURS.get(guard.state)),
        )
    return table


def _segments(report: Report) -> Table:
    table = _table("segment", "", "users", "lift, read any day", "p, Holm", f"{report.compared} is")
    for each in report.segments:
        table.add_row(
            names.DIMENSIONS[each.dimension],
            escape(each.value),
            f"{each.users:,}",
            numbers.lift(each.lift),
            numbers.p(each.p_value),
            words.coloured(names.READINGS[each.reading], words.READING_COLOURS.get(each.reading)),
        )
    return table


def _novelty(report: Report) -> Table:
    table = _table("day", "users", "lift, read any day")
    for day in report.novelty:
        table.add_row(
            str(day.day), f"{day.users:,}", numbers.lift(day.lift) if day.lift else names.READINGS["cannot_tell"]
        )
    return table


def _latency(report: Report) -> Table:
    table = _table("quantile", "control", report.compared, "difference")
    for each in report.latency:
        ms = ("" if one is None else f"{one.estimate:.1f} ms" for one in (each.control, each.test))
        more = each.difference
        said = f"{more.estimate:+.1f} ms ({more.low:+.1f} to {more.high:+.1f})" if more else ""
        table.add_row(f"p{100 * each.quantile:g}", *ms, said)
    return table


def _health(report: Report) -> Table:
    """The worst first."""
    table = _table("check", "", "what was seen")
    order = {state: place for place, state in enumerate(words.HEALTH_COLOURS)}
    for check in sorted(report.health, key=lambda each: order[each.state]):
        said = words.coloured(names.HEALTH_STATES[check.state], words.HEALTH_COLOURS[check.state])
        table.add_row(names.HEALTH[check.check], said, escape(check.what))
    return table


def _interleaving(votes: InterleavingReading) -> Table:
    table = _table("for test", "for control", "ties", "share of test", "p", "excluded")
    counts = (f"{count:,}" for count in (votes.for_test, votes.for_control, votes.ties))
    table.add_row(
        *counts, numbers.share_and_range(votes.share), numbers.p(votes.p_value), f"{votes.excluded:,} exposures"
    )
    if votes.why:
        table.caption = escape(votes.why)
    return table


def _shadow(shadow: ShadowReading) -> Table:
    table = _table("asked", "failed", "p50", "p99", "top five shared", "rank correlation")
    took = ("" if value is None else f"{value:.1f} ms" for value in (shadow.p50_ms, shadow.p99_ms))
    overlap, correlation = numbers.share_and_range(shadow.overlap), numbers.plain_and_range(shadow.rank_correlation)
    table.add_row(f"{shadow.asked:,}", f"{shadow.failed:,}", *took, overlap, correlation)
    return table


def _time(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M}" if moment else ""


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, collapse_padding=True)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _section(console: Console, title: str, table: Table) -> None:
    _line(console, f"\n[bold]{title}[/bold]")
    console.print(table)


def _line(console: Console, text: str) -> None:
    console.print(text, highlight=False, soft_wrap=True)
