"""The experiment page as one value: its numbers and words, of a report alone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from contracts.assignment import GROUPS, Group
from contracts.experiments import Metric
from contracts.reports import GuardrailReading, MetricReading, Range, Report, RunLine
from contracts.wire import Message

from console import numbers
from console.experiment.course import Course, Moment, course_of, crossing, day_number
from console.experiment.naming import KINDS, METRICS, MODES, guardrail, metric
from console.experiment.scales import Bar, bar, reach
from console.experiment.verdict import Words, is_held_back, stale, withheld, words_of

Mark = Literal["good", "bad", "wait"]
Kind = Literal["good", "bad", "unsure", "none"]
SPARK_WIDTH, SPARK_HEIGHT, SPARK_PAD = 76.0, 26.0, 3.0
NOT_READ = "Not read"


class Check(Message):
    mark: Mark
    title: str
    text: str


class Side(Message):
    group: Group
    models: str
    users: str
    share: str
    percent: float


class Traffic(Message):
    sides: list[Side]
    planned: float | None
    """Control's share by plan, in percent; None where it changed on the way."""
    check: Check
    periods: list[list[str]]
    """Starts, planned, assigned to control, assigned to test: of each weight period where there are several."""


class Row(Message):
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
    bar: Bar | None
    spark: str
    spark_zero: float | None
    why: str | None
    selected: bool


class Forest(Message):
    ticks: list[str]
    rows: list[Row]
    note: str


class Guard(Message):
    mark: Mark
    name: str
    control: str
    test: str
    text: str
    bar: Bar | None
    limit: float
    """In percent of the axis' width."""


class Fine(Message):
    """One row of the table of finer numbers."""

    name: str
    cells: list[str]


class Votes(Message):
    control: str
    test: str
    ties: str
    percent: float
    """Of test among those who preferred one."""
    text: str
    excluded: str
    held: bool


class Fact(Message):
    label: str
    value: str


class LogLine(Message):
    at: datetime
    when: str
    text: str
    by: str | None


class Run(Message):
    run: int
    at: datetime
    when: str
    verdict: str


class Page(Message):
    name: str
    mode: str
    shown: Literal["groups", "votes", "shadow"]
    state: str
    is_running: bool
    words: Words
    stale: str | None
    held: bool
    """Lifts and charts are held back."""
    can_reveal: bool
    revealed: bool
    checks: list[Check]
    traffic: Traffic
    forest: Forest
    selected: str
    metric: Metric | None
    course: Course | None
    course_kind: Kind
    no_course: str
    fine: list[Fine]
    protocol: list[Fine]
    guards: list[Guard]
    votes: Votes | None
    shadow: list[Fact]
    groups: list[Fine]
    unattributed: str | None
    log: list[LogLine]
    runs: list[Run]
    run: int
    frozen: bool
    at: datetime
    foot: str


