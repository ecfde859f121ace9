"""The system page as one value: services, courses of the last minutes or hours, degradations in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime, timedelta
from typing import Literal

from contracts import numbers
from contracts.numbers import UNKNOWN
from contracts.wire import Message

from console.system.degradations import Degradation, degradations_of, near
from console.system.plots import Plot, PlotTable, degraded, errors, latest, plots_of, rankers, table_of
from console.system.sample import Sample
from console.system.series import SLOTS, Difference, Slot, differences, quantile, slots, thinned
from console.system.watch import KEPT, Replica
from console.words import duration, moment

RANGES = {"15m": timedelta(minutes=15), "1h": timedelta(hours=1), "6h": timedelta(hours=6)}
LAG_SECONDS, ERROR_SHARE, DEGRADED_SHARE = 10.0, 0.01, 0.01
"""What is worst is judged by these limits, and by the rankers' budget. Past them the headline warns."""
TIMES_BAD = 5.0
"""Past so many times a limit all is not well at all."""
RECENT = timedelta(minutes=5)
FEWEST = 20
"""Requests of that time, before their shares say anything."""
DIFFERENCES_A_SLOT = 6
"""Differences of a counter per point of its course: enough, however long the range is."""
ROLES = {
    "gateway": "the only public door",
    "feature-service": "features, events, experiments",
    "ingest": "events into the stores",
    "ranker-control": "control’s model",
    "ranker-test": "test’s model",
}

Tone = Literal["good", "warn", "bad", "none", "gone"]


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


class System(Message):
    as_of: datetime
    clock: str
    range: str
    ranges: list[str]
    headline: str
    tone: Tone
    worst: str
    watched: bool
    mixed: list[str]
    rows: list[ServiceRow]
    plots: list[Plot]
    table: PlotTable
    degradations: list[Degradation]
    foot: str
    since: str | None
    """From when on there are readings, where the range reaches further back."""


def system_of(
    names: Sequence[str], kept: Mapping[Replica, Sequence[Sample]], now: datetime, chosen: str, poll_seconds: float,
    *, left: AbstractSet[Replica] = frozenset(), clock: str = "",
) -> System:  # fmt: skip
    """kept: by replica, oldest first, no older than the range; a service that is named but absent never answered.

    left: replicas that are gone, as after a rollout: what they did counts, and nobody misses them. clock: what is to be
    said of the page's time.
    """
    span, longest = RANGES[chosen], timedelta(seconds=2.5 * poll_seconds)
    start = now - span
    rows, present = _rows(names, kept, now, longest, left), {one: kept[one] for one in kept if one not in left}
    gateways = {replica: samples for replica, samples in kept.items() if replica.service == "gateway"}
    pace = max(poll_seconds, span.total_seconds() / (SLOTS * DIFFERENCES_A_SLOT))
    between = [
        difference
        for replica, samples in gateways.items()
        for difference in differences(
            replica.address, thinned(samples, poll_seconds, pace), timedelta(seconds=2.5 * pace)
        )
    ]
    silences = [one.at for samples in gateways.values() for one in samples if not one.answered]
    lags = [(one.at, one.lag) for samples in kept.values() for one in samples if one.lag is not None]
    made = slots(start, now, between, lags, silences)
    budget = max((one.budget for samples in kept.values() for one in samples[-1:] if one.budget), default=None)
    mixed = _mixed(names, present)
    recent = [difference for difference in between if difference.end > now - RECENT]
    headline, tone = _headline(rows, mixed, names, _troubles(recent, latest(made, lambda slot: slot.lag)))
    kept_for = numbers.age(KEPT.total_seconds())
    first = min((samples[0].at for samples in kept.values()), default=None)
    return System(
        as_of=now,
        clock=clock,
        range=chosen,
        ranges=list(RANGES),
        headline=headline,
        tone=tone,
        worst=_worst(made, budget),
        watched=bool(names),
        mixed=mixed,
        rows=rows,
        plots=plots_of(made, start, now, budget),
        table=table_of(made),
        degradations=degradations_of(between, now, timedelta(seconds=5 * pace)),
        foot=f"Read every {poll_seconds:g} s from each service’s /readyz and /metrics, kept for {kept_for}.",
        since=f"Readings begin at {numbers.clock(first)}." if first and first - start > 2 * longest else None,
    )


def _rows(
    names: Sequence[str],
    kept: Mapping[Replica, Sequence[Sample]],
    now: datetime,
    longest: timedelta,
    left: AbstractSet[Replica],
) -> list[ServiceRow]:
    rows = []
    for name in names:
        replicas = sorted(one for one in kept if one.service == name and not _forgotten(one, kept, now, left))
        if not replicas:
            rows.append(_row(Replica(name, UNKNOWN), [], now, longest))
        rows += [_row(replica, kept[replica], now, longest, gone=replica in left) for replica in replicas]
    return rows


def _forgotten(
    one: Replica, kept: Mapping[Replica, Sequence[Sample]], now: datetime, left: AbstractSet[Replica]
) -> bool:
    """Whether it left some minutes ago."""
    return one in left and now - kept[one][-1].at > RECENT


