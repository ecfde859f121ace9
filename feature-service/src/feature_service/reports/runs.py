"""Analysis runs: one whenever there is something new. After a stop likes still join the last exposures for the plan's
`join_hours`; the run after that is final."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import structlog
from chassis.errors import NotFound
from contracts.clock import Clock
from contracts.experiments import Experiment
from contracts.reports import Report, RunLine
from contracts.verdicts import line_of
from prometheus_client import Gauge
from sqlalchemy import Connection, Engine, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from feature_service.database import offsets
from feature_service.database.engine import naive
from feature_service.database.queries import query
from feature_service.experiments.definitions import experiment
from feature_service.keyspace.clock import read_clock
from feature_service.keyspace.connection import Client
from feature_service.keyspace.keys import BEGINNING, all_shards
from feature_service.log.entries import EventLog, order
from feature_service.reports.analysis import analyse
from feature_service.reports.sanity import BROKEN, nightly

KEPT = 200
"""The newest; of older ones each day's last."""
EVERY_SECONDS = 30.0
TIMES_ITS_DURATION = 10
DRAIN_SECONDS = 60.0
DURATION = Gauge("ingest_analysis_seconds", "How long the last analysis run took.", ["experiment"])

_STORE = text(
    "INSERT INTO analysis_runs (experiment, at, final, report) VALUES (:name, :at, :final, :report) RETURNING id"
).bindparams(bindparam("report", type_=JSONB))
_FORGET = query(__package__, "forget_runs")
_LINES = query(__package__, "run_lines")
_READ = query(__package__, "run")
_EXISTS = text("SELECT EXISTS (SELECT FROM experiments WHERE name = :name)")
_DUE = query(__package__, "due")
_TRY_LOCK = text("SELECT pg_try_advisory_xact_lock(8003)")
"""Of several ingest processes only one analyses."""

log = structlog.get_logger()


def lines(connection: Connection, name: str) -> list[RunLine]:
    """Newest first. Raises NotFound."""
    rows = connection.execute(_LINES, {"name": name}).all()
    if not rows:
        _require(connection, name)
    return [RunLine(run=row.id, at=row.at.replace(tzinfo=UTC), verdict=row.verdict) for row in rows]


def stored(connection: Connection, name: str, run: int | None) -> Report | None:
    """The run, or the newest; None when there is none yet. Raises NotFound for an unknown run or experiment."""
    row = connection.execute(_READ, {"name": name, "run": run}).one_or_none()
    if row is not None:
        return Report.model_validate(row.report).model_copy(update={"run": row.id})
    _require(connection, name)
    if run is not None:
        raise NotFound(f"{name} has no analysis run {run}")
    return None


def store(engine: Engine, report: Report, *, final: bool) -> int:
    name = report.experiment.name
    report = report.model_copy(update={"final": final})
    values = {"name": name, "at": naive(report.at), "final": final, "report": json.loads(report.model_dump_json())}
    with engine.begin() as connection:
        run = int(connection.execute(_STORE, values).scalar_one())
        connection.execute(_FORGET, {"name": name, "kept": KEPT})
    return run


def lag_seconds(
    event_log: EventLog, written: dict[int, str], shards: Sequence[int], clock: Clock, real: float
) -> float:
    """How far Postgres lags behind the platform's clock: the age of the oldest entry that it does not hold yet."""
    waiting = [event_log.read(shard, written.get(shard, BEGINNING), 1) for shard in shards]
    oldest = [order(entries[0].position)[0] / 1000 for entries in waiting if entries]
    return max(0.0, (real - min(oldest, default=real)) * clock.speed)


def is_settled(experiment: Experiment, now: datetime) -> bool:
    """Whether no more likes can join its exposures."""
    window = timedelta(hours=experiment.plan.rules.join_hours)
    return experiment.stopped_at is not None and now > experiment.stopped_at + window


class Analyst:
    """Runs the analyses that are due. The engine needs four connections."""

    def __init__(self, engine: Engine, client: Client, event_log: EventLog, shards: int) -> None:
        self._engine, self._client, self._log, self._shards = engine, client, event_log, all_shards(shards)
        self._seen: dict[str, object] = {}
        self._next: dict[str, float] = {}
        self._sane: date | None = None
        self._ends: dict[str, tuple[float, dict[int, str]]] = {}

    def round(self) -> list[str]:
        """The names of those that were analysed. Once a day of the platform's clock an A/A beside."""
        with self._engine.begin() as connection:
            if not connection.execute(_TRY_LOCK).scalar_one():
                return []
            self._sanity()
            due = connection.execute(_DUE).all()
            return [row.name for row in due if self._analyse(row.name)]

    def _sanity(self) -> None:
        now = read_clock(self._client).at(datetime.now(UTC))
        if self._sane == now.date():
            return
        if (made := nightly(self._engine, now)) is not None:
            words = {"p": made.p, "users": made.users, "why": made.why}
            (log.warning if made.p is not None and made.p < BROKEN else log.info)("sanity_check", **words)
        self._sane = now.date()

    def _analyse(self, name: str) -> bool:
        clock, real = read_clock(self._client), time.time()
        now = clock.at(datetime.fromtimestamp(real, UTC))
        with self._engine.connect() as connection:
            written = offsets.read_all(connection)
            final = is_settled(experiment(connection, name), now)
        if final and not self._is_drained(name, written):
            return False
        state = (written, now.date(), final)
        if not final and (self._seen.get(name) == state or time.monotonic() < self._next.get(name, 0.0)):
            return False
        started = time.monotonic()
        lag = lag_seconds(self._log, written, self._shards, clock, real)
        report = analyse(self._engine, name, now, lag)
        run = store(self._engine, report, final=final)
        took = time.monotonic() - started
        self._seen[name] = state
        self._next[name] = time.monotonic() + max(EVERY_SECONDS, TIMES_ITS_DURATION * took)
        DURATION.labels(name).set(took)
        said = line_of(report)
        log.info("analysed", experiment=name, run=run, said=said, seconds=round(took, 3), final=final)
        return True

    def _is_drained(self, name: str, written: dict[int, str]) -> bool:
        """Whether Postgres holds what was in the log when the window's end was noticed, or a minute has passed."""
        if name not in self._ends:
            self._ends[name] = time.monotonic(), {shard: self._log.end(shard) for shard in self._shards}
        seen_at, ends = self._ends[name]
        done = all(order(written.get(shard, BEGINNING)) >= order(end) for shard, end in ends.items())
        return done or time.monotonic() - seen_at > DRAIN_SECONDS


def _require(connection: Connection, name: str) -> None:
    if not connection.execute(_EXISTS, {"name": name}).scalar_one():
        raise NotFound(f"there is no experiment {name}")
