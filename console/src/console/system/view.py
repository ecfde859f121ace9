"""The system page as one value: services, courses of the last minutes or hours, degradations in words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal

from contracts.wire import Message

from console import numbers
from console.experiment.scales import nice
from console.system.sample import Sample
from console.system.series import Slot, Step, quantile, slots, steps
from console.system.watch import Replica
from console.words import FALLBACKS, UNKNOWN, duration, moment

RANGES = {"15m": timedelta(minutes=15), "1h": timedelta(hours=1), "6h": timedelta(hours=6)}
LAG_SECONDS, ERROR_SHARE, DEGRADED_SHARE = 10.0, 0.01, 0.01
"""Above these the page warns."""
ROLES = {
    "gateway": "the only public door",
    "feature-service": "features, events, experiments",
    "ingest": "events into the stores",
    "ranker-control": "control’s model",
    "ranker-test": "test’s model",
}
WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 346.0, 150.0, 46.0, 10.0, 124.0
QUANTILES = (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))
JOINED = timedelta(seconds=75)
"""Two degradations closer than this are one."""

Tone = Literal["good", "warn", "bad", "none"]


class ServiceRow(Message):
    service: str
    address: str
    role: str
    version: str
    model: str
    since: str
    since_at: datetime | None
    status: str
    tone: Tone
    note: str


class Line(Message):
    name: str
    kind: str
    segments: list[str]
    """Points of polylines; a gap between two of them is time that nobody measured."""
    dots: list[tuple[float, float]]
    """Lone readings."""


class Plot(Message):
    key: str
    title: str
    now: str
    summary: str
    lines: list[Line]
    ticks: list[tuple[float, str]]
    times: list[tuple[float, str]]
    budget: float | None
    budget_text: str
    empty: bool


class Degradation(Message):
    start: datetime
    text: str
    when: str


class Table(Message):
    heads: list[str]
    rows: list[list[str]]


class System(Message):
    as_of: datetime
    range: str
    ranges: list[str]
    headline: str
    tone: Tone
    worst: str
    watched: bool
    mixed: list[str]
    rows: list[ServiceRow]
    plots: list[Plot]
    table: Table
    degradations: list[Degradation]
    since: str | None
    """From when on there are readings, where the range reaches further back."""


def system_of(
    names: Sequence[str], kept: Mapping[Replica, Sequence[Sample]], now: datetime, chosen: str, poll_seconds: float
) -> System:
    """kept: by replica, oldest first, no older than the range; what is named and absent was never heard of."""
    span, longest = RANGES[chosen], timedelta(seconds=2.5 * poll_seconds)
    start = now - span
    rows = _rows(names, kept, now, longest)
    gateways = {replica: samples for replica, samples in kept.items() if replica.service == "gateway"}
    flat = [step for replica, samples in gateways.items() for step in steps(replica.address, samples, longest)]
    silences = [one.at for samples in gateways.values() for one in samples if not one.answered]
    lags = [(one.at, one.lag) for samples in kept.values() for one in samples if one.lag is not None]
    made = slots(start, now, flat, lags, silences)
    budget = max((one.budget for samples in kept.values() for one in samples[-1:] if one.budget), default=None)
    mixed = _mixed(names, kept)
    headline, tone = _headline(rows, mixed, names)
    first = min((samples[0].at for samples in kept.values()), default=None)
    return System(
        as_of=now,
        range=chosen,
        ranges=list(RANGES),
        headline=headline,
        tone=tone,
        worst=_worst(made, budget),
        watched=bool(names),
        mixed=mixed,
        rows=rows,
        plots=_plots(made, start, now, budget),
        table=_table(made),
        degradations=_degradations(flat, now),
        since=f"Readings begin at {numbers.clock(first)}." if first and first - start > 2 * longest else None,
    )


def _rows(
    names: Sequence[str], kept: Mapping[Replica, Sequence[Sample]], now: datetime, longest: timedelta
) -> list[ServiceRow]:
    rows = []
    for name in names:
        replicas = sorted(replica for replica in kept if replica.service == name)
        if not replicas:
            rows.append(_row(Replica(name, UNKNOWN), [], now, longest))
        rows += [_row(replica, kept[replica], now, longest) for replica in replicas]
    return rows


def _row(replica: Replica, samples: Sequence[Sample], now: datetime, longest: timedelta) -> ServiceRow:
    last = samples[-1] if samples else None
    told = next((one for one in reversed(samples) if one.answered), None)
    status, tone, note = _status(last, told, now, longest)
    started = datetime.fromtimestamp(told.started_at, UTC) if told and told.started_at else None
    up = last is not None and last.answered
    return ServiceRow(
        service=replica.service,
        address=replica.address,
        role=ROLES.get(replica.service, UNKNOWN),
        version=(told and told.version) or UNKNOWN,
        model=", ".join(told.models) if told and told.models else UNKNOWN,
        since=f"{moment(started, now)} UTC" if started and up else UNKNOWN,
        since_at=started if up else None,
        status=status,
        tone=tone,
        note=note,
    )


def _status(last: Sample | None, told: Sample | None, now: datetime, longest: timedelta) -> tuple[str, Tone, str]:
    if last is None:
        return "Not asked yet", "none", ""
    if now - last.at > longest:
        return "Not known", "none", f"last asked {_moment(last.at, now)} UTC"
    if not last.answered:
        heard = f"last heard {_moment(told.at, now)} UTC" if told else "never heard of"
        return "No answer", "bad", heard
    if not last.ready:
        return "Not ready", "bad", "; ".join(last.reasons)
    if last.reasons:
        return "Ready, with a warning", "warn", "; ".join(last.reasons)
    return "Ready", "good", ""


def _moment(at: datetime, now: datetime) -> str:
    return moment(at, now).removeprefix("today ")


def _mixed(names: Sequence[str], kept: Mapping[Replica, Sequence[Sample]]) -> list[str]:
    """Replicas of one service that run different versions or models."""
    said = []
    for name in names:
        last = [samples[-1] for replica, samples in kept.items() if replica.service == name and samples[-1].answered]
        for what, found in (
            ("versions", {one.version for one in last if one.version}),
            ("models", {", ".join(one.models) for one in last if one.models}),
        ):
            if len(found) > 1:
                said.append(f"Replicas of {name} run different {what}: {', '.join(sorted(found))}.")
    return said


def _headline(rows: Sequence[ServiceRow], mixed: Sequence[str], names: Sequence[str]) -> tuple[str, Tone]:
    if not names:
        return "No service is watched", "none"
    bad = list(dict.fromkeys(row.service for row in rows if row.tone == "bad"))
    if bad:
        verb = "does not serve" if len(bad) == 1 else "do not serve"
        return f"{', '.join(bad)} {verb}", "bad"
    if all(row.tone == "none" for row in rows):
        return "Nothing is known yet", "none"
    warned = list(dict.fromkeys(row.service for row in rows if row.tone in ("warn", "none")))
    if warned:
        return f"Serving, with a warning from {', '.join(warned)}", "warn"
    return ("Serving, with mixed versions", "warn") if mixed else ("All serving normally", "good")


def _worst(made: Sequence[Slot], budget: float | None) -> str:
    """What stands nearest to its bar, of the latest slot that holds readings."""
    found: list[tuple[float, str]] = []
    lag = _latest(made, lambda slot: slot.lag)
    if lag is not None:
        found.append((lag / LAG_SECONDS, f"event lag {duration(lag)}"))
    for ranker in _rankers(made):
        p99 = _latest(made, lambda slot, name=ranker: quantile(slot.replies.get(name, {}), 0.99))  # type: ignore[misc]
        if p99 is not None and budget:
            found.append((p99 / budget, f"{ranker} p99 {duration(p99)} of {duration(budget)}"))
    for share, bar, what in ((_errors, ERROR_SHARE, "errors"), (_degraded, DEGRADED_SHARE, "degraded answers")):
        value = _latest(made, share)
        if value:
            found.append((value / bar, f"{what} {numbers.share(value)}"))
    return f"worst now: {max(found)[1]}" if found else ""


def _latest(made: Sequence[Slot], value: Callable[[Slot], float | None]) -> float | None:
    return next((found for slot in reversed(made[-4:]) if (found := value(slot)) is not None), None)


def _rankers(made: Sequence[Slot]) -> list[str]:
    return sorted({name for slot in made for name in slot.replies})


def _errors(slot: Slot) -> float | None:
    return slot.errors / slot.asked if slot.asked else None


def _degraded(slot: Slot) -> float | None:
    return slot.degraded / slot.served if slot.served else None


def _rate(slot: Slot) -> float | None:
    """A second, over all replicas of the gateway; not known while one of them is not heard."""
    return None if slot.silent or not slot.seconds else slot.asked / slot.seconds * len(slot.heard)


def _plots(made: Sequence[Slot], start: datetime, now: datetime, budget: float | None) -> list[Plot]:
    plots = [_plot("lag", "Event lag", made, start, now, [("lag", lambda slot: slot.lag)], duration)]
    for ranker in _rankers(made) or ["ranker-control", "ranker-test"]:
        lines = [(name, _replied(ranker, share)) for name, share in QUANTILES]
        plots.append(_plot(ranker, f"Reply of {ranker}", made, start, now, lines, duration, budget))
    plots.append(_plot("asked", "Requests a second", made, start, now, [("rate", _rate)], _rate_words))
    plots.append(_plot("errors", "Errors", made, start, now, [("share", _errors)], numbers.share))
    plots.append(_plot("degraded", "Degraded answers", made, start, now, [("share", _degraded)], numbers.share))
    return plots


def _replied(ranker: str, share: float) -> Callable[[Slot], float | None]:
    return lambda slot: quantile(slot.replies.get(ranker, {}), share)


def _rate_words(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def _plot(
    key: str, title: str, made: Sequence[Slot], start: datetime, now: datetime,
    named: Sequence[tuple[str, Callable[[Slot], float | None]]], words: Callable[[float], str],
    budget: float | None = None,
) -> Plot:  # fmt: skip
    values = {name: [value(slot) for slot in made] for name, value in named}
    known = [one for line in values.values() for one in line if one is not None]
    floor = {"lag": 1.0, "errors": 0.01, "degraded": 0.01, "asked": 1.0}.get(key, 0.01)
    top = nice(max([floor, *known, *([budget] if budget else [])]))

    def y(value: float) -> float:
        return round(BOTTOM - (BOTTOM - TOP) * min(value, top) / top, 1)

    def x(place: int) -> float:
        return round(LEFT + (WIDTH - LEFT - 6) * (place + 1) / len(made), 1)

    lines = [_line(name, line, x, y) for name, line in values.items()]
    latest = [
        f"{name} {words(found)}" if len(values) > 1 else words(found)
        for name, line in values.items()
        if (found := next((one for one in reversed(line[-4:]) if one is not None), None)) is not None
    ]
    said = ", ".join(latest) or UNKNOWN
    measured = sum(any(line[i] is not None for line in values.values()) for i in range(len(made)))
    summary = f"{title}, {numbers.clock(start)} to {numbers.clock(now)}: now {said}. "
    summary += f"Measured in {measured} of {len(made)} slots; the table below holds the numbers."
    return Plot(
        key=key,
        title=title,
        now=said,
        summary=summary,
        lines=lines,
        ticks=[(y(value), "0" if not value else _tick(value, words)) for value in (0.0, top / 2, top)],
        times=[(LEFT, f"{start:%H:%M}"), (WIDTH - 6, f"{now:%H:%M}")],
        budget=y(budget) if budget else None,
        budget_text=f"budget {duration(budget)}" if budget else "",
        empty=not known,
    )


def _tick(value: float, words: Callable[[float], str]) -> str:
    return numbers.limit(value) if words is numbers.share else words(value)


def _line(
    name: str, values: Sequence[float | None], x: Callable[[int], float], y: Callable[[float], float]
) -> Line:
    segments: list[list[tuple[float, float]]] = [[]]
    for place, value in enumerate(values):
        if value is None:
            segments.append([])
        else:
            segments[-1].append((x(place), y(value)))
    return Line(
        name=name,
        kind=name,
        segments=[" ".join(f"{px},{py}" for px, py in part) for part in segments if len(part) > 1],
        dots=[part[0] for part in segments if len(part) == 1],
    )


def _table(made: Sequence[Slot]) -> Table:
    rankers = _rankers(made)
    heads = ["Until", "Event lag", *(f"{ranker} p50 / p95 / p99" for ranker in rankers), "Requests/s", "Errors", "Degraded"]
    rows = []
    for slot in made:
        replied = [
            " / ".join(_or_unknown(quantile(slot.replies.get(name, {}), share), duration) for _, share in QUANTILES)
            if slot.replies.get(name)
            else UNKNOWN
            for name in rankers
        ]
        rows.append(
            [
                f"{slot.end:%H:%M:%S}",
                _or_unknown(slot.lag, duration),
                *replied,
                _or_unknown(_rate(slot), _rate_words),
                _or_unknown(_errors(slot), numbers.share),
                _or_unknown(_degraded(slot), numbers.share),
            ]
        )
    return Table(heads=heads, rows=rows)


def _or_unknown(value: float | None, words: Callable[[float], str]) -> str:
    return UNKNOWN if value is None else words(value)


def _degradations(found: Sequence[Step], now: datetime) -> list[Degradation]:
    """Spells by group and reason, newest first: when, why, what was given instead, how large a share."""
    spells: dict[tuple[str, str], list[list[Step]]] = defaultdict(list)
    for step in sorted(found, key=lambda one: one.end):
        for key in step.degraded:
            groups = spells[key]
            if groups and step.start - groups[-1][-1].end <= JOINED:
                groups[-1].append(step)
            else:
                groups.append([step])
    said = [_degradation(key, part, now) for key, parts in spells.items() for part in parts]
    return sorted(said, key=lambda one: one.start, reverse=True)[:20]


def _degradation(key: tuple[str, str], part: Sequence[Step], now: datetime) -> Degradation:
    group, reason = key
    start, end = part[0].start, max(step.end for step in part)
    hit = sum(step.degraded.get(key, 0.0) for step in part)
    served = sum(number for step in part for (name, _), number in step.served.items() if name == group)
    instead: dict[str, float] = defaultdict(float)
    for step in part:
        for (name, model), number in step.served.items():
            if name == group and model in FALLBACKS:
                instead[model] += number
    given = f" → {FALLBACKS[max(instead, key=lambda one: instead[one])]}" if instead else ""
    share = f"{numbers.share(min(1.0, hit / served))} of {group}’s answers" if served else f"{hit:,.0f} answers"
    until = "" if f"{start:%H:%M}" == f"{end:%H:%M}" else f"–{end:%H:%M}"
    when = f"{_moment(start, now)}{until}"
    return Degradation(start=start, when=when, text=f"{group}: {reason.replace('_', ' ')}{given}, {share}")
