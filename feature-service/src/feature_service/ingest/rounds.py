"""Rounds over the shards of the event log, and the chores between them."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime

import redis.exceptions
import structlog
from contracts.catalogue import tick_of
from contracts.clock import REAL, Clock
from prometheus_client import Counter, Gauge
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, TimeoutError

from feature_service.database.engine import connect, naive
from feature_service.database.partitions import ensure_partitions
from feature_service.database.schema import MONTHS_AHEAD
from feature_service.experiments.guardrails import GuardrailWatch
from feature_service.experiments.published import publish
from feature_service.ingest.health import Health
from feature_service.ingest.poison import first_line
from feature_service.ingest.to_counts import Applier
from feature_service.ingest.to_postgres import Writer
from feature_service.keyspace.clock import PlatformClock
from feature_service.keyspace.connection import Client, connect_redis
from feature_service.keyspace.generations import delete_retired
from feature_service.keyspace.keys import BEGINNING, BUILDING, GENERATION, Keys, all_shards, lock_key
from feature_service.keyspace.posts import close_hours, expire, publish_missed_snapshot
from feature_service.keyspace.scripts import OWN
from feature_service.log.entries import EventLog, StreamLog, lowest, order
from feature_service.reports.runs import Analyst
from feature_service.reports.webhook import Webhook
from feature_service.settings import Settings

POLL_SECONDS = 0.1
WORTH_A_ROUND = 2_000
"""Entries. With fewer than these we wait for more: a round costs about the same for one as for a thousand."""
CHORES_SECONDS = 5.0
WATCH_SECONDS = 2.0
ANALYSIS_SECONDS = 1.0
"""Between checks whether an analysis is due."""
LOCK_MILLISECONDS = 10_000
RETRY_SECONDS = 1.0
DEAD_LETTERS_KEPT = 10_000
JOIN_SECONDS = 10.0
DOWN = (redis.exceptions.RedisError, DBAPIError, TimeoutError, OSError)
"""What Redis or Postgres raises while it is down."""

LAG = Gauge("ingest_lag_seconds", "Age of the oldest event that is not in Postgres yet, by shard.", ["shard"])
WRITTEN = Counter("ingest_entries_total", "Log entries moved into Postgres.", ["shard"])
FAULTS = Counter("ingest_faults_total", "Rounds that failed, by what was down or what failed.", ["what"])

log = structlog.get_logger()


class Ingest:
    """Each shard belongs to one process, by a lock; even when two believe they own it, the offsets keep it correct."""

    def __init__(
        self, client: Client, engine: Engine, writer: Writer, applier: Applier, event_log: EventLog, shards: int
    ) -> None:
        self._client, self._engine, self._writer, self._applier = client, engine, writer, applier
        self._log = event_log
        self._shards = all_shards(shards)
        self._token = uuid.uuid4().hex

    def step(self) -> int:
        """One round over the shards that this process owns; the number of entries moved or applied."""
        current = self._client.get(GENERATION)
        offsets = self._writer.offsets()
        moved = 0
        for shard in self._shards:
            if self._client.eval(OWN, 1, lock_key(shard), self._token, LOCK_MILLISECONDS):
                moved += self._move(shard, offsets.get(shard, BEGINNING), Keys(int(current)) if current else None)
        return moved

    def _move(self, shard: int, at: str, keys: Keys | None) -> int:
        """at: Postgres' offset. A shard with nothing new costs no transaction."""
        written = 0
        if order(at) < order(self._log.end(shard)):
            written = self._writer.write(shard)
            at = self._writer.offset(shard)
            WRITTEN.labels(shard).inc(written)
        applied = self._applier.apply(keys, shard, at) if keys else 0
        self._show_lag(shard, at)
        return written + applied

    def _show_lag(self, shard: int, at: str) -> None:
        waiting = self._log.read(shard, at, 1)
        oldest = order(waiting[0].position)[0] / 1000 if waiting else time.time()
        LAG.labels(shard).set(max(0.0, time.time() - oldest))

    def chores(self, now: datetime, clock: Clock = REAL) -> None:
        """What can wait a few seconds: hourly tick, posts that expire, experiments, old generations, the log's tail.

        now: real time; the tick is by the platform's clock.
        """
        if current := self._client.get(GENERATION):
            keys = Keys(int(current))
            close_hours(self._client, keys, tick_of(clock.at(now)))
            expire(self._client, keys, clock.at(now).timestamp())
            publish_missed_snapshot(self._client, keys)
            publish(self._engine, self._client)
        delete_retired(self._client, now.timestamp())
        self._log.forget_put_aside(DEAD_LETTERS_KEPT)
        self._trim()

    def _trim(self) -> None:
        """Drops entries below the lowest offset that Postgres or any generation still needs."""
        generations = [Keys(int(value)) for value in self._client.mget([GENERATION, BUILDING]) if value]
        for shard in self._shards:
            needed = [self._writer.offset(shard)]
            needed += [self._applier.offset(keys, shard) for keys in generations]
            self._log.trim(shard, lowest(needed))

    def release(self) -> None:
        for shard in self._shards:
            if self._client.get(lock_key(shard)) == self._token.encode():
                self._client.delete(lock_key(shard))


