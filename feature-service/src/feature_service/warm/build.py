"""Builds the next generation in Redis from one Postgres snapshot, catches up with the log, and puts it into service.

While it builds, the append script writes likes and profiles into both generations, so that only counts have to be
replayed.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime

from contracts.catalogue import TOPICS_MAX
from sqlalchemy import Connection, Engine, text

from feature_service.database.engine import connect
from feature_service.experiments.published import publish
from feature_service.ingest.to_counts import Applier
from feature_service.ingest.to_postgres import Writer
from feature_service.keyspace.clock import read_clock
from feature_service.keyspace.connection import Client, connect_redis, wrong_settings
from feature_service.keyspace.generations import building, delete_retired, flip
from feature_service.keyspace.keys import POSTS_SHARD, Keys, all_shards
from feature_service.log.entries import StreamLog, order
from feature_service.warm.snapshot import Loader, Progress

DRAIN_SECONDS = 60.0
_TOPICS = text("SELECT count(DISTINCT topic) FROM post_text_df")


class WarmError(RuntimeError):
    """Nothing was put into service; the previous generation stays. The message says why."""


@dataclass(frozen=True, slots=True)
class WarmReport:
    generation: int
    users: int
    posts: int
    seconds: float


def warm(
    redis_url: str,
    postgres_url: str,
    *,
    shards: int = 4,
    now: datetime | None = None,
    progress: Progress = lambda what, done, total: None,
) -> WarmReport:
    """Raises WarmError when Redis has the wrong settings or the log cannot be drained."""
    started = time.monotonic()
    engine = connect(postgres_url, pool_size=4, connect_seconds=10)
    try:
        with connect_redis(redis_url) as client:
            if fault := wrong_settings(client.config_get("*")):
                raise WarmError(fault)
            return _Warm(client, engine, shards, now or read_clock(client).now(), progress).run(started)
    finally:
        engine.dispose()


class _Warm:
    def __init__(self, client: Client, engine: Engine, shards: int, now: datetime, progress: Progress) -> None:
        self._client, self._engine, self._shards, self._progress = client, engine, shards, progress
        self._now = now
        self._log = StreamLog(client)
        self._writer = Writer(engine, self._log)
        self._applier = Applier(client, engine, self._log, self._writer)

    def run(self, started: float) -> WarmReport:
        delete_retired(self._client, time.time())
        with building(self._client) as generation:
            keys = Keys(generation)
            self._drain()
            users, posts = self._load(keys)
            publish(self._engine, self._client)
            self._catch_up_and_flip(keys, generation)
        return WarmReport(generation, users, posts, time.monotonic() - started)

    def _drain(self) -> None:
        """Waits until Postgres holds what was appended before the generation began."""
        ends = {shard: self._log.end(shard) for shard in all_shards(self._shards)}
        deadline = time.monotonic() + DRAIN_SECONDS
        for shard, end in ends.items():
            while order(self._writer.offset(shard)) < order(end):
                # A shard is held up by an event whose post still waits in the posts' shard, or by another writer.
                if self._writer.write(shard) == 0 and self._writer.write(POSTS_SHARD) == 0:
                    if time.monotonic() > deadline:
                        raise WarmError(f"shard {shard} of the event log was not drained in {DRAIN_SECONDS:.0f} s")
                    time.sleep(0.05)

    def _load(self, keys: Keys) -> tuple[int, int]:
        with self._snapshot() as connection, self._snapshot() as beside:
            shared = connection.execute(text("SELECT pg_export_snapshot()")).scalar_one()
            beside.exec_driver_sql(f"SET TRANSACTION SNAPSHOT '{shared}'")
            if (topics := connection.execute(_TOPICS).scalar_one()) > TOPICS_MAX:
                raise WarmError(f"post_text_df has {topics} topics; there may be {TOPICS_MAX}: merge some of them")
            return Loader(self._client, connection, beside, keys, self._now, self._progress).load(self._shards)

    def _snapshot(self) -> Connection:
        return self._engine.connect().execution_options(isolation_level="REPEATABLE READ")

    def _catch_up_and_flip(self, keys: Keys, generation: int) -> None:
        while True:
            for shard in all_shards(self._shards):
                while self._applier.apply(keys, shard):
                    pass
            flipped = flip(self._client, generation, self._shards)
            if flipped == 1:
                return
            if flipped == -1:
                raise WarmError(
                    "another `lenta warm` began meanwhile, or this one stood still for too long; run it again"
                )
