"""Warm: a rebuild while serving, equal to what live updates made, and never a moment without features."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import numpy as np
import pytest
import redis
from contracts.records import SEGMENTS, UserRow
from feature_service.keyspace.connection import REQUIRED, WrongRedisSettings, connect_redis
from feature_service.keyspace.generations import building, flip, is_warm
from feature_service.keyspace.keys import BUILDING, GENERATION, Keys
from feature_service.serving.app import create
from feature_service.settings import Settings
from feature_service.warm.build import WarmError, warm
from feature_service.warm.snapshot import CHUNK, in_chunks
from sqlalchemy import text

from tests.support.fakes.gateway import served
from tests.support.platforms.feature_platform import SHARDS, FeaturePlatform, event, feature_platform


@pytest.fixture
def platform(postgres_url: str, redis_url: str) -> Iterator[FeaturePlatform]:
    with feature_platform(postgres_url, redis_url) as running:
        yield running


def test_a_rebuild_equals_what_live_updates_made(platform: FeaturePlatform) -> None:
    platform.http.put("/posts/500", json={"text": "news", "topic": "science"})
    platform.http.put("/users/990", json={"age": 40})
    for number in range(60):
        user, post = 200 + number % 12, 1 + number * 7 % 30
        at = datetime(2021, 12, 2, 3 + number % 20, tzinfo=UTC) if number % 3 else None
        platform.send(event(f"{number}v", user, post, "view", at), event(f"{number}l", user, post, "like", at))
    platform.send(event("s", 990, 500, "view"))
    platform.settle()
    later = datetime.now(UTC) + timedelta(hours=1)
    platform.ingest.chores(later)
    live = platform.state()
    platform.warm(now=later)
    assert platform.state() == live


def test_an_event_counts_for_the_segment_of_its_user_when_it_is_applied_and_a_rebuild_moves_it_along(
    platform: FeaturePlatform,
) -> None:
    def by_segment() -> dict[str, int]:
        catalogue = platform.catalogue()
        (views,) = catalogue.segment_views[catalogue.index_of(np.array([25]))].tolist()
        return {segment: count for segment, count in zip(SEGMENTS, views, strict=True) if count}

    later = datetime.now(UTC) + timedelta(hours=1)
    for number, profile in enumerate(({"age": 17}, {}, {"age": 17}, {"age": 40})):
        platform.http.put("/users/990", json=profile)
        platform.send(event(f"v{number}", 990, 25, "view"))
        platform.settle()
    platform.ingest.chores(later)
    assert by_segment() == {"0": 2, "4": 1, "unknown": 1}
    platform.warm(now=later)
    assert by_segment() == {"4": 4}


def test_events_that_wait_in_the_log_are_in_the_rebuild(platform: FeaturePlatform) -> None:
    before = platform.row(200).counts.views.sum()
    platform.send(event("a", 200, 25, "view"))
    platform.warm()
    assert platform.row(200).counts.views.sum() == before + 1
    platform.settle()
    assert platform.row(200).counts.views.sum() == before + 1


def test_likes_during_ten_warms_are_all_there_and_counted_once(platform: FeaturePlatform) -> None:
    stop, sent, missed = threading.Event(), list[int](), list[int]()

    def like_on() -> None:
        with httpx.Client(base_url=platform.url, timeout=10) as client:
            while not stop.is_set():
                post = 1 + len(sent) % 30
                key = f"k{len(sent)}"
                answer = client.post("/events", json={"events": [event(key, 991, post, "like")]})
                assert answer.status_code == 202
                sent.append(post)
                row = UserRow.unpack(client.get("/users/991/row").content)
                if post not in row.hidden:
                    missed.append(post)

    def ingest_on() -> None:
        while not stop.is_set():
            platform.ingest.step()
            time.sleep(0.01)

    threads = [threading.Thread(target=like_on), threading.Thread(target=ingest_on)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(10):
            platform.warm()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    platform.settle()
    assert missed == []
    assert platform.row(991).counts.likes.sum() == len(sent)
    live = platform.state()
    platform.warm()
    assert platform.state() == live


def test_the_old_generation_goes_when_its_time_is_over(platform: FeaturePlatform) -> None:
    old = platform.keys
    platform.warm()
    assert platform.client.exists(old.catalogue)
    platform.ingest.chores(datetime.now(UTC) + timedelta(seconds=61))
    assert list(platform.client.scan_iter(match=f"{old.prefix}:*")) == []
    assert platform.client.exists(platform.keys.catalogue)


def test_a_warm_that_fails_leaves_the_generation_in_service(platform: FeaturePlatform) -> None:
    before = platform.state()

    def fail(what: str, done: int, total: int) -> None:
        if what == "counts":
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        warm(platform.redis_url, platform.postgres_url, shards=SHARDS, progress=fail)
    assert platform.client.get(BUILDING) is None
    assert platform.state() == before
    platform.warm()
    assert platform.state() == before


def test_an_empty_platform_can_be_warmed(postgres_url: str, redis_url: str) -> None:
    with connect_redis(redis_url) as client:
        assert not is_warm(client)
        report = warm(redis_url, postgres_url, shards=SHARDS)
        assert (report.users, report.posts) == (0, 0)
        assert client.get(GENERATION) == b"1"
        assert is_warm(client)


def test_an_empty_redis_is_not_ready_and_says_what_to_run(postgres_url: str, redis_url: str) -> None:
    settings = Settings(postgres_url=postgres_url, redis_url=redis_url, shards=SHARDS)
    with served(create(settings)) as url, httpx.Client(base_url=url) as client:
        assert client.get("/livez").status_code == 200
        answer = client.get("/readyz")
        assert answer.status_code == 503
        assert 'run "lenta warm"' in answer.json()["reasons"]["redis"]
        refused = client.post("/events", json={"events": [event("a", 1, 1, "like")]})
        assert refused.status_code == 503
        assert int(refused.headers["Retry-After"]) >= 1


@pytest.mark.parametrize(
    ("name", "wrong"), [("appendonly", "no"), ("appendfsync", "everysec"), ("maxmemory-policy", "allkeys-lru")]
)
def test_warm_refuses_a_redis_with_wrong_settings_and_names_them(
    postgres_url: str, redis_url: str, name: str, wrong: str
) -> None:
    with redis.Redis.from_url(redis_url) as client:
        client.config_set(name, wrong)
    with pytest.raises(WarmError, match=f"{name} is {wrong}, must be {REQUIRED[name]}"):
        warm(redis_url, postgres_url, shards=SHARDS)


def test_the_service_refuses_to_start_on_a_redis_with_wrong_settings(postgres_url: str, redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        client.config_set("appendfsync", "everysec")
    app = create(Settings(postgres_url=postgres_url, redis_url=redis_url, shards=SHARDS))

    async def start() -> None:
        async with app.router.lifespan_context(app):
            pass

    with pytest.raises(WrongRedisSettings, match="appendfsync is everysec, must be always"):
        asyncio.run(start())


def test_a_full_redis_refuses_events_and_serves_on(platform: FeaturePlatform) -> None:
    platform.client.config_set("maxmemory", "1mb")
    answer = platform.send(event("a", 200, 25, "like"))
    assert answer.status_code == 503
    assert "Retry-After" in answer.headers
    assert 25 not in platform.row(200).hidden
    platform.client.config_set("maxmemory", "0")
    assert platform.send(event("a", 200, 25, "like")).status_code == 202


def test_no_more_rows_than_a_chunk_are_held_at_once(platform: FeaturePlatform) -> None:
    with platform.engine.connect() as connection:
        chunks = in_chunks(connection, text(f"SELECT generate_series(1, {2 * CHUNK + 7})"))
        assert [len(rows) for rows in chunks] == [CHUNK, CHUNK, 7]


def test_a_generation_that_lags_behind_in_one_shard_does_not_go_into_service(platform: FeaturePlatform) -> None:
    with building(platform.client) as generation:
        new, old = Keys(generation), platform.keys
        for shard in range(SHARDS + 1):
            platform.client.set(old.offset(shard), "7-2")
            platform.client.set(new.offset(shard), "7-2")
        platform.client.set(new.offset(SHARDS), "7-1")
        assert flip(platform.client, generation, SHARDS) == 0
        assert platform.client.get(GENERATION) == old.prefix.removeprefix("g").encode()
        platform.client.set(new.offset(SHARDS), "7-2")
        assert flip(platform.client, generation, SHARDS) == 1
        assert platform.client.get(GENERATION) == str(generation).encode()