def run(settings: Settings, stop: threading.Event, health: Health) -> None:
    """Until `stop` is set. When Redis or Postgres is down it waits: the log keeps everything.

    Any other error is raised, after the threads beside the rounds have ended: what started the process starts it again.
    """
    engine = connect(settings.postgres_url, pool_size=3)
    with connect_redis(settings.redis_url) as client, _beside(settings, stop, health):
        event_log = StreamLog(client)
        writer = Writer(engine, event_log)
        applier = Applier(client, engine, event_log, writer)
        ingest = Ingest(client, engine, writer, applier, event_log, settings.shards)
        rounds = _Rounds(ingest, engine, PlatformClock(client))
        while not stop.is_set():
            try:
                moved = rounds.next()
            except DOWN as error:
                health.waits_for = _what(error)
                FAULTS.labels(_what(error)).inc()
                log.warning("ingest_waits", what=_what(error), error=first_line(error))
                stop.wait(RETRY_SECONDS)
                continue
            health.waits_for = None
            if moved < WORTH_A_ROUND:
                stop.wait(POLL_SECONDS)
        with suppress(redis.exceptions.RedisError):  # a lock that can't be released expires
            ingest.release()
    engine.dispose()


def _what(error: Exception) -> str:
    return "postgres" if isinstance(error, DBAPIError | TimeoutError) else "redis"


class _Rounds:
    """Rounds over the shards, with the chores every few seconds and at each tick."""

    def __init__(self, ingest: Ingest, engine: Engine, clock: PlatformClock) -> None:
        self._ingest, self._engine, self._clock = ingest, engine, clock
        self._tick, self._chores_at = 0, 0.0

    def next(self) -> int:
        """The number of entries moved or applied."""
        moved = self._ingest.step()
        now = self._clock.now()
        if time.monotonic() >= self._chores_at or tick_of(now) != self._tick:
            self._chores_at, self._tick = time.monotonic() + CHORES_SECONDS, tick_of(now)
            self._ingest.chores(datetime.now(UTC), self._clock.clock)
            with self._engine.begin() as connection:
                ensure_partitions(connection, naive(now), naive(now) + MONTHS_AHEAD)
        return moved


@contextmanager
def _beside(settings: Settings, stop: threading.Event, health: Health) -> Iterator[None]:
    """The threads beside the rounds. They end with them, whatever ended these."""
    works = {
        "watch": (WATCH_SECONDS, _guardrail_watch),
        "analysis": (ANALYSIS_SECONDS, _analyst),
        "webhook": (WATCH_SECONDS, _webhook),
    }
    threads = [
        threading.Thread(target=_every, args=(stop, seconds, work(settings), health), name=name, daemon=True)
        for name, (seconds, work) in works.items()
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(JOIN_SECONDS)


def _every(
    stop: threading.Event, seconds: float, work: AbstractContextManager[Callable[[], object]], health: Health
) -> None:
    """Between rounds, in a thread, until `stop` is set. When Redis or Postgres is down it waits.

    A bug in it must not stop the events: it is logged, and stands in the health until a round goes well.
    """
    name = threading.current_thread().name
    with work as round:
        while not stop.wait(seconds):
            try:
                round()
                health.beside.pop(name, None)
            except DOWN as error:
                health.beside[name] = f"waits for {_what(error)}"
                log.warning("beside_waits", thread=name, error=first_line(error))
            except Exception as error:
                health.beside[name] = f"failed: {type(error).__name__}; the log has the reason"
                FAULTS.labels(name).inc()
                log.exception("beside_failed", thread=name)


@contextmanager
def _guardrail_watch(settings: Settings) -> Iterator[Callable[[], object]]:
    engine = connect(settings.postgres_url, pool_size=1)
    with connect_redis(settings.redis_url) as client:
        watch, clock = GuardrailWatch(engine, client), PlatformClock(client)

        def look() -> None:
            watch.end(clock.now())
            watch.look(datetime.now(UTC), clock.clock)

        yield look
    engine.dispose()


@contextmanager
def _analyst(settings: Settings) -> Iterator[Callable[[], object]]:
    engine = connect(settings.postgres_url, pool_size=4)
    with connect_redis(settings.redis_url) as client:
        yield Analyst(engine, client, StreamLog(client), settings.shards).round
    engine.dispose()


@contextmanager
def _webhook(settings: Settings) -> Iterator[Callable[[], object]]:
    engine = connect(settings.postgres_url, pool_size=1)
    with connect_redis(settings.redis_url) as client:
        yield Webhook(engine, client, settings.webhook_url, settings.webhook_secret).round
    engine.dispose()
