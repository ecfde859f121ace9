"""Whatever lies in the log, what stands behind it goes on; and an ingest that cannot go on ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from contracts.catalogue import TOPICS_MAX
from contracts.wire import Assigned, Event, Exposure, PostContent, Shadowed, UserProfile
from feature_service.keyspace.keys import POSTS_SHARD, all_shards, log_key, shard_of
from feature_service.log.dead_letters import list_dead_letters
from feature_service.log.entries import (
    Body,
    Exposed,
    FeedEvent,
    Published,
    Registered,
    ShadowAnswered,
    StreamLog,
    UserAssigned,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from tests.support.fuzz import FUZZ
from tests.support.platforms.feature_platform import SHARDS, USERS, FeaturePlatform, event, feature_platform

WATCHED = 990
"""A user whose events stand behind whatever else is in the log."""


@pytest.fixture
def platform(postgres_url: str, redis_url: str) -> Iterator[FeaturePlatform]:
    with feature_platform(postgres_url, redis_url) as running:
        yield running


numbers = st.integers(-(2**70), 2**70) | st.integers(0, 300) | st.sampled_from([2**31 - 1, 2**31, 2**32, 2**63])
reals = st.floats() | st.integers(0, 100)
words = st.text(max_size=20) | st.sampled_from(["", "a\0b", "x", "models", "\udcff", "x\ny"])
moments = st.datetimes(timezones=st.just(UTC) | st.none()).map(datetime.isoformat) | st.sampled_from(
    ["1970-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "2106-02-07T06:28:16Z", "x"]
)


groups = st.sampled_from(["control", "test"])


def _of(model: type[BaseModel]) -> st.SearchStrategy[dict[str, Any]]:
    """Its fields, each of them right or wild."""
    right: dict[str, st.SearchStrategy[Any]] = {
        "action": st.sampled_from(["view", "like"]),
        "group": groups,
    }
    right |= {"ranker": groups, "model": words, "posts": st.lists(numbers, max_size=5)}
    right |= dict.fromkeys(("timestamp", "at", "asked_for", "served_at"), moments)
    right |= dict.fromkeys(("user_id", "post_id", "weight_period", "age", "gender", "exp_group"), numbers)
    right |= {"took_ms": reals, "scores": st.lists(reals, max_size=3), "propensities": st.none()}
    right |= {"teams": st.none() | words, "mode": st.just("ab"), "likes": st.just([])}
    return st.fixed_dictionaries({name: right.get(name, words) for name in model.model_fields})


wild = st.one_of(
    st.fixed_dictionaries({"kind": st.just("event"), "event": _of(Event), "at": moments}),
    st.fixed_dictionaries({"kind": st.just("user"), "user_id": numbers, "profile": _of(UserProfile)}),
    st.fixed_dictionaries({"kind": st.just("post"), "post_id": numbers, "content": _of(PostContent)}),
    st.fixed_dictionaries({"kind": st.just("exposure"), "exposure": _of(Exposure)}),
    st.fixed_dictionaries({"kind": st.just("assignment"), "assigned": _of(Assigned)}),
    st.fixed_dictionaries({"kind": st.just("shadow"), "shadow": _of(Shadowed)}),
)
bodies = st.binary(max_size=60) | wild.map(lambda body: json.dumps(body).encode())

names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=60)
ids = st.integers(0, 40) | st.integers(0, 2**31 - 1)
times = st.datetimes(datetime(1970, 1, 1, 0, 0, 1), datetime(2105, 12, 31), timezones=st.just(UTC))
valid: st.SearchStrategy[Body] = st.one_of(
    st.builds(FeedEvent, event=st.builds(Event, key=names, user_id=ids, post_id=ids), at=times),
    st.builds(Registered, user_id=ids, profile=st.builds(UserProfile)),
    st.builds(Published, post_id=ids, content=st.builds(PostContent, text=names, topic=st.sampled_from("abcdefgh"))),
    st.builds(
        Exposed,
        exposure=st.builds(
            Exposure,
            key=names,
            user_id=ids,
            group=groups,
            ranker=groups,
            posts=st.lists(ids, max_size=5),
            asked_for=times,
            served_at=times,
        ),
    ),
    st.builds(UserAssigned, assigned=st.builds(Assigned, user_id=ids, group=groups, at=times)),
    st.builds(ShadowAnswered, shadow=st.builds(Shadowed, key=names, user_id=ids, ranker=groups)),
)
entries = st.tuples(
    st.sampled_from(all_shards(SHARDS)), bodies | valid.map(lambda body: body.model_dump_json().encode())
)


def _totals(platform: FeaturePlatform) -> tuple[list[int], dict[int, tuple[int, int]]]:
    """All posts; views and likes of each user, whatever topics their posts have had."""
    users = {user: platform.row(user).counts for user in (*range(41), *USERS, WATCHED)}
    totals = {user: (int(counts.views.sum()), int(counts.likes.sum())) for user, counts in users.items()}
    return sorted(platform.catalogue().post_id.tolist()), totals


def test_nothing_in_the_log_stops_what_stands_behind_it(platform: FeaturePlatform) -> None:
    sent = 0

    @settings(max_examples=15 * FUZZ, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(entries, min_size=1, max_size=40))
    def check(several: list[tuple[int, bytes]]) -> None:
        nonlocal sent
        for shard, body in several:
            platform.client.xadd(log_key(shard), {"e": body})
        assert platform.send(event(f"w{sent}", WATCHED, 25, "view")).status_code == 202
        assert platform.http.put(f"/posts/{1_000 + sent}", json={"text": "news", "topic": "movie"}).status_code == 202
        sent += 1
        platform.settle()
        assert platform.count("feed_data", f"user_id = {WATCHED} AND post_id = 25") >= sent
        assert platform.row(WATCHED).counts.views.sum() >= sent
        assert 999 + sent in platform.catalogue().post_id
        log = StreamLog(platform.client)
        assert [log.read(shard, platform.writer.offset(shard), 1) for shard in all_shards(SHARDS)] == [[]] * 3

    check()
    assert list_dead_letters(platform.client)
    live = _totals(platform)
    platform.warm()
    assert _totals(platform) == live


def test_an_entry_that_only_postgres_or_only_the_counts_cannot_hold_is_put_aside_with_the_reason(
    platform: FeaturePlatform,
) -> None:
    at = datetime(2021, 12, 2, tzinfo=UTC)
    name = "".join(chr(0x4E00 + number * 7 % 20_000) for number in range(9_000))
    long = Assigned(experiment=name, user_id=WATCHED, group="test", weight_period=0, at=at)
    platform.client.xadd(log_key(shard_of(WATCHED, SHARDS)), {"e": UserAssigned(assigned=long).model_dump_json()})
    platform.client.eval("for i = 1, 7997 do redis.call('RPUSH', KEYS[1], i) end", 1, platform.keys.topics)
    post = Published(post_id=500, content=PostContent(text="news", topic="one too many")).model_dump_json()
    platform.client.xadd(log_key(POSTS_SHARD), {"e": post})
    platform.send(event("a", WATCHED, 25, "view"))
    platform.http.put("/posts/501", json={"text": "news", "topic": "movie"}).raise_for_status()
    platform.settle()
    reasons = sorted(letter.reason for letter in list_dead_letters(platform.client))
    assert [reason.split(":")[0] for reason in reasons] == ["not counted", "refused"]
    assert "index row" in reasons[1]
    assert platform.row(WATCHED).counts.views.sum() == 1
    assert 501 in platform.catalogue().post_id
    assert 500 not in platform.catalogue().post_id
    assert len(platform.row(WATCHED).counts.views) == TOPICS_MAX == len(platform.catalogue().topics)


def test_a_topic_beyond_those_that_there_may_be_is_refused_and_nothing_of_it_is_kept(
    platform: FeaturePlatform,
) -> None:
    put = {"text": "news", "topic": "named"}
    with platform.serving(max_topics=4) as http:
        assert http.put("/posts/500", json=put).status_code == 202
        answer = http.put("/posts/501", json=put | {"topic": "beyond"})
        assert (answer.status_code, answer.json()["field"]) == (422, "topic")
        assert http.get("/posts/501").status_code == 404
        assert http.put("/posts/502", json=put).status_code == 202
        platform.settle()
        platform.warm()
        assert http.put("/posts/501", json=put | {"topic": "beyond"}).status_code == 422
        assert http.put("/posts/501", json=put | {"topic": "movie"}).status_code == 202


def test_a_log_of_big_posts_is_read_in_parts(platform: FeaturePlatform) -> None:
    for post in range(500, 700):
        body = Published(post_id=post, content=PostContent(text="я" * 100_000, topic="movie")).model_dump_json()
        platform.client.xadd(log_key(POSTS_SHARD), {"e": body})
    assert len(StreamLog(platform.client).read(POSTS_SHARD, "0-0", 2_000)) == 100
    platform.settle()
    assert platform.count("post_text_df", "id >= 500") == 200
    assert len(platform.catalogue().post_id) == 230


def test_an_ingest_that_cannot_go_on_ends_with_its_reason(platform: FeaturePlatform) -> None:
    platform.client.set(platform.keys.offset(shard_of(WATCHED, SHARDS)), "nowhere")
    platform.send(event("a", WATCHED, 25, "view"))
    environment = {
        "FEATURES_REDIS_URL": platform.redis_url,
        "FEATURES_POSTGRES_URL": platform.postgres_url,
        "FEATURES_SHARDS": str(SHARDS),
        "FEATURES_INGEST_HOST": "127.0.0.1",
        "FEATURES_INGEST_PORT": "0",
    }
    done = subprocess.run(
        [sys.executable, "-m", "feature_service.ingest"],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    last = json.loads((done.stdout + done.stderr).strip().splitlines()[-1])
    assert (last["event"], last["level"]) == ("ingest_died", "error")
    assert 'position.split("-")' in last["exception"]
