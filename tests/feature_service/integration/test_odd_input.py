"""What nobody should send, and what the order of things makes odd: each has a defined end, and ingest goes on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from contracts.wire import UserProfile
from feature_service.keyspace.keys import DEAD_LETTERS, POSTS_SHARD, log_key, shard_of
from feature_service.keyspace.posts import Posts
from feature_service.log.entries import Registered
from sqlalchemy import text

from tests.support.platforms.feature_platform import SHARDS, FeaturePlatform, event, exposure, feature_platform


@pytest.fixture
def platform(postgres_url: str, redis_url: str) -> Iterator[FeaturePlatform]:
    with feature_platform(postgres_url, redis_url) as running:
        yield running


def test_the_last_text_of_a_post_published_twice_stays(platform: FeaturePlatform) -> None:
    for words in ("first", "second"):
        platform.http.put("/posts/500", json={"text": words, "topic": "science"})
    platform.settle()
    assert platform.http.get("/posts/500").json()["text"] == "second"
    platform.warm()
    assert platform.http.get("/posts/500").json()["text"] == "second"


def test_ten_thousand_texts_come_in_the_order_asked_for(platform: FeaturePlatform) -> None:
    ids = [1 + number * 7 % 40 for number in range(10_000)]
    texts = platform.http.post("/posts", json={"ids": ids}).raise_for_status().json()["posts"]
    assert [post["id"] for post in texts] == [number for number in ids if number <= 30]


@pytest.mark.parametrize("moment", [datetime(1960, 1, 1, tzinfo=UTC), datetime(1, 1, 1, tzinfo=UTC)])
def test_a_timestamp_before_the_epoch_is_refused_by_name(platform: FeaturePlatform, moment: datetime) -> None:
    answer = platform.send(event("a", 200, 25, "view", moment))
    assert answer.status_code == 422
    assert answer.json()["field"] == "events.0.timestamp"


def test_imported_rows_of_impossible_times_do_not_stop_a_warm(platform: FeaturePlatform) -> None:
    with platform.engine.begin() as connection:
        for moment in (datetime(1950, 1, 1), datetime(2300, 1, 1)):
            connection.execute(text("INSERT INTO feed_data VALUES (:at, 200, 29, 'view', 0)"), {"at": moment})
    platform.warm()
    assert platform.row(200).counts.views.sum() == platform.count("feed_data", "user_id = 200 AND action = 'view'")


@pytest.mark.parametrize(
    ("call", "body", "field"),
    [
        ("/users/990", {"city": "a\0b"}, "city"),
        ("/posts/500", {"text": "a\0b", "topic": "movie"}, "text"),
    ],
)
def test_what_postgres_cannot_hold_is_refused_by_name(
    platform: FeaturePlatform, call: str, body: dict[str, object], field: str
) -> None:
    answer = platform.http.put(call, json=body)
    assert (answer.status_code, answer.json()["field"]) == (422, field)
    assert platform.send(event("a\0b", 200, 25, "view")).json()["field"] == "events.0.key"


def test_an_entry_that_postgres_refuses_is_put_aside_and_the_rest_goes_on(platform: FeaturePlatform) -> None:
    profile = UserProfile.model_construct(exp_group=254, age=130, city="Moscow")
    body = Registered.model_construct(user_id=990, profile=profile).model_dump_json()
    platform.client.xadd(log_key(shard_of(990, SHARDS)), {"e": body})
    with platform.engine.begin() as connection:
        connection.execute(text("ALTER TABLE user_data ADD CONSTRAINT young CHECK (age < 100)"))
    platform.send(event("a", 990, 25, "view"))
    platform.settle()
    assert platform.count("feed_data", "user_id = 990") == 1
    assert platform.count("user_data", "user_id = 990") == 0
    assert any(letter.startswith(b"refused") for letter in platform.client.hvals(DEAD_LETTERS))
    assert platform.row(990).counts.views.sum() == 1


def test_an_event_on_a_post_that_this_generation_lacks_so_far_catches_the_posts_up(platform: FeaturePlatform) -> None:
    """Another ingest owns the posts' shard and has written, but not applied, when this one comes to the event."""
    platform.http.put("/posts/500", json={"text": "news", "topic": "science"})
    platform.writer.write(POSTS_SHARD)
    platform.send(event("a", 200, 500, "view"))
    shard = shard_of(200, SHARDS)
    platform.writer.write(shard)
    platform.applier.apply(platform.keys, shard)
    assert 500 in Posts.read(platform.client, platform.keys).ids
    platform.settle()
    live = platform.state()
    platform.warm()
    assert platform.state() == live


def test_an_event_on_a_post_imported_after_the_warm_is_counted_by_the_next_one(platform: FeaturePlatform) -> None:
    with platform.engine.begin() as connection:
        connection.execute(text("INSERT INTO post_text_df VALUES (600, 'imported', 'movie')"))
    before = platform.row(200).counts.views.sum()
    platform.send(event("a", 200, 600, "view"), event("b", 200, 25, "view"))
    platform.settle()
    assert platform.row(200).counts.views.sum() == before + 1
    platform.warm()
    assert platform.row(200).counts.views.sum() == before + 2


def test_an_exposure_that_cannot_be_recorded_is_unavailable(platform: FeaturePlatform) -> None:
    shown = exposure("x1", 200, [3, 1])
    platform.client.config_set("maxmemory", "1mb")
    answer = platform.http.post("/exposures", json=shown)
    platform.client.config_set("maxmemory", "0")
    assert answer.status_code == 503
    assert "Retry-After" in answer.headers


def test_a_row_of_a_number_that_is_no_user_is_refused_by_name(platform: FeaturePlatform) -> None:
    for number in ("-1", str(2**31), "abc"):
        answer = platform.http.get(f"/users/{number}/row")
        assert (answer.status_code, answer.json()["field"]) == (422, "user_id")


def test_dead_letters_are_kept_up_to_a_bound_the_newest_stay(platform: FeaturePlatform) -> None:
    letters = {f"1:{number}-0": b"unknown_post\n{}" for number in range(1, 10_051)}
    platform.client.hset(DEAD_LETTERS, mapping=letters)
    platform.ingest.chores(datetime.now(UTC))
    assert platform.client.hlen(DEAD_LETTERS) == 10_000
    assert platform.client.hexists(DEAD_LETTERS, "1:10050-0")
    assert not platform.client.hexists(DEAD_LETTERS, "1:50-0")
