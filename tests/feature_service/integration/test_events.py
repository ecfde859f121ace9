"""Events: durable when accepted, hidden at once, counted once, and every odd one has a defined fate."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from contracts.catalogue import TICK_SECONDS, tick_of
from contracts.headers import TEXTS_VERSION
from contracts.wire import MAX_BATCH
from feature_service.keyspace.keys import DEAD_LETTERS, log_key, shard_of

from tests.support.platforms.feature_platform import SHARDS, FeaturePlatform, event, exposure, feature_platform


@pytest.fixture
def platform(postgres_url: str, redis_url: str) -> Iterator[FeaturePlatform]:
    with feature_platform(postgres_url, redis_url) as running:
        yield running


def test_a_like_hides_its_post_from_the_very_next_row(platform: FeaturePlatform) -> None:
    assert 25 not in platform.row(200).hidden
    assert platform.send(event("a", 200, 25, "like")).status_code == 202
    assert 25 in platform.row(200).hidden


def test_counts_of_user_and_post_follow_when_ingest_has_passed(platform: FeaturePlatform) -> None:
    before = platform.row(200).counts
    platform.send(event("a", 200, 25, "view"), event("b", 200, 25, "like"))
    platform.settle()
    after = platform.row(200).counts
    assert after.views.sum() == before.views.sum() + 1
    assert after.likes.sum() == before.likes.sum() + 1
    assert after.last_like_at >= before.last_like_at
    assert platform.count("feed_data", "user_id = 200 AND post_id = 25 AND action = 'view' AND target = 1") == 1


def test_the_same_event_twice_is_counted_once(platform: FeaturePlatform) -> None:
    before = platform.row(200).counts.views.sum()
    for _ in range(2):
        assert platform.send(event("a", 200, 25, "view"), event("a", 200, 25, "view")).status_code == 202
        platform.settle()
    assert platform.row(200).counts.views.sum() == before + 1
    assert platform.count("feed_data", "user_id = 200 AND post_id = 25") == 1


def test_two_users_may_use_the_same_key(platform: FeaturePlatform) -> None:
    platform.send(event("a", 200, 25, "view"), event("a", 201, 25, "view"))
    platform.settle()
    assert platform.count("feed_data", "post_id = 25") == 2


def test_an_unknown_post_is_kept_as_a_dead_letter_and_counted_nowhere(platform: FeaturePlatform) -> None:
    before = platform.state()
    platform.send(event("a", 200, 7777, "view"))
    platform.settle()
    assert platform.state() == before
    assert platform.count("event_ledger", "fate = 'unknown_post'") == 1
    letters = platform.client.hvals(DEAD_LETTERS)
    assert len(letters) == 1
    assert letters[0].startswith(b"unknown_post\n")


def test_a_post_can_be_viewed_right_after_it_was_published(platform: FeaturePlatform) -> None:
    assert platform.http.put("/posts/500", json={"text": "news", "topic": "science"}).status_code == 202
    platform.send(event("a", 200, 500, "view"))
    assert platform.http.get("/posts/500").json() == {"id": 500, "text": "news", "topic": "science"}
    platform.settle()
    catalogue = platform.catalogue()
    assert 500 in catalogue.post_id
    assert "science" in catalogue.topics
    assert platform.row(200).counts.views[list(catalogue.topics).index("science")] == 1


def test_an_event_that_overtakes_its_post_waits_for_it(platform: FeaturePlatform) -> None:
    platform.http.put("/posts/500", json={"text": "news", "topic": "science"})
    platform.send(event("a", 200, 500, "view"))
    shard = shard_of(200, SHARDS)
    assert platform.writer.write(shard) == 0
    platform.settle()
    assert platform.count("feed_data", "post_id = 500") == 1


def test_a_published_post_can_be_changed(platform: FeaturePlatform) -> None:
    platform.http.put("/posts/3", json={"text": "new text", "topic": "movie"})
    platform.settle()
    catalogue = platform.catalogue()
    assert platform.http.get("/posts/3").json()["text"] == "new text"
    assert catalogue.topics[catalogue.topic[list(catalogue.post_id).index(3)]] == "movie"
    assert (catalogue.post_id == 3).sum() == 1


def test_a_profile_is_seen_by_the_very_next_row_and_reaches_postgres(platform: FeaturePlatform) -> None:
    assert not platform.row(990).known
    assert platform.http.put("/users/990", json={"age": 33, "city": "Казань"}).status_code == 202
    assert platform.row(990).profile.age == 33
    platform.settle()
    assert platform.http.get("/users/990").json()["city"] == "Казань"


def test_a_timestamp_in_the_far_future_is_refused_by_name_and_nothing_is_kept(platform: FeaturePlatform) -> None:
    future = datetime.now(UTC) + timedelta(days=2)
    answer = platform.send(event("a", 200, 25, "view"), event("b", 200, 25, "like", future))
    assert answer.status_code == 422
    assert answer.json()["field"] == "events.1.timestamp"
    platform.settle()
    assert 25 not in platform.row(200).hidden
    assert platform.count("feed_data", "post_id = 25") == 0


def test_a_batch_of_ten_thousand_is_refused_by_name(platform: FeaturePlatform) -> None:
    answer = platform.send(*(event(str(number), 200, 1, "view") for number in range(10_000)))
    assert answer.status_code == 422
    assert "events" in answer.json()["field"]
    assert platform.send(*(event(str(number), 200, 1, "view") for number in range(MAX_BATCH))).status_code == 202


def test_a_late_event_counts_in_the_catalogue_at_the_next_tick(platform: FeaturePlatform) -> None:
    before = platform.catalogue()
    place = list(before.post_id).index(25)
    platform.send(event("a", 200, 25, "view", datetime(2021, 12, 1, tzinfo=UTC)))
    platform.settle()
    assert platform.catalogue().post_views[place] == before.post_views[place]
    platform.ingest.chores(datetime.now(UTC) + timedelta(hours=1))
    after = platform.catalogue()
    assert after.version > before.version
    assert after.post_views[place] == before.post_views[place] + 1
    assert after.first_view_at[place] == datetime(2021, 12, 1, tzinfo=UTC).timestamp()
    assert after.counted_until == before.counted_until


def test_the_clock_of_a_generation_of_an_earlier_version_is_its_tick(platform: FeaturePlatform) -> None:
    now = datetime.now(UTC)
    platform.client.delete(platform.keys.counted_until)
    platform.send(event("a", 200, 25, "view", datetime(2021, 12, 1, tzinfo=UTC)))
    platform.settle()
    platform.ingest.chores(now + timedelta(hours=1))
    assert platform.catalogue().counted_until == tick_of(now)


def test_the_catalogues_clock_stands_still_while_nothing_happens_and_goes_to_the_end_of_the_hour_of_an_event(
    platform: FeaturePlatform,
) -> None:
    now = datetime.now(UTC)
    before = platform.catalogue().counted_until
    platform.ingest.chores(now + timedelta(hours=30))
    assert platform.catalogue().counted_until == before < now.timestamp()
    platform.send(event("a", 200, 25, "view", now))
    platform.settle()
    platform.ingest.chores(now + timedelta(hours=31))
    assert platform.catalogue().counted_until == tick_of(now) + TICK_SECONDS
    platform.warm(now + timedelta(hours=31))
    assert platform.catalogue().counted_until == tick_of(now) + TICK_SECONDS


def test_an_event_of_the_open_hour_waits_for_the_tick(platform: FeaturePlatform) -> None:
    before = platform.catalogue()
    platform.send(event("a", 200, 25, "view"))
    platform.settle()
    platform.ingest.chores(datetime.now(UTC))
    assert (platform.catalogue().post_views == before.post_views).all()
    platform.ingest.chores(datetime.now(UTC) + timedelta(hours=1))
    assert platform.catalogue().post_views.sum() == before.post_views.sum() + 1


def test_a_poisoned_entry_is_put_aside_with_its_reason_and_the_rest_goes_on(platform: FeaturePlatform) -> None:
    platform.client.xadd(log_key(shard_of(200, SHARDS)), {"e": b"{broken"})
    platform.send(event("a", 200, 25, "view"))
    platform.settle()
    assert platform.count("feed_data", "post_id = 25") == 1
    assert any(letter.startswith(b"unreadable") for letter in platform.client.hvals(DEAD_LETTERS))


def test_an_exposure_is_recorded_once_however_often_it_is_sent(platform: FeaturePlatform) -> None:
    shown = exposure("x1", 200, [3, 1])
    assert [platform.http.post("/exposures", json=shown).status_code for _ in range(3)] == [202] * 3
    platform.settle()
    assert platform.count("exposures", "key = 'x1' AND exp_group = 'test'") == 1


def test_what_is_asked_at_once_is_answered_to_each_as_if_alone(platform: FeaturePlatform) -> None:
    """Rows are read, and exposures appended, in one round trip for all who wait; one of them may be nonsense."""
    users = [*range(200, 240), 999_999]
    alone = {user: platform.http.get(f"/users/{user}/row").content for user in users}
    shown = [exposure(f"at-once-{user}", user, [3, 1]) for user in users[:-1]]
    with ThreadPoolExecutor(16) as pool:
        rows = pool.map(lambda user: platform.http.get(f"/users/{user}/row").content, users)
        recorded = pool.map(lambda one: platform.http.post("/exposures", json=one).status_code, [*shown, {"key": ""}])
        assert list(rows) == list(alone.values())
        assert list(recorded) == [202] * len(shown) + [422]
    platform.settle()
    assert platform.count("exposures", "key LIKE 'at-once-%' AND key = 'at-once-' || user_id") == len(shown)


def test_a_text_that_was_published_changes_the_version_of_all_texts(platform: FeaturePlatform) -> None:
    before = platform.http.get("/running")
    published = {"text": "a new text", "topic": "movie"}
    assert platform.http.put("/posts/1", json=published).status_code == 202
    after = platform.http.get("/running", headers={"If-None-Match": before.headers["ETag"]})
    assert after.status_code == 304
    assert after.headers[TEXTS_VERSION] != before.headers[TEXTS_VERSION]
    assert platform.http.get("/running").headers[TEXTS_VERSION] == after.headers[TEXTS_VERSION]


def test_the_log_is_trimmed_below_what_everybody_has_read(platform: FeaturePlatform) -> None:
    platform.send(*(event(str(number), 200, 1, "view") for number in range(50)))
    platform.settle()
    platform.ingest.chores(datetime.now(UTC))
    assert platform.client.xlen(log_key(shard_of(200, SHARDS))) <= 1


def test_a_history_reads_newest_first_page_by_page(platform: FeaturePlatform) -> None:
    pages, cursor = [], None
    while True:
        params = {"limit": 7} | ({"cursor": cursor} if cursor else {})
        page = platform.http.get("/users/200/feed", params=params).json()
        pages += page["rows"]
        if (cursor := page.get("next_cursor")) is None:
            break
    assert len(pages) == platform.count("feed_data", "user_id = 200")
    assert [row["timestamp"] for row in pages] == sorted((row["timestamp"] for row in pages), reverse=True)
    assert platform.http.get("/users/200/feed", params={"cursor": "nonsense"}).json()["field"] == "cursor"


def test_who_is_not_there_is_not_found(platform: FeaturePlatform) -> None:
    assert platform.http.get("/users/99999").status_code == 404
    assert platform.http.get("/posts/99999").status_code == 404
    assert platform.http.get("/users/99999/feed").json()["rows"] == []


def test_a_user_takes_at_most_300_bytes(platform: FeaturePlatform) -> None:
    keys = platform.keys
    for user in range(200, 210):
        profile, counts = platform.client.mget([keys.profile(user), keys.user_counts(user)])
        assert profile is not None
        assert counts is not None
        assert len(profile) + len(counts) <= 300