def _row(
    replica: Replica, samples: Sequence[Sample], now: datetime, longest: timedelta, *, gone: bool = False
) -> ServiceRow:
    last = samples[-1] if samples else None
    told = next((one for one in reversed(samples) if one.answered), None)
    status, tone, note = _gone(told, now) if gone else _status(last, told, now, longest)
    started = datetime.fromtimestamp(told.started_at, UTC) if told and told.started_at else None
    up = last is not None and last.answered and not gone
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


def _gone(told: Sample | None, now: datetime) -> tuple[str, Tone, str]:
    return "Gone", "gone", f"left at {near(told.at, now)} UTC, as after a rollout" if told else "left"


def _status(last: Sample | None, told: Sample | None, now: datetime, longest: timedelta) -> tuple[str, Tone, str]:
    if last is None:
        return "Not asked yet", "none", ""
    if now - last.at > longest:
        return "Not known", "none", f"last asked {near(last.at, now)} UTC"
    if not last.answered:
        heard = f"last heard {near(told.at, now)} UTC" if told else "never heard of"
        return "No answer", "bad", heard
    if not last.ready:
        return "Not ready", "bad", "; ".join(last.reasons)
    if last.reasons:
        return "Ready, with a warning", "warn", "; ".join(last.reasons)
    return "Ready", "good", ""


def _mixed(names: Sequence[str], kept: Mapping[Replica, Sequence[Sample]]) -> list[str]:
    """Replicas of one service that run different versions or models."""
    said = []
    for name in names:
        last = [samples[-1] for replica, samples in kept.items() if replica.service == name and samples[-1].answered]
        for what, values in (
            ("versions", {one.version for one in last if one.version}),
            ("models", {", ".join(one.models) for one in last if one.models}),
        ):
            if len(values) > 1:
                said.append(f"Replicas of {name} run different {what}: {', '.join(sorted(values))}.")
    return said


def _troubles(recent: Sequence[Difference], lag: float | None) -> list[tuple[float, str]]:
    """What users of the last minutes met, by how many times its limit it is; the worst first."""
    asked, served = sum(one.asked for one in recent), sum(sum(one.served.values()) for one in recent)
    failed = sum(one.errors for one in recent)
    hit = sum(sum(one.degraded_answers.values()) for one in recent)
    troubles = [(lag / LAG_SECONDS, f"Events wait {duration(lag)}")] if lag is not None else []
    if asked >= FEWEST:
        troubles.append((failed / asked / ERROR_SHARE, f"{numbers.share(failed / asked)} of requests fail"))
    if served >= FEWEST:
        share = min(1.0, hit / served)
        troubles.append((share / DEGRADED_SHARE, f"{numbers.share(share)} of answers are degraded"))
    return sorted((one for one in troubles if one[0] > 1), reverse=True)


def _headline(
    rows: Sequence[ServiceRow], mixed: Sequence[str], names: Sequence[str], troubles: Sequence[tuple[float, str]]
) -> tuple[str, Tone]:
    """The worst first: what does not serve, what users meet, what warns."""
    if not names:
        return "No service is watched", "none"
    here = [row for row in rows if row.tone != "gone"]
    bad = list(dict.fromkeys(row.service for row in here if row.tone == "bad"))
    down = [f"{', '.join(bad)} {'does' if len(bad) == 1 else 'do'} not serve"] if bad else []
    said = "; ".join([*down, *(text for _, text in troubles)])
    if bad or any(times > TIMES_BAD for times, _ in troubles):
        return said, "bad"
    if said:
        return said, "warn"
    if all(row.tone == "none" for row in here):
        return "Nothing is known yet", "none"
    warned = list(dict.fromkeys(row.service for row in here if row.tone in ("warn", "none")))
    if warned:
        return f"Serving, with a warning from {', '.join(warned)}", "warn"
    return ("Serving, with mixed versions", "warn") if mixed else ("All serving normally", "good")


def _worst(made: Sequence[Slot], budget: float | None) -> str:
    """What comes nearest to its limit, in the latest slot that holds readings."""
    ratios: list[tuple[float, str]] = []
    lag = latest(made, lambda slot: slot.lag)
    if lag is not None:
        ratios.append((lag / LAG_SECONDS, f"event lag {duration(lag)}"))
    for ranker in rankers(made):
        p99 = latest(made, lambda slot, name=ranker: quantile(slot.replies.get(name, {}), 0.99))  # type: ignore[misc]
        if p99 is not None and budget:
            ratios.append((p99 / budget, f"{ranker} p99 {duration(p99)} of {duration(budget)}"))
    for share, bar, what in ((errors, ERROR_SHARE, "errors"), (degraded, DEGRADED_SHARE, "degraded answers")):
        value = latest(made, share)
        if value:
            ratios.append((value / bar, f"{what} {numbers.share(value)}"))
    return f"worst now: {max(ratios)[1]}" if ratios else ""
