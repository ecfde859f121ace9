"""Postgres goes and comes back while the platform serves; a warm-up dies; snapshots that were due are made."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import cast

import httpx
import psycopg2
import pytest
from feature_service.ingest.health import Health, serve_health
from feature_service.ingest.rounds import run
from feature_service.keyspace.connection import Client
from feature_service.keyspace.generations import ABANDONED_AFTER_SECONDS, building
from feature_service.keyspace.keys import BUILDING, POSTS_SHARD, RETIRED, Keys, log_key, shard_of
from feature_service.keyspace.scripts import APPLY
from feature_service.settings import Settings
from feature_service.warm.build import WarmError, warm
from sqlalchemy import text

from tests.support.platforms.feature_platform import SHARDS, FeaturePlatform, event, feature_platform


@pytest.fixture
def platform(postgres_url: str, redis_url: str) -> Iterator[FeaturePlatform]:
    with feature_platform(postgres_url, redis_url) as running:
        yield running


@contextmanager
def _ingesting(platform: FeaturePlatform) -> Iterator[Health]:
    settings = Settings(postgres_url=platform.postgres_url, redis_url=platform.redis_url, shards=SHARDS)
    stop, health = threading.Event(), Health()
    thread = threading.Thread(target=run, args=(settings, stop, health))
    thread.start()
    try:
        yield health
    finally:
        stop.set()
        thread.join()


@contextmanager
def _postgres_gone(platform: FeaturePlatform) -> Iterator[None]:
    """The database takes no connection, and those that were open are cut."""
    server, name = platform.postgres_url.rsplit("/", 1)
    connection = psycopg2.connect(f"{server}/postgres")
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
            cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
            yield
            cursor.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    finally:
        connection.close()


def _within(seconds: float, happens: Callable[[], bool]) -> float:
    """How long it took."""
    started = time.monotonic()
    while not happens():
        assert time.monotonic() - started < seconds, f"not within {seconds} s"
        time.sleep(0.02)
    return time.monotonic() - started


def test_counts_follow_a_like_within_two_seconds(platform: FeaturePlatform) -> None:
    before = int(platform.row(200).counts.likes.sum())
    with _ingesting(platform) as health:
        _within(10, lambda: health.waits_for is None)
        platform.send(event("a", 200, 25, "like"))
        _within(2, lambda: int(platform.row(200).counts.likes.sum()) == before + 1)


def test_without_postgres_serving_and_events_go_on_and_counts_follow_when_it_is_back(platform: FeaturePlatform) -> None:
    before = int(platform.row(200).counts.likes.sum())
    with _ingesting(platform) as health:
        with _postgres_gone(platform):
            _within(10, lambda: health.waits_for == "postgres")
            assert platform.send(event("a", 200, 25, "like")).status_code == 202
            assert platform.http.put("/users/990", json={"age": 30}).status_code == 202
            assert 25 in platform.row(200).hidden
            assert platform.row(990).profile.age == 30
            for call in ("/catalogue", "/popular", "/running", "/posts/3", "/readyz"):
                assert platform.http.get(call).status_code == 200, call
            for call in ("/users/200", "/users/200/feed", "/posts/3/feed"):
                answer = platform.http.get(call)
                assert (answer.status_code, "Retry-After" in answer.headers) == (503, True), call
        _within(10, lambda: int(platform.row(200).counts.likes.sum()) == before + 1)
    assert platform.http.get("/users/990").json()["age"] == 30


def test_ingest_is_ready_when_a_round_went_well_and_says_what_it_waits_for() -> None:
    health = Health()
    with serve_health(health, "127.0.0.1", 0) as port, httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        health.waits_for = "postgres"
        answer = client.get("/readyz")
        assert (answer.status_code, answer.json()["reasons"]) == (503, {"ingest": "waits for postgres"})
        assert client.get("/livez").status_code == 200
        health.waits_for = None
        assert client.get("/readyz").json() == {"status": "ready"}
        assert "ingest_entries_total" in client.get("/metrics").text


def test_a_warm_up_that_died_pins_neither_log_nor_memory(platform: FeaturePlatform) -> None:
    """As after SIGKILL: nobody gives the lease back, nobody deletes what was built."""
    with building(platform.client, lease_seconds=60) as abandoned:
        platform.client.set(Keys(abandoned).profile(1), b"x")
        platform.send(*(event(str(number), 200, 1, "view") for number in range(50)))
        platform.settle()
        platform.ingest.chores(datetime.now(UTC))
        assert platform.client.xlen(log_key(shard_of(200, SHARDS))) >= 50
        platform.client.delete(BUILDING)  # the lease lapsed
        platform.ingest.chores(datetime.now(UTC))
        assert platform.client.xlen(log_key(shard_of(200, SHARDS))) <= 1
        platform.ingest.chores(datetime.fromtimestamp(time.time() + ABANDONED_AFTER_SECONDS + 1, UTC))
        assert list(platform.client.scan_iter(match=f"{Keys(abandoned).prefix}:*")) == []


def test_a_lease_is_renewed_for_as_long_as_its_warm_up_lives(platform: FeaturePlatform) -> None:
    with building(platform.client, lease_seconds=0.4) as generation:
        time.sleep(1.0)
        assert int(platform.client.get(BUILDING) or 0) == generation
        assert (platform.client.zscore(RETIRED, generation) or 0) > time.time()


def test_of_two_warm_ups_at_once_the_later_one_goes_into_service(platform: FeaturePlatform) -> None:
    before, begun = platform.state(), list[int]()

    def begin_another(what: str, done: int, total: int) -> None:
        if not begun:
            begun.append(1)
            platform.warm()

    with pytest.raises(WarmError, match="another `lenta warm` began meanwhile"):
        warm(platform.redis_url, platform.postgres_url, shards=SHARDS, progress=begin_another)
    assert platform.state() == before
    assert platform.client.get(BUILDING) is None
    prefixes = {key.split(b":")[0] for key in platform.client.scan_iter(match="g[0-9]*:*")}
    assert prefixes == {b"g1", platform.keys.prefix.encode()}


class _Dies(BaseException):
    pass


class _DyingClient:
    """Dies right after a script was run."""

    def __init__(self, client: object, after: str) -> None:
        self._client, self._after = client, after

    def __getattr__(self, name: str) -> object:
        return getattr(self._client, name)

    def eval(self, script: str, *arguments: object) -> object:
        self._client.eval(script, *arguments)  # type: ignore[attr-defined]
        if script == self._after:
            raise _Dies
        return 1


def test_a_post_that_was_applied_when_ingest_died_is_in_the_catalogue_all_the_same(platform: FeaturePlatform) -> None:
    platform.http.put("/posts/500", json={"text": "news", "topic": "science"})
    platform.writer.write(POSTS_SHARD)
    alive = platform.applier._client
    platform.applier._client = cast(Client, _DyingClient(alive, APPLY))
    with pytest.raises(_Dies):
        platform.applier.apply(platform.keys, POSTS_SHARD)
    platform.applier._client = alive
    assert 500 not in platform.catalogue().post_id
    platform.ingest.chores(datetime.now(UTC))
    assert 500 in platform.catalogue().post_id


def test_an_experiment_that_changed_in_postgres_is_served_without_a_warm_up(platform: FeaturePlatform) -> None:
    with platform.engine.begin() as connection:
        connection.execute(text("UPDATE experiments SET state = 'stopped'"))
    platform.ingest.chores(datetime.now(UTC))
    assert platform.http.get("/running").json()["experiments"] == []
