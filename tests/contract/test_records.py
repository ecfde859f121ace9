"""What travels as bytes comes back as it was, and bytes that are something else are refused."""

from __future__ import annotations

from contextlib import suppress
from random import Random

import numpy as np
import pytest
from contracts.catalogue import Catalogue, tick_of
from contracts.features import SCHEMA, schema_id
from contracts.records import (
    RECENT_VIEWS,
    BadRecordError,
    Counts,
    IntArray,
    Profile,
    UserRow,
    code,
    latest,
    pack_row,
    segments_of,
)
from contracts.vocabulary import Vocabulary
from contracts.wire import Event
from hypothesis import given
from hypothesis import strategies as st

small = st.none() | st.integers(0, 254)
codes = st.integers(0, 2**31 - 1)
profiles = st.builds(
    Profile, age=small, gender=small, exp_group=small, os=codes, source=codes, country=codes, city=codes
)
uint32 = st.integers(0, 2**32 - 1)
rows = st.lists(st.tuples(uint32, uint32), max_size=20)


@given(profiles)
def test_a_profile_survives_packing(profile: Profile) -> None:
    assert Profile.unpack(profile.pack()) == profile


@given(profiles, uint32, uint32, rows, st.lists(uint32, max_size=50), rows)
def test_a_row_survives_packing(
    profile: Profile,
    last_view: int,
    last_like: int,
    topics: list[tuple[int, int]],
    hidden: list[int],
    viewed: list[tuple[int, int]],
) -> None:
    views, likes = (np.array([pair[place] for pair in topics], np.uint32) for place in (0, 1))
    recent = latest(np.array(viewed, np.uint32).reshape(-1, 2))
    counts = Counts(last_view, last_like, views, likes, recent)
    row = UserRow.unpack(pack_row(profile.pack(), counts.pack(), np.array(hidden, "<u4").tobytes()))
    assert row.profile == profile
    assert (row.counts.last_view_at, row.counts.last_like_at) == (last_view, last_like)
    assert row.counts.views.tolist() == views.tolist()
    assert row.counts.likes.tolist() == likes.tolist()
    assert [tuple(view) for view in row.counts.recent.tolist()] == sorted(viewed)[-RECENT_VIEWS:]
    assert row.hidden.tolist() == hidden
    assert row.known


@given(st.lists(rows, max_size=6), st.randoms())
def test_the_last_views_are_the_same_in_whatever_order_and_batches_they_come(
    batches: list[list[tuple[int, int]]], random: Random
) -> None:
    def kept(batches: list[list[tuple[int, int]]]) -> bytes:
        recent: IntArray = np.zeros((0, 2), np.uint32)
        for batch in batches:
            recent = latest(np.vstack([recent, np.array(batch, np.uint32).reshape(-1, 2)]))
        return recent.tobytes()

    shuffled = [view for batch in batches for view in batch]
    random.shuffle(shuffled)
    assert kept(batches) == kept([shuffled])


def test_profile_and_counts_of_seven_topics_take_at_most_300_bytes() -> None:
    views = np.ones(7, np.uint32)
    counts = Counts(1, 1, views, views, np.ones((RECENT_VIEWS, 2), np.uint32))
    assert len(Profile().pack()) + len(counts.pack()) <= 300


@given(st.binary(max_size=100))
def test_bytes_that_are_no_row_are_refused_or_read_whole(data: bytes) -> None:
    with suppress(BadRecordError):
        assert UserRow.unpack(data).known in (True, False)


def test_an_empty_row_is_of_nobody() -> None:
    row = UserRow.unpack(pack_row(b"", b"", b""))
    assert not row.known
    assert row.profile == Profile()
    assert row.counts.over(3).views.tolist() == [0, 0, 0]


def test_a_record_of_another_version_is_refused_by_number() -> None:
    broken = b"\x09" + Profile().pack()[1:]
    with pytest.raises(BadRecordError, match="version 9"):
        Profile.unpack(broken)


def test_a_catalogue_survives_packing_and_finds_its_posts() -> None:
    catalogue = Catalogue(
        version=7,
        counted_until=3_600,
        topics=np.array(["a", "б"], np.str_),
        post_id=np.array([5, 3, 900], np.int64),
        topic=np.array([0, 1, 1], np.int16),
        first_view_at=np.array([0, 1, 2], np.int64),
        segment_views=np.array([[1, 0], [2, 0], [1, 2]], np.uint32),
        segment_likes=np.array([[0, 0], [1, 0], [0, 1]], np.uint32),
    )
    back = Catalogue.unpack(catalogue.pack())
    assert (back.version, back.counted_until) == (7, 3_600)
    assert back.topics.tolist() == ["a", "б"]
    assert back.index_of(np.array([900, 4, 5])).tolist() == [2, -1, 0]
    assert back.post_views.tolist() == [1, 2, 3]
    assert back.topic_views.tolist() == [1, 5]
    assert back.segment_topic_likes.tolist() == [[0, 0], [1, 1]]
    assert back.only(slice(1, 3)).topic_views.tolist() == [0, 5]
    with pytest.raises(BadRecordError, match="not a catalogue"):
        Catalogue.unpack(catalogue.pack()[:100])


def test_the_schema_is_append_only() -> None:
    """Of a new feature's commit the second line is changed, the first never."""
    assert schema_id(SCHEMA[:20]) == "030c1c5ef878f29f"
    assert schema_id() == "3b414ac58e40d78c"


@given(st.none() | st.integers(0, 254))
def test_a_profile_is_of_the_segment_that_training_puts_it_in(age: int | None) -> None:
    profile = Profile(age=age)
    assert segments_of(np.array([np.nan if age is None else float(age)])).tolist() == [profile.segment_index]
    assert (profile.segment == "unknown") == (age is None)


def test_segments_end_where_the_age_bands_do() -> None:
    assert segments_of(np.array([14.0, 17.0, 18.0, 44.0, 45.0, 90.0, np.nan])).tolist() == [0, 0, 1, 4, 5, 5, 6]


def test_codes_are_stable_and_zero_means_missing() -> None:
    assert code("Moscow") == code("Moscow") != code("moscow")
    assert code(None) == 0


def test_ranks_follow_frequency_and_know_what_is_new() -> None:
    columns = {name: np.array([7, 7, 5, 0]) for name in ("os", "source", "country", "city")}
    ranks = Vocabulary.of(columns).ranks("city", np.array([7, 5, 99, 0]))
    assert ranks[:3].tolist() == [0.0, 1.0, 2.0]
    assert np.isnan(ranks[3])


def test_a_tick_is_the_last_full_hour() -> None:
    assert tick_of(7_199.9) == 3_600


def test_a_time_without_zone_is_utc() -> None:
    event = Event.model_validate_json(
        '{"key":"a","user_id":1,"post_id":2,"action":"view","timestamp":"2021-12-01 10:00:00"}'
    )
    assert event.timestamp is not None
    assert event.timestamp.isoformat() == "2021-12-01T10:00:00+00:00"
