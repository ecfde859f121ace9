"""Entries of the event log: their order, their bytes, and what they do at once."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from contracts.records import Profile
from contracts.wire import Assigned, Event, PostContent, UserProfile
from feature_service.keyspace.posts import text_entry
from feature_service.log.entries import (
    Body,
    Effect,
    Entry,
    FeedEvent,
    Published,
    Registered,
    UserAssigned,
    effect_of,
    letter,
    lowest,
    order,
    parse,
)
from hypothesis import given
from hypothesis import strategies as st

positions = st.builds("{}-{}".format, st.integers(0, 2**50), st.integers(0, 2**20))
words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=60)
moments = st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
NOW = datetime(2026, 11, 24, 10, tzinfo=UTC)


@given(st.lists(positions, min_size=1))
def test_the_lowest_position_is_before_no_other(several: list[str]) -> None:
    assert all(order(lowest(several)) <= order(position) for position in several)


def test_positions_are_ordered_as_numbers_not_as_words() -> None:
    assert lowest(["10-0", "9-5", "9-10"]) == "9-5"


@given(words, st.integers(0, 2**31 - 1), st.integers(0, 2**31 - 1), st.sampled_from(["view", "like"]), moments)
def test_an_event_comes_out_of_the_log_as_it_went_in(key: str, user: int, post: int, action: str, at: datetime) -> None:
    event = Event.model_validate({"key": key, "user_id": user, "post_id": post, "action": action})
    body = FeedEvent(event=event, at=at)
    assert parse("1-0", body.model_dump_json().encode()).body == body


@given(st.integers(0, 130) | st.none(), words | st.none(), words)
def test_profiles_and_posts_come_out_of_the_log_as_they_went_in(age: int | None, city: str | None, topic: str) -> None:
    bodies = (
        Registered(user_id=200, profile=UserProfile(age=age, city=city)),
        Published(post_id=3, content=PostContent(text=topic, topic=topic)),
    )
    for body in bodies:
        assert parse("1-0", body.model_dump_json().encode()).body == body


@given(st.binary(max_size=80))
def test_bytes_that_are_no_entry_become_a_fault_not_an_error(raw: bytes) -> None:
    entry = parse("1-0", raw)
    assert entry.body is None
    assert entry.fault is not None
    assert letter(2, entry, entry.fault) == ("2:1-0", entry.fault.encode() + b"\n" + raw)


def test_an_entry_keeps_its_bytes() -> None:
    assert parse("1-0", b"x") == Entry("1-0", None, b"x", fault=parse("1-0", b"x").fault)


def _event(action: str) -> FeedEvent:
    event = {"key": "a", "user_id": 200, "post_id": 3, "action": action}
    return FeedEvent(event=Event.model_validate(event), at=NOW)


ASSIGNED = Assigned(experiment="models", user_id=200, group="test", weight_period=0, at=NOW)


@pytest.mark.parametrize(
    ("body", "effect"),
    [
        (_event("like"), ("hide", 200, b"\x03\0\0\0")),
        (_event("view"), ("", 0, b"")),
        (
            Registered(user_id=200, profile=UserProfile(age=30)),
            ("profile", 200, Profile.of(UserProfile(age=30)).pack()),
        ),
        (
            Published(post_id=3, content=PostContent(text="news", topic="covid")),
            ("text", 3, text_entry(3, "news", "covid")),
        ),
        (UserAssigned(assigned=ASSIGNED), ("", 0, b"")),
        (None, ("", 0, b"")),
    ],
)
def test_likes_profiles_and_texts_take_effect_at_once(body: Body | None, effect: Effect) -> None:
    assert effect_of(body) == effect
