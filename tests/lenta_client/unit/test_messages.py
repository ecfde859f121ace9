"""What is wrong with an event is said when it is made, by field; what is right is what the gateway describes."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import MISSING, fields
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from gateway.app import create
from gateway.settings import Settings
from lenta_client import (
    Answer,
    Event,
    FeedRow,
    InvalidParameter,
    OutboxFull,
    Post,
    Profile,
    ServerError,
    Unavailable,
    calls,
)
from lenta_client.calls import MAX_BATCH, Call
from lenta_client.messages import MAX_ID, MAX_KEY
from lenta_client.outbox import Outbox

OPENAPI = create(
    Settings(features_url="http://features", control_url="http://control", test_url="http://test", api_keys="a")
).openapi()
SCHEMAS = OPENAPI["components"]["schemas"]
ALL_CALLS: list[Call[Any]] = [
    calls.recommend(200, 5, datetime(2026, 1, 1, tzinfo=UTC)),
    calls.preview("test", 200, 5, None),
    calls.user(200),
    calls.post(1),
    calls.user_feed(200, 10, "cursor"),
    calls.post_feed(1, 10, None),
    calls.put_user(200, Profile(age=30, own={"plan": "pro"})),
    calls.put_post(1, "text", "topic"),
    calls.put_post(1, "text", "topic", {"minutes": 3.0}, datetime(2026, 12, 1, tzinfo=UTC)),
    calls.delete_post(1),
    calls.delete_user(200),
    calls.events([Event(user_id=200, post_id=1, action="view")]),
]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("user_id", -1),
        ("user_id", MAX_ID + 1),
        ("user_id", "200"),
        ("post_id", True),
        ("post_id", 1.0),
        ("action", "share"),
        ("key", ""),
        ("key", "k" * (MAX_KEY + 1)),
        ("key", "a\0b"),
        ("request_id", ""),
        ("timestamp", datetime(2026, 1, 1)),
    ],
)
def test_an_event_that_would_be_refused_is_not_made(field: str, value: Any) -> None:
    good: dict[str, Any] = {"user_id": 200, "post_id": 1, "action": "view"}
    with pytest.raises(InvalidParameter, match=f"^{field}: ") as raised:
        Event(**good | {field: value})
    assert raised.value.field == field


def test_events_of_one_answer_name_it_and_have_keys_of_their_own() -> None:
    answer = Answer(200, (Post(1, "", "art"),), "test", "9f6c", "test@1", (), cold_start=False, short=False)
    view, like = answer.view(1), answer.like(1)
    assert (view.action, like.action) == ("view", "like")
    assert {view.request_id, like.request_id} == {"9f6c"}
    assert view.key != like.key
    assert (datetime.now(UTC) - view.timestamp).total_seconds() < 60


@pytest.mark.parametrize(
    ("ours", "theirs"), [(Event, "Event"), (Post, "Post"), (Profile, "UserProfile"), (FeedRow, "FeedRow")]
)
def test_a_message_has_the_fields_that_the_gateway_describes(ours: type[Any], theirs: str) -> None:
    schema = SCHEMAS[theirs]
    assert {column.name for column in fields(ours)} == set(schema["properties"])
    required = {each.name for each in fields(ours) if each.default is MISSING and each.default_factory is MISSING}
    assert required == set(schema.get("required", ())) - {"key"}  # which the client makes


def test_an_events_limits_are_those_that_the_gateway_describes() -> None:
    said = SCHEMAS["Event"]["properties"]
    assert (said["user_id"]["minimum"], said["user_id"]["maximum"]) == (0, MAX_ID)
    assert (said["key"]["minLength"], said["key"]["maxLength"]) == (1, MAX_KEY)
    assert said["action"]["enum"] == ["view", "like"]
    assert SCHEMAS["EventBatch"]["properties"]["events"]["maxItems"] == MAX_BATCH


@pytest.mark.parametrize("call", ALL_CALLS, ids=lambda call: f"{call.method} {call.path}")
def test_a_call_is_one_that_the_gateway_describes(call: Call[Any]) -> None:
    path = re.sub(r"/\d+", "/{id}", call.path)
    path = path.replace("/test/post/", "/{group}/post/")
    operation = OPENAPI["paths"][path][call.method.lower()]
    described = {each["name"] for each in operation.get("parameters", ()) if each["in"] == "query"}
    assert set(call.params) <= described
    assert ("requestBody" in operation) == (call.body is not None)


@pytest.mark.parametrize("call", [calls.user, calls.post, lambda each: calls.put_post(each, "", "art")])
def test_an_id_that_is_none_never_reaches_a_path(call: Callable[[Any], Call[Any]]) -> None:
    with pytest.raises(InvalidParameter, match=r"(user|post)_id: '1/feed' is not a whole number"):
        call("1/feed")


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("3", 3.0), ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0), ("soon", None), ("-1", None), (None, None)],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, seconds: float | None) -> None:
    headers = {} if header is None else {"Retry-After": header}
    response = httpx.Response(503, headers=headers, request=httpx.Request("GET", "http://gateway"))
    with pytest.raises(Unavailable) as raised:
        calls.user(1).answer(response)
    assert raised.value.retry_after == seconds


@pytest.mark.parametrize("body", [b"", b"[]", b'{"id": 1}', b"<html>", b'"text"', b"null"])
def test_an_answer_of_something_else_is_an_error_of_ours(body: bytes) -> None:
    response = httpx.Response(200, content=body, request=httpx.Request("GET", "http://gateway/post/1"))
    with pytest.raises(ServerError, match="http://gateway/post/1"):
        calls.post(1).answer(response)


def test_an_outbox_takes_all_or_none() -> None:
    outbox = Outbox(most=3)
    event = Event(user_id=1, post_id=1, action="view")
    outbox.add([event, event])
    with pytest.raises(OutboxFull, match="2 events wait"):
        outbox.add([event, event])
    assert len(outbox) == 2


def test_whatever_is_refused_the_others_stay_in_order() -> None:
    events = [Event(user_id=1, post_id=post, action="view") for post in range(30)]
    outbox = Outbox(most=100)
    outbox.add(events)
    rng = random.Random(1)
    for _ in range(20):
        place = rng.randrange(len(events))
        error = InvalidParameter("post_id", field=f"events.{place}.post_id")
        assert outbox.refused(error) is events.pop(place)
        assert outbox.batch() == events


@pytest.mark.parametrize("field", [None, "events", "events.7.key", "key"])
def test_an_error_that_names_no_event_of_the_batch_is_raised(field: str | None) -> None:
    outbox = Outbox(most=10)
    outbox.add([Event(user_id=1, post_id=1, action="view")])
    error = InvalidParameter("no", field=field)
    with pytest.raises(InvalidParameter) as raised:
        outbox.refused(error)
    assert raised.value is error
    assert len(outbox) == 1
