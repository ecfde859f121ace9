"""Both clients against a real gateway: what they ask, send, retry and give up on."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from lenta_client import (
    AsyncLenta,
    Event,
    InvalidParameter,
    Lenta,
    NotFound,
    Profile,
    ServerError,
    Unauthorized,
    Unavailable,
)
from lenta_client.calls import MAX_BATCH
from lenta_client.options import Options
from starlette.responses import PlainTextResponse

from tests.support.fakes.gateway import served
from tests.support.platforms.gateway_stage import KEY, Stage, gateway_stage, until

IMPATIENT = Options(timeout=2.0, patience=0.3, event_patience=0.3, linger=0.02)
PATIENT = Options(timeout=2.0, patience=10.0, event_patience=10.0, linger=0.02)


@pytest.fixture(scope="module")
def shared() -> Iterator[Stage]:
    with gateway_stage() as stage:
        yield stage


@pytest.fixture
def stage(shared: Stage) -> Stage:
    """As new, but for what was recorded."""
    shared.features.seen.clear()
    shared.features.busy = 0
    return shared


@pytest.fixture
def url(stage: Stage) -> str:
    return str(stage.http.base_url)


def _view(post_id: int, **other: Any) -> Event:
    return Event(user_id=200, post_id=post_id, action="view", **other)


def _batches(stage: Stage) -> list[list[dict[str, Any]]]:
    return [json.loads(body)["events"] for body in stage.features.seen]


def test_an_answer_holds_what_the_gateway_said(stage: Stage, url: str) -> None:
    with Lenta(url) as lenta:
        answer = lenta.recommend(200, limit=3, time=datetime(2026, 1, 1, tzinfo=UTC))
    assert [post.text for post in answer.posts] == [f"text {post.id}" for post in answer.posts]
    assert len(answer.posts) == 3
    assert answer.model == f"{answer.group}@v1"
    assert answer.request_id == stage.features.exposures[-1].key
    assert (answer.degraded, answer.cold_start, answer.short) == ((), False, False)


def test_what_is_odd_about_an_answer_is_told(url: str) -> None:
    with Lenta(url) as lenta:
        assert lenta.recommend(10_000).cold_start
        answer = lenta.preview("test", 200, limit=40)
    assert (len(answer.posts), answer.short, answer.group) == (30, True, None)


def test_events_of_an_answer_name_it(stage: Stage, url: str) -> None:
    with Lenta(url, KEY) as lenta:
        answer = lenta.recommend(200)
        lenta.send(answer.view(answer.posts[0].id), answer.like(answer.posts[0].id))
        lenta.flush()
        view, like = _batches(stage)[0]
    assert (view["action"], like["action"]) == ("view", "like")
    assert view["request_id"] == like["request_id"] == answer.request_id
    assert view["user_id"] == 200


def test_an_event_goes_by_itself_within_its_linger(stage: Stage, url: str) -> None:
    with Lenta(url, KEY, PATIENT) as lenta:
        lenta.send(_view(1))
        until(lambda: len(stage.features.seen) == 1, seconds=5)
        lenta.send(_view(2))
        until(lambda: len(stage.features.seen) == 2, seconds=5)
    assert len(stage.features.seen) == 2


def test_thousands_of_events_go_in_order_in_batches_of_at_most_a_thousand(stage: Stage, url: str) -> None:
    with Lenta(url, KEY, PATIENT) as lenta:
        for post in range(3_500):
            lenta.send(_view(post))
    batches = _batches(stage)
    assert [event["post_id"] for batch in batches for event in batch] == list(range(3_500))
    assert max(len(batch) for batch in batches) <= MAX_BATCH
    assert len({event["key"] for batch in batches for event in batch}) == 3_500


def test_the_async_client_does_the_same(stage: Stage, url: str) -> None:
    async def play() -> None:
        async with AsyncLenta(url, KEY, PATIENT) as lenta:
            answers = await asyncio.gather(*(lenta.recommend(user) for user in range(20)))
            assert [answer.user_id for answer in answers] == list(range(20))
            assert (await lenta.preview("control", 1)).posts[0].id == 100
            await lenta.put_user(5, Profile(age=30))
            await lenta.put_post(6, "text", "art")
            assert (await lenta.user_feed(1)).next_cursor == "more"
            for post in range(2_500):
                lenta.send(_view(post))
            await lenta.flush()
            assert sum(len(batch) for batch in _batches_of_events(stage)) == 2_500
            lenta.send(_view(2_500))
        posts = [event["post_id"] for batch in _batches_of_events(stage) for event in batch]
        assert posts == list(range(2_501))

    asyncio.run(play())


def _batches_of_events(stage: Stage) -> list[list[dict[str, Any]]]:
    return [said["events"] for body in stage.features.seen if "events" in (said := json.loads(body))]


def test_histories_come_as_pages(url: str) -> None:
    with Lenta(url) as lenta:
        page = lenta.user_feed(1, limit=1)
    assert (page.rows[0].post_id, page.rows[0].action, page.next_cursor) == (2, "view", "more")
    assert page.rows[0].timestamp == datetime(2021, 12, 1, tzinfo=UTC)


def test_a_profile_and_a_post_are_put(stage: Stage, url: str) -> None:
    with Lenta(url, KEY) as lenta:
        lenta.put_user(5, Profile(age=30, city="Samara"))
        lenta.put_post(6, "A new post.", "sport")
        lenta.put_user(7, Profile(own={"plan": "pro", "logins": 3.0}))
        lenta.put_post(8, "Another.", "sport", {"author": "staff"})
    profile, post, *own = (json.loads(body) for body in stage.features.seen)
    assert profile == {"age": 30, "city": "Samara"}
    assert post == {"text": "A new post.", "topic": "sport"}
    assert [each["own"] for each in own] == [{"plan": "pro", "logins": 3.0}, {"author": "staff"}]


def test_a_post_ends_and_posts_and_users_go(stage: Stage, url: str) -> None:
    with Lenta(url, KEY) as lenta:
        lenta.put_post(6, "Today alone.", "sport", expires=datetime(2026, 12, 1, tzinfo=UTC))
        lenta.delete_post(6)
        lenta.delete_user(5)
    put, *deleted = stage.features.seen
    assert json.loads(put)["expires"] == "2026-12-01T00:00:00Z"
    assert deleted == [b"", b""]


def test_errors_name_the_field_and_the_request(url: str) -> None:
    with Lenta(url) as lenta:
        with pytest.raises(InvalidParameter, match=r"^limit: ") as raised:
            lenta.recommend(200, limit=101)
        assert raised.value.field == "limit"
        assert raised.value.request_id
        with pytest.raises(NotFound, match="no group 'nobody'"):
            lenta.preview("nobody", 1)


def test_without_a_key_events_stay_until_closing_says_so(stage: Stage, url: str) -> None:
    lenta = Lenta(url, "wrong", IMPATIENT)
    lenta.send(_view(1))
    with pytest.raises(Unauthorized, match="X-API-Key"):
        lenta.close()
    assert stage.features.seen == []


def test_a_busy_gateway_is_asked_again_when_it_says(stage: Stage, url: str) -> None:
    stage.features.busy = 1
    started = time.monotonic()
    with Lenta(url, KEY, Options(patience=10)) as lenta:
        lenta.put_post(1, "text", "art")
    assert time.monotonic() - started >= 1.0  # Retry-After: 1
    assert len(stage.features.seen) == 1


def test_a_gateway_that_asks_for_more_than_patience_is_given_up_on(stage: Stage, url: str) -> None:
    stage.features.busy = 2
    lenta = Lenta(url, KEY, Options(patience=0.3, event_patience=0.3, linger=60))
    started = time.monotonic()
    with pytest.raises(Unavailable, match="does not answer") as raised:
        lenta.put_post(1, "text", "art")
    assert time.monotonic() - started < 0.9
    assert raised.value.retry_after == 1.0
    lenta.send(_view(1))
    with pytest.raises(Unavailable):
        lenta.close()
    assert stage.features.seen == []


def test_a_caller_of_too_many_calls_comes_through_all_the_same() -> None:
    with gateway_stage(calls_per_second=1) as slow, Lenta(str(slow.http.base_url), KEY, PATIENT) as lenta:
        started = time.monotonic()
        users = [lenta.recommend(user).user_id for user in range(3)]
        assert users == [0, 1, 2]
        assert time.monotonic() - started >= 1.0  # two at once, then one a second


def test_a_closed_client_takes_no_event_that_nobody_would_send(url: str) -> None:
    with Lenta(url, KEY) as lenta:
        assert lenta.recommend(200).posts
    with pytest.raises(RuntimeError, match="closed"):
        lenta.send(_view(1))


def test_an_address_where_nobody_listens_is_named() -> None:
    with (
        Lenta("http://127.0.0.1:9", None, IMPATIENT) as lenta,
        pytest.raises(Unavailable, match=r"http://127\.0\.0\.1:9/? does not answer"),
    ):
        lenta.recommend(1)


def test_events_that_wait_go_once_the_gateway_is_back(stage: Stage, url: str) -> None:
    stage.features.busy = 1
    with Lenta(url, KEY, IMPATIENT) as lenta:
        lenta.send(_view(1))
        until(lambda: stage.features.busy == 0, seconds=5)
        assert stage.features.seen == []
        until(lambda: len(stage.features.seen) == 1, seconds=5)


def test_the_async_clients_events_that_wait_go_once_the_gateway_is_back(stage: Stage, url: str) -> None:
    async def play() -> None:
        stage.features.busy = 1
        async with AsyncLenta(url, KEY, IMPATIENT) as lenta:
            lenta.send(_view(1))
            await asyncio.to_thread(until, lambda: bool(stage.features.seen), 5)

    asyncio.run(play())
    assert [event["post_id"] for event in _batches(stage)[0]] == [1]


def test_a_page_of_something_else_is_not_taken_for_an_answer() -> None:
    with (
        served(PlainTextResponse("<html>Please log in</html>")) as url,
        Lenta(url, KEY, IMPATIENT) as lenta,
        pytest.raises(ServerError, match="not an answer of Lenta"),
    ):
        lenta.recommend(1)
