"""What feature-service computes without a server: positions, bodies, cursors, settings, months."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from chassis.errors import InvalidParameter
from contracts.wire import Event, PostContent, UserProfile
from feature_service.database.partitions import months
from feature_service.keyspace.connection import REQUIRED, wrong_settings
from feature_service.keyspace.keys import Keys, all_shards, shard_of
from feature_service.log.entries import Entry, FeedEvent, Published, Registered, letter, lowest, order, parse
from feature_service.serving.history import parse_cursor
from feature_service.serving.store import MAX_AHEAD, timestamp_fault
from hypothesis import given
from hypothesis import strategies as st

RIGHT: dict[bytes | str, bytes | str] = {
    b"appendonly": b"yes",
    b"appendfsync": b"always",
    b"maxmemory-policy": b"noeviction",
}
NOW = datetime(2026, 11, 24, 10, tzinfo=UTC)
positions = st.builds("{}-{}".format, st.integers(0, 2**50), st.integers(0, 2**20))
words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=60)
moments = st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))


@given(st.lists(positions, min_size=1))
def test_the_lowest_position_is_before_no_other(found: list[str]) -> None:
    assert all(order(lowest(found)) <= order(position) for position in found)


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


@given(st.integers(0, 2**31 - 1), st.integers(1, 16))
def test_every_user_has_a_shard_and_posts_have_their_own(user: int, shards: int) -> None:
    assert shard_of(user, shards) in list(all_shards(shards))[1:]


def test_the_keys_of_one_generation_are_not_found_by_the_pattern_of_another() -> None:
    assert not Keys(10).catalogue.startswith(f"{Keys(1).prefix}:")


@pytest.mark.parametrize(
    "cursor", ["nonsense", "2021-12-01T00:00:00", "2021-12-01+x", "2021-12-01+-3", "2021-12-01+9999999999", "+3", ""]
)
def test_a_cursor_of_somebody_elses_making_is_refused_by_name(cursor: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        parse_cursor(cursor)
    assert caught.value.field == "cursor"


@given(st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1)), st.integers(0, 10_000))
def test_a_cursor_comes_back_as_it_was_given(before: datetime, skip: int) -> None:
    assert parse_cursor(f"{before.isoformat()}+{skip}") == (before, skip)
    assert parse_cursor(f"{before.isoformat()} {skip}") == (before, skip), "a plus that a client did not escape"


def test_the_platforms_own_redis_settings_are_right() -> None:
    assert wrong_settings(dict(RIGHT)) is None


@pytest.mark.parametrize("name", list(REQUIRED))
def test_each_wrong_redis_setting_is_named_with_its_right_value(name: str) -> None:
    fault = wrong_settings({**RIGHT, name.encode(): b"other"})
    assert fault is not None
    assert f"{name} is other, must be {REQUIRED[name]}" in fault


@pytest.mark.parametrize(
    ("at", "fault"),
    [
        (NOW + timedelta(seconds=300), None),
        (NOW + timedelta(seconds=301), "in the future"),
        (datetime(1970, 1, 1, tzinfo=UTC), "before 1970"),
        (datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC), None),
    ],
)
def test_a_timestamp_lies_between_the_epoch_and_five_minutes_from_now(at: datetime, fault: str | None) -> None:
    assert timestamp_fault(at, NOW + MAX_AHEAD) == fault


def test_months_run_over_the_end_of_a_year() -> None:
    found = list(months(datetime(2021, 11, 30, 23), datetime(2022, 1, 1)))
    assert found == [datetime(2021, 11, 1), datetime(2021, 12, 1), datetime(2022, 1, 1)]


def test_an_entry_keeps_its_bytes() -> None:
    assert parse("1-0", b"x") == Entry("1-0", None, b"x", fault=parse("1-0", b"x").fault)
