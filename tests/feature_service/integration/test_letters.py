"""Dead letters: to list, to read, and to replay once their cause is gone; nothing is counted twice by it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from contracts.wire import UserProfile
from feature_service.keyspace.keys import log_key, shard_of
from feature_service.log.dead_letters import list_dead_letters, read_dead_letter, replay
from feature_service.log.entries import Registered
from sqlalchemy import text

from tests.support.platforms.feature_platform import SHARDS, FeaturePlatform, event, exposure, feature_platform


@pytest.fixture
def platform(postgres_url: str, redis_url: str) -> Iterator[FeaturePlatform]:
    with feature_platform(postgres_url, redis_url) as running:
        yield running


def _publish(platform: FeaturePlatform) -> None:
    platform.http.put("/posts/7777", json={"text": "late", "topic": "movie"}).raise_for_status()
    platform.settle()


def test_a_letter_says_where_it_lay_when_and_why(platform: FeaturePlatform) -> None:
    platform.send(event("a", 200, 7777, "like"))
    platform.client.xadd(log_key(shard_of(201, SHARDS)), {"e": b"{broken"})
    platform.settle()
    event_letter, broken = list_dead_letters(platform.client)
    assert (event_letter.shard, event_letter.reason) == (shard_of(200, SHARDS), "unknown_post")
    assert b'"post_id":7777' in event_letter.body
    assert abs(event_letter.appended_at - datetime.now(UTC)) < timedelta(minutes=1)
    assert broken.reason.startswith("unreadable: ")
    assert broken.body == b"{broken"
    assert read_dead_letter(platform.client, broken.id) == broken
    assert read_dead_letter(platform.client, "1:1-1") is None


def test_events_on_a_post_that_came_later_count_once_after_a_replay(platform: FeaturePlatform) -> None:
    platform.http.post("/exposures", json=exposure("x", 200, [7777]))
    platform.send(event("v", 200, 7777, "view"), event("l", 200, 7777, "like"))
    platform.settle()
    ids = [letter.id for letter in list_dead_letters(platform.client)]
    before = platform.row(200).counts.likes.sum()
    _publish(platform)
    platform.warm()
    assert 7777 not in platform.row(200).hidden
    assert replay(platform.client, ids) == ids
    assert 7777 in platform.row(200).hidden
    assert replay(platform.client, ids) == []
    platform.settle()
    assert list_dead_letters(platform.client) == []
    assert platform.row(200).counts.likes.sum() == before + 1
    assert platform.count("event_ledger", "fate = 'counted'") == 2
    assert platform.count("exposures", "likes = 1") == 1
    live = platform.state()
    platform.warm()
    assert platform.state() == live


def test_what_a_warm_up_writes_before_ingest_comes_to_it_has_its_letter_too(platform: FeaturePlatform) -> None:
    platform.send(event("v", 200, 7777, "view"))
    platform.client.xadd(log_key(shard_of(200, SHARDS)), {"e": b"{broken"})
    platform.warm()
    platform.settle()
    letters = list_dead_letters(platform.client)
    assert [letter.reason.split(":")[0] for letter in letters] == ["unknown_post", "unreadable"]
    _publish(platform)
    replay(platform.client, [letters[0].id])
    platform.settle()
    assert platform.count("feed_data", "post_id = 7777") == 1


def test_an_event_that_its_client_sent_again_meanwhile_is_not_counted_twice(platform: FeaturePlatform) -> None:
    platform.send(event("v", 200, 7777, "view"))
    platform.settle()
    (letter,) = list_dead_letters(platform.client)
    _publish(platform)
    platform.send(event("v", 200, 7777, "view"), event("v", 200, 7777, "view"))
    platform.settle()
    assert platform.count("feed_data", "post_id = 7777") == 1
    replay(platform.client, [letter.id])
    platform.settle()
    assert platform.count("feed_data", "post_id = 7777") == 1
    live = platform.state()
    platform.warm()
    assert platform.state() == live


def test_what_fails_again_is_a_letter_again(platform: FeaturePlatform) -> None:
    platform.send(event("v", 200, 7777, "view"))
    platform.client.xadd(log_key(shard_of(200, SHARDS)), {"e": b"{broken"})
    platform.settle()
    before = list_dead_letters(platform.client)
    replay(platform.client, [letter.id for letter in before])
    platform.settle()
    after = list_dead_letters(platform.client)
    assert [(letter.reason, letter.body) for letter in after] == [(letter.reason, letter.body) for letter in before]
    assert {letter.id for letter in after}.isdisjoint(letter.id for letter in before)


def test_a_profile_that_postgres_refused_arrives_when_it_does_not_any_more(platform: FeaturePlatform) -> None:
    body = Registered(user_id=990, profile=UserProfile(age=120)).model_dump_json()
    platform.client.xadd(log_key(shard_of(990, SHARDS)), {"e": body})
    with platform.engine.begin() as connection:
        connection.execute(text("ALTER TABLE user_data ADD CONSTRAINT young CHECK (age < 100)"))
    platform.settle()
    (letter,) = list_dead_letters(platform.client)
    assert letter.reason.startswith("refused: ")
    with platform.engine.begin() as connection:
        connection.execute(text("ALTER TABLE user_data DROP CONSTRAINT young"))
    replay(platform.client, [letter.id])
    assert platform.row(990).profile.age == 120
    platform.settle()
    assert platform.http.get("/users/990").json()["age"] == 120