def page_of(
    report: Report, now: datetime, *, chosen: str = "", frozen: bool = False, reveal: bool = False,
    runs: Sequence[RunLine] = (),
) -> Page:  # fmt: skip
    """chosen: the metric of the chart, by default the primary. reveal: what the split check held back is asked for."""
    failed = report.split.failed or report.verdict.kind == "split_failed"
    words, revealed = words_of(report, now), failed and reveal
    held = is_held_back(report) and not revealed
    if held:
        report = withheld(report)
    plan = report.experiment.plan
    selected = next((one for one in report.metrics if one.metric == chosen), next(iter(report.metrics), None))
    shown: Literal["groups", "votes", "shadow"] = "groups"
    if plan.mode in ("interleave", "shadow"):
        shown = "votes" if plan.mode == "interleave" else "shadow"
    return Page(
        name=report.experiment.name,
        mode=MODES[plan.mode],
        shown=shown,
        state=_state(report),
        is_running=report.experiment.state == "running",
        words=words,
        stale=None if frozen else stale(report, now),
        held=held,
        can_reveal=failed,
        revealed=revealed,
        checks=_checks(report, held),
        traffic=_traffic(report),
        forest=_forest(report, selected, held, failed),
        selected=metric(selected.metric) if selected else "",
        metric=selected.metric if selected else None,
        course=_course(report, selected),
        course_kind=_kind(selected) if selected else "none",
        no_course=_no_course(selected, held, failed),
        fine=[] if held else [_fine(one) for one in report.metrics],
        protocol=[] if held else _protocol(report),
        guards=[_guard(one, held) for one in report.guardrails],
        votes=_votes(report, held),
        shadow=_shadow(report),
        groups=_groups(report),
        unattributed=_unattributed(report),
        log=_log(report, held),
        runs=[Run(run=r.run, at=r.at, when=numbers.date_and_clock(r.at), verdict=KINDS[r.verdict]) for r in runs],
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
                return f"Running, {numbers.days(report.days)}; {planned} planned"
            return f"Running, day {day} of {planned}"
        case "draft":
            return "Draft, not started"
        case "stopped" | "archived":
            when = f" on {numbers.date_and_clock(experiment.stopped_at)}" if experiment.stopped_at else ""
            return f"{experiment.state.capitalize()}{when} after {numbers.days(report.days)}"


def _checks(report: Report, held: bool) -> list[Check]:
    if report.experiment.plan.mode == "shadow":
        return []
    rules = report.experiment.plan.rules
    long_enough = report.days >= rules.min_days
    ran = Check(
        mark="good" if long_enough else "wait",
        title="Ran long enough" if long_enough else "Runs on",
        text=f"{numbers.days(report.days)}, at least {rules.min_days}{' days' if report.days < 1 else ''}",
    )
    return [_split_check(report), ran, _primary_check(report, held), _guard_check(report, held)]


def _split_check(report: Report) -> Check:
    users = sum(group.assigned for group in report.groups)
    if report.split.failed:
        control = next((group.assigned for group in report.groups if group.group == "control"), 0)
        planned = _planned(report)
        plan = f", planned {numbers.limit(planned)}" if planned is not None else ""
        return Check(mark="bad", title="Split is not even", text=f"{numbers.share(control / max(users, 1))} in control{plan}")
    if report.split.p_value is None:
        return Check(mark="wait", title="Split", text="Not checked yet")
    said = f"{users:,} user{'' if users == 1 else 's'}, {numbers.probability(report.split.p_value)}"
    return Check(mark="good", title="Split is even", text=said)


def _primary_check(report: Report, held: bool) -> Check:
    primary = next(iter(report.metrics), None)
    if report.interleaving is not None:
        share = report.interleaving.share
        if held or share is None:
            return Check(mark="wait", title="Preference", text=NOT_READ)
        settled = not share.low <= 0.5 <= share.high
        mark: Mark = "wait" if not settled else "good" if share.estimate > 0.5 else "bad"
        title = "Preference is clear" if settled else "Preference is unclear"
        return Check(mark=mark, title=title, text=f"{numbers.shares(share)} prefer test")
    if held or primary is None or primary.always_valid is None:
        return Check(mark="wait", title="Primary", text=(primary and primary.why) or NOT_READ)
    if primary.reading == "unclear":
        return Check(mark="wait", title="Primary is unclear", text=f"{metric(primary.metric)}, interval holds zero")
    crossed, start = crossing(primary.course, report.experiment.plan.rules.alpha), report.experiment.started_at
    said = f"Bound crossed on day {day_number(crossed.day, start)}" if crossed and start else metric(primary.metric)
    if primary.reading == "worse":
        return Check(mark="bad", title="Primary is worse", text=said)
    return Check(mark="good", title="Primary is clear", text=said)


def _guard_check(report: Report, held: bool) -> Check:
    found, total = report.guardrails, len(report.guardrails)
    if not total:
        return Check(mark="wait", title="Guardrails", text="None planned")
    if held:
        return Check(mark="wait", title="Guardrails", text=NOT_READ)
    holding = sum(one.state == "holds" for one in found)
    if breached := [guardrail(one.metric, one.over_ms) for one in found if one.state == "breached"]:
        return Check(mark="bad", title="Guardrail breached", text=breached[0])
    if holding == total:
        return Check(mark="good", title="Guardrails hold", text=f"{holding} of {total} within limits")
    return Check(mark="wait", title="Guardrails", text=f"{holding} of {total} settled within limits")


def _planned(report: Report) -> float | None:
    expected = {period.expected.get("control") for period in report.split.periods}
    return expected.pop() if len(expected) == 1 else None


def _traffic(report: Report) -> Traffic:
    total = sum(group.assigned for group in report.groups)
    by_group = {group.group: group for group in report.groups}
    sides = []
    for name in GROUPS:
        found = by_group.get(name)
        users = found.assigned if found else 0
        sides.append(
            Side(
                group=name,
                models=", ".join(one.replace("@", " ") for one in found.models) if found else "",
                users=f"{users:,} user{'' if users == 1 else 's'}",
                share=numbers.share(users / total) if total else numbers.UNKNOWN,
                percent=round(100 * users / total, 2) if total else 0.0,
            )
        )
    planned = _planned(report)
    return Traffic(
        sides=sides,
        planned=None if planned is None else round(100 * planned, 2),
        check=_split_words(report, planned),
        periods=_periods(report),
    )


def _split_words(report: Report, planned: float | None) -> Check:
    split = report.split
    plan = "Weights changed on the way."
    if planned is not None:
        plan = f"Planned {round(planned * 100, 2):g} / {round((1 - planned) * 100, 2):g}."
    if split.p_value is None:
        return Check(mark="wait", title="", text=f"Split not checked yet. {plan}")
    word, mark = ("failed", "bad") if split.failed else ("passed", "good")
    return Check(mark=mark, title="", text=f"Split check {word}, {numbers.probability(split.p_value)}. {plan}")


def _periods(report: Report) -> list[list[str]]:
    if len(report.split.periods) < 2:
        return []
    return [
        [
            numbers.date_and_clock(period.starts_at),
            " / ".join(f"{round(period.expected.get(group, 0.0) * 100, 2):g}" for group in GROUPS),
            *(f"{period.assigned.get(group, 0):,}" for group in GROUPS),
        ]
        for period in report.split.periods
    ]


def _forest(report: Report, selected: MetricReading | None, held: bool, failed: bool) -> Forest:
    far = reach([one.always_valid for one in report.metrics if one.always_valid is not None])
    half = round(far * 50, 6)
    rows = [_row(one, place == 0, far, one is selected, held, failed) for place, one in enumerate(report.metrics)]
    alpha = report.experiment.plan.rules.alpha
    note = f"Change with test against control. Bars are {numbers.level(alpha)} intervals that stay valid however often you look."
    if held:
        note = "Held back while the split check fails." if failed else "Not read yet: too few users."
    return Forest(ticks=[f"{numbers.MINUS}{half:g}%", "0", f"+{half:g}%"], rows=rows, note=note)


def _row(one: MetricReading, is_primary: bool, far: float, selected: bool, held: bool, failed: bool) -> Row:
    found, name = one.always_valid, metric(one.metric)
    role = "Primary" if is_primary else "Watched, decides nothing" if one.reading == "watched" else "Secondary"
    if is_primary or one.reading != "watched":
        role += ", higher is better"
    lift, between = (numbers.percent(found.estimate), numbers.interval(found)) if found else (numbers.UNKNOWN, "")
    reading = _reading(one)
    if held:
        between, reading = "held back" if failed else "too early", NOT_READ
    spoken = f"{name}: {reading.lower()}. Lift {lift}, interval {between}." if found else f"{name}: {reading.lower()}."
    spark, zero = _spark(one)
    return Row(
        key=one.metric,
        name=name,
        role=role,
        control=numbers.metric(one.metric, one.control),
        test=numbers.metric(one.metric, one.test),
        kind=_kind(one),
        lift=lift,
        interval=between,
        reading=reading,
        spoken=spoken,
        bar=bar(found, -far, far) if found else None,
        spark=spark,
        spark_zero=zero,
        why=None if held or found else one.why,
        selected=selected,
    )


def _kind(one: MetricReading) -> Kind:
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
        found = one.always_valid
        if found is None:
            return "Can’t tell"
        if found.low <= 0 <= found.high:
            return "Unclear"
        return "Higher" if found.estimate > 0 else "Lower"
    return {"better": "Better", "worse": "Worse", "unclear": "Unclear"}.get(one.reading, "Can’t tell")


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


def _course(report: Report, selected: MetricReading | None) -> Course | None:
    start = report.experiment.started_at
    if selected is None or start is None:
        return None
    rules = report.experiment.plan.rules
    changed = [
        Moment(at=period.starts_at, text=f"weights {' / '.join(f'{round(w * 100):g}' for w in period.weights.values())}")
        for period in report.experiment.periods[1:]
        if start < period.starts_at <= report.at
    ]
    planned = float(rules.days) if report.experiment.state == "running" else report.days  # nothing is to come any more
    return course_of(metric(selected.metric), selected.course, start, planned, rules.alpha, changed[-2:])


def _no_course(selected: MetricReading | None, held: bool, failed: bool) -> str:
    if held and failed:
        return "Held back while the split check fails. The two groups are not alike, so a lift here would say nothing about the model."
    if held:
        return "Shown after the first reading."
    return (selected and selected.why) or "No day has a reading yet."


FINE = ("Difference", "Fixed horizon", "p", "p, all metrics", "p, any time", "CUPED", "Variance removed")


def _fine(one: MetricReading) -> Fine:
    def plain(found: Range | None) -> str:
        if found is None:
            return numbers.UNKNOWN
        return " ".join(_signed(value, one.metric) + joint for value, joint in
                        ((found.estimate, ","), (found.low, " to"), (found.high, "")))  # fmt: skip

    cells = [
        plain(one.difference),
        numbers.full_interval(one.lift) if one.lift else numbers.UNKNOWN,
        *(numbers.probability(p).removeprefix("p = ").removeprefix("p ")
          for p in (one.p_value, one.adjusted_p_value, one.always_valid_p_value)),
        plain(one.cuped),
        numbers.UNKNOWN if one.variance_removed is None else numbers.share(max(0.0, one.variance_removed)),
    ]  # fmt: skip
    return Fine(name=metric(one.metric), cells=cells)


def _signed(value: float, name: Metric) -> str:
    sign = "+" if value > 0 else numbers.MINUS if value < 0 else ""
    return f"{sign}{numbers.metric(name, abs(value))}"


def _protocol(report: Report) -> list[Fine]:
    """Intent to treat beside per protocol."""
    beside = {one.metric: one for one in report.per_protocol}
    return [
        Fine(
            name=metric(one.metric),
            cells=[
                f"{numbers.percent(found.estimate)}, {numbers.interval(found)}" if found else numbers.UNKNOWN
                for found in (one.always_valid or one.lift, other.always_valid or other.lift)
            ],
        )
        for one in report.metrics
        if (other := beside.get(one.metric)) is not None
    ]


def _guard(one: GuardrailReading, held: bool) -> Guard:
    found = one.test
    far = max(one.limit * 1.22, min(found.high, 2 * one.limit) * 1.04 if found else 0.0)
    text = f"Limit {numbers.limit(one.limit)}"
    mark: Mark = "wait"
    if held or found is None or one.state == "cannot_tell":
        text = f"{NOT_READ}. {text}" if held else f"Can’t tell yet. {text}"
    elif one.state == "breached":
        mark, text = "bad", f"Past its limit: best case {numbers.share(max(0.0, found.low))}, limit {numbers.limit(one.limit)}"
    else:
        mark = "good" if one.state == "holds" else "wait"
        text = f"Worst case {numbers.share(found.high)}, limit {numbers.limit(one.limit)}"
    return Guard(
        mark=mark,
        name=guardrail(one.metric, one.over_ms),
        control=numbers.share(one.control.estimate if one.control else None),
        test=numbers.share(found.estimate if found else None),
        text=text,
        bar=None if held or found is None else bar(found, 0.0, far, one.limit),
        limit=round(100 * one.limit / far, 2),
    )


def _votes(report: Report, held: bool) -> Votes | None:
    found = report.interleaving
    if found is None:
        return None
    decided = found.for_control + found.for_test
    text = found.why or "Nobody has preferred one list yet."
    if held:
        text = "Held back while the split check fails." if report.split.failed else "Too early to read."
    elif found.share is not None:
        text = f"{numbers.share(found.share.estimate)} prefer test, {numbers.shares(found.share)}; {numbers.probability(found.p_value)}."
    return Votes(
        control=f"{found.for_control:,}",
        test=f"{found.for_test:,}",
        ties=f"{found.ties:,}",
        percent=round(100 * found.for_test / decided, 2) if decided else 0.0,
        text=text,
        excluded=f"{found.excluded:,}",
        held=held or not decided,
    )


def _shadow(report: Report) -> list[Fact]:
    found = report.shadow
    if found is None:
        return []

    def took(ms: float | None) -> str:
        return numbers.UNKNOWN if ms is None else f"{ms:.0f} ms"

    def ranged(value: Range | None) -> str:
        return numbers.UNKNOWN if value is None else f"{value.estimate:.2f} ({value.low:.2f} to {value.high:.2f})"

    failed = numbers.share(found.failed / found.asked) if found.asked else numbers.UNKNOWN
    overlap = numbers.UNKNOWN
    if found.overlap is not None:
        overlap = f"{numbers.share(found.overlap.estimate)} ({numbers.shares(found.overlap)})"
    return [
        Fact(label="Asked beside control", value=f"{found.asked:,}"),
        Fact(label="Failed", value=f"{found.failed:,}, {failed}"),
        Fact(label="Half answered within", value=took(found.p50_ms)),
        Fact(label="99% answered within", value=took(found.p99_ms)),
        Fact(label="Shown posts that test chose too", value=overlap),
        Fact(label="Rank correlation (Kendall’s tau)", value=ranged(found.rank_correlation)),
    ]


GROUP_HEADS = ("Ranker", "Users", "Exposures", "Degraded", "Likes")


def _groups(report: Report) -> list[Fine]:
    return [
        Fine(
            name=group.group,
            cells=[
                group.ranker,
                f"{group.assigned:,}",
                f"{group.exposures:,}",
                f"{group.degraded:,} ({numbers.share(group.degraded / group.exposures)})" if group.exposures else "0",
                f"{group.likes:,}",
            ],
        )
        for group in report.groups
    ]


def _unattributed(report: Report) -> str | None:
    found = {reason: number for reason, number in report.unattributed.items() if number}
    if not found:
        return None
    parts = ", ".join(f"{reason.replace('_', ' ')} {number:,}" for reason, number in found.items())
    return f"Likes that belong to no exposure: {parts}."


def _log(report: Report, held: bool) -> list[LogLine]:
    lines = [
        LogLine(at=change.at, when=_when(change.at, report), text=_said(change.what, change.reason), by=change.by)
        for change in report.history
    ]
    primary = next(iter(report.metrics), None)
    crossed = crossing(primary.course, report.experiment.plan.rules.alpha) if primary and not held else None
    if crossed is not None and primary is not None:
        text = f"Evidence for {METRICS[primary.metric].text.lower()} crossed the bound"
        lines.append(LogLine(at=crossed.day, when=_when(crossed.day, report), text=text, by=None))
    return sorted(lines, key=lambda line: line.at, reverse=True)


def _when(at: datetime, report: Report) -> str:
    start = report.experiment.started_at
    return f"Day {day_number(at, start) if at > start else 0}" if start is not None and at >= start else f"{at.day} {at:%b}"


def _said(what: str, reason: str) -> str:
    return f"{what}: {reason}" if reason and reason != what else what


def _foot(report: Report) -> str:
    run = f"Analysis run {report.run}" if report.run else "Computed now, not stored"
    alpha = numbers.level(report.experiment.plan.rules.alpha)
    return f"{run}, data up to {numbers.date_and_clock(report.at)}. {alpha} level, two-sided."
