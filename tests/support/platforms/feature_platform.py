"""A small platform of feature-service alone: real Postgres, real Redis, the app on a port, ingest by hand."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, cast

import httpx
import numpy as np
from contracts.catalogue import Catalogue
from contracts.records import UserRow
from feature_service.database.engine import connect
from feature_service.ingest.health import Health
from feature_service.ingest.rounds import Ingest, run
from feature_service.ingest.to_counts import Applier
from feature_service.ingest.to_postgres import Writer
from feature_service.keyspace.connection import Client, connect_redis
from feature_service.keyspace.keys import GENERATION, Keys
from feature_service.log.entries import StreamLog
from feature_service.serving.app import create
from feature_service.settings import Settings
from feature_service.warm.build import warm
from sqlalchemy import Engine, text

from tests.support.fakes.gateway import served

SHARDS = 2
TOPICS = ("covid", "movie", "sport")
USERS, POSTS = range(200, 210), range(1, 31)
LAST_DAY = datetime(2021, 12, 1, 12, 30)


def fill(engine: Engine, rng: np.random.Generator) -> None:
    """Ten users, thirty posts, a few hundred views and likes before LAST_DAY."""
    with engine.begin() as connection:
        for user in USERS:
            values = {"u": user, "a": int(rng.integers(14, 60)), "g": int(rng.integers(2)), "e": int(rng.integers(5))}
            connection.execute(
                text("INSERT INTO user_data VALUES (:u, :a, :g, 'Russia', 'Moscow', :e, 'iOS', 'ads')"), values
            )
        for post in POSTS:
            content = {"p": post, "t": f"text of {post}", "topic": TOPICS[post % len(TOPICS)]}
            connection.execute(text("INSERT INTO post_text_df VALUES (:p, :t, :topic)"), content)
        for number in range(400):
            at = LAST_DAY - timedelta(seconds=600 * number)
            row = {"at": at, "u": int(rng.choice(USERS)), "p": int(rng.choice(POSTS[:20]))}
            liked = bool(rng.random() < 0.3)
            connection.execute(text("INSERT INTO feed_data VALUES (:at, :u, :p, 'view', :t)"), row | {"t": int(liked)})
            if liked:
                connection.execute(text("INSERT INTO feed_data VALUES (:at, :u, :p, 'like', NULL)"), row)


class Redis(Client, Protocol):
    """What tests ask of Redis beyond what the platform does."""

    def config_set(self, name: str, value: str) -> object: ...

    def hexists(self, name: str, key: str) -> bool: ...

    def hvals(self, name: str) -> list[bytes]: ...

    def zscore(self, name: str, value: str | int) -> float | None: ...

    def xadd(self, name: str, fields: Mapping[str, Any]) -> bytes: ...

    def xlen(self, name: str) -> int: ...


@dataclass
class FeaturePlatform:
    url: str
    redis_url: str
    postgres_url: str
    client: Redis
    engine: Engine
    ingest: Ingest
    writer: Writer
    applier: Applier
    http: httpx.Client

    def row(self, user_id: int) -> UserRow:
        return UserRow.unpack(self.http.get(f"/users/{user_id}/row").raise_for_status().content)

    def catalogue(self) -> Catalogue:
        return Catalogue.unpack(self.http.get("/catalogue").raise_for_status().content)

    def send(self, *events: dict[str, object]) -> httpx.Response:
        return self.http.post("/events", json={"events": list(events)})

    @contextmanager
    def serving(self, **settings: int) -> Iterator[httpx.Client]:
        """A second service, with settings of its own."""
        own = Settings.model_validate(
            {"postgres_url": self.postgres_url, "redis_url": self.redis_url, "shards": SHARDS} | settings
        )
        with served(create(own)) as url, httpx.Client(base_url=url, timeout=10) as http:
            yield http

    def settle(self) -> None:
        """Until the log holds nothing that is not counted."""
        while self.ingest.step():
            pass

    def warm(self, now: datetime | None = None) -> None:
        warm(self.redis_url, self.postgres_url, shards=SHARDS, now=now or datetime.now(UTC))

    @property
    def keys(self) -> Keys:
        return Keys(int(self.client.get(GENERATION) or 0))

    def count(self, table: str, where: str = "TRUE") -> int:
        with self.engine.connect() as connection:
            return int(connection.execute(text(f"SELECT count(*) FROM {table} WHERE {where}")).scalar_one())

    def state(self) -> dict[str, object]:
        """All that serving can see, comparable between two builds: counts exactly, hidden ids as sets.

        A liked post that does not exist hides nothing; a rebuild does not know it.
        """
        catalogue = self.catalogue()
        rows = {user: self.row(user) for user in (*USERS, 990, 991)}
        existing = frozenset(catalogue.post_id.tolist())
        return {
            "counted_until": catalogue.counted_until,
            "posts": sorted(zip(catalogue.post_id.tolist(), (catalogue.topics[catalogue.topic]).tolist(), strict=True)),
            "counts": {
                int(post): values
                for post, *values in zip(
                    catalogue.post_id,
                    catalogue.segment_views.tolist(),
                    catalogue.segment_likes.tolist(),
                    catalogue.first_view_at.tolist(),
                    strict=True,
                )
            },
            "users": {
                user: (
                    row.profile,
                    row.counts.last_view_at,
                    row.counts.last_like_at,
                    _by_topic(catalogue, row.counts.views),
                    _by_topic(catalogue, row.counts.likes),
                    frozenset(row.hidden.tolist()) & existing,
                    row.counts.recent.tolist(),
                )
                for user, row in rows.items()
            },
        }


def _by_topic(catalogue: Catalogue, counts: np.ndarray[tuple[int], np.dtype[np.integer]]) -> dict[str, int]:
    return {str(topic): int(count) for topic, count in zip(catalogue.topics, counts, strict=False) if count}


@contextmanager
def feature_platform(postgres_url: str, redis_url: str, *, warmed: bool = True) -> Iterator[FeaturePlatform]:
    settings = Settings(postgres_url=postgres_url, redis_url=redis_url, shards=SHARDS)
    engine = connect(postgres_url, pool_size=4)
    fill(engine, np.random.default_rng(1))
    with connect_redis(redis_url) as client:
        log = StreamLog(client)
        writer = Writer(engine, log)
        applier = Applier(client, engine, log, writer)
        ingest = Ingest(client, engine, writer, applier, log, SHARDS)
        if warmed:
            warm(redis_url, postgres_url, shards=SHARDS)
        with served(create(settings)) as url, httpx.Client(base_url=url, timeout=10) as http:
            yield FeaturePlatform(
                url, redis_url, postgres_url, cast(Redis, client), engine, ingest, writer, applier, http
            )
    engine.dispose()


@contextmanager
def ingesting(platform: FeaturePlatform) -> Iterator[None]:
    """ingest itself, in a thread."""
    settings = Settings(postgres_url=platform.postgres_url, redis_url=platform.redis_url, shards=SHARDS)
    stop = threading.Event()
    thread = threading.Thread(target=run, args=(settings, stop, Health()))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def event(key: str, user_id: int, post_id: int, action: str, timestamp: datetime | None = None) -> dict[str, object]:
    fields: dict[str, object] = {"key": key, "user_id": user_id, "post_id": post_id, "action": action}
    return fields | ({"timestamp": timestamp.isoformat()} if timestamp else {})


def exposure(
    key: str, user_id: int, posts: list[int], at: datetime | None = None, **other: object
) -> dict[str, object]:
    moment = (at or datetime.now(UTC)).isoformat()
    fields: dict[str, object] = {
        "key": key,
        "user_id": user_id,
        "experiment": "models",
        "group": "test",
        "ranker": "test",
        "model": "test",
        "model_version": "v",
        "posts": posts,
        "asked_for": moment,
        "served_at": moment,
    }
    return fields | other
