"""As-of features against the plainest possible count of the same rows."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from contracts.catalogue import TICK_SECONDS, tick_of
from contracts.records import RECENT_VIEWS, Profile
from hypothesis import given, settings
from hypothesis import strategies as st
from pipeline.dataset import Batch, History, Requests, Tables, opened
from pipeline.dataset.feed import MICROSECONDS, microseconds

from tests.support.data.small_feed import START, TOPICS, Row, age_of, write_tables

USERS, POSTS, HOURS = 4, 6, 5
ALPHABETIC = sorted(TOPICS)

moments = st.integers(0, HOURS * 12).map(lambda step: step * 300.0)
"""Every five minutes, so that many things happen at once and on the hour."""
events = st.builds(
    Row,
    seconds=moments,
    user=st.integers(200, 199 + USERS + 1),
    post=st.integers(1, POSTS + 1),
    action=st.sampled_from(["view", "view", "like"]),
    target=st.sampled_from([0, 1, None]),
)


def meaning(row: Row) -> tuple[object, ...]:
    """Of rows that mean the same, one counts."""
    return row.seconds, row.user, row.post, row.action, row.action == "view" and row.target == 1


feeds = st.lists(events, max_size=60, unique_by=meaning)
some = st.lists(events, min_size=1, max_size=40, unique_by=meaning)
requests = st.tuples(st.integers(200, 199 + USERS + 2), st.integers(1, POSTS + 2), moments)


def ask(folder: Path, asked: list[tuple[int, int, float]], until: float | None = None) -> Batch:
    start = microseconds(START)
    users, posts, seconds = (np.array(column) for column in zip(*asked, strict=True))
    times = start + (seconds * MICROSECONDS).astype(np.int64)
    bound = None if until is None else START + timedelta(seconds=until)
    with opened(Tables.of_folder(folder), bound) as feed:
        history = History(feed)
        history.ask(Requests(users.astype(np.int64), posts.astype(np.int64), times))
        (batch,) = history.batches()
        return batch


def segment_of(user: int) -> str:
    return Profile(age=age_of(user) if user < 200 + USERS else None).segment


def counted(rows: list[Row], user: int, post: int, seconds: float) -> dict[str, float]:
    """By looking at every row."""
    epoch = START.timestamp()
    rows = [row for row in rows if row.post <= POSTS]
    own = [row for row in rows if row.user == user and row.seconds < seconds]
    past = [row for row in rows if epoch + row.seconds < tick_of(epoch + seconds)]
    topic = TOPICS[post % 3] if post <= POSTS else None
    mine = [row for row in own if TOPICS[row.post % 3] == topic]
    same = [row for row in past if TOPICS[row.post % 3] == topic]
    this = [row for row in past if row.post == post]
    of_topic, of_post = ([row for row in rows if segment_of(row.user) == segment_of(user)] for rows in (same, this))

    views = sorted((row for row in own if row.action == "view"), key=lambda row: (row.seconds, row.post))

    firsts = [
        min(epoch + row.seconds for row in same if row.action == "view" and row.post == post)
        for post in {row.post for row in same if row.action == "view"}
    ]

    def count(some: list[Row], action: str) -> float:
        return float(sum(row.action == action for row in some))

    def latest(action: str) -> float:
        return max((epoch + row.seconds for row in own if row.action == action), default=0.0)

    return {
        "user_views": count(own, "view"),
        "user_likes": count(own, "like"),
        "last_view_at": latest("view"),
        "last_like_at": latest("like"),
        "user_topic_views": count(mine, "view"),
        "user_topic_likes": count(mine, "like"),
        "seen": float(post in [row.post for row in views[-RECENT_VIEWS:]]),
        "topic": float(ALPHABETIC.index(topic)) if topic else -1.0,
        "topic_views": count(same, "view"),
        "topic_likes": count(same, "like"),
        "topic_posts": float(len(firsts)),
        "topic_first_views": float(sum(firsts)),
        "total_views": count(past, "view"),
        "total_likes": count(past, "like"),
        "post_views": count(this, "view"),
        "post_likes": count(this, "like"),
        "first_view_at": min((epoch + row.seconds for row in this if row.action == "view"), default=0.0),
        "segment_topic_views": count(of_topic, "view"),
        "segment_topic_likes": count(of_topic, "like"),
        "segment_views": count(of_post, "view"),
        "segment_likes": count(of_post, "like"),
        "counted_until": max((float(tick_of(epoch + row.seconds)) + TICK_SECONDS for row in past), default=0.0),
        "now": epoch + seconds,
    }


@given(feeds, st.lists(requests, min_size=1, max_size=25))
@settings(max_examples=15, deadline=None)
def test_every_count_is_what_a_look_at_every_row_gives(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Row], asked: list[tuple[int, int, float]]
) -> None:
    folder = write_tables(tmp_path_factory.mktemp("feed"), rows, USERS, POSTS)
    batch = ask(folder, asked)
    for place, (user, post, seconds) in enumerate(asked):
        result = {name: getattr(batch.pairs, name)[place] for name in counted(rows, user, post, seconds)}
        assert result == counted(rows, user, post, seconds), (user, post, seconds)
        liked = {row.post for row in rows if row.user == user and row.action == "like" and row.seconds < seconds}
        assert batch.liked[place] == len(liked - {POSTS + 1})


@given(some, st.lists(requests, min_size=1, max_size=10))
@settings(max_examples=6, deadline=None)
def test_the_sum_over_liked_posts_is_of_those_liked_before(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Row], asked: list[tuple[int, int, float]]
) -> None:
    folder = write_tables(tmp_path_factory.mktemp("feed"), rows, USERS, POSTS)
    batch = ask(folder, asked)
    one_hot = np.eye(POSTS, dtype=np.float32)
    with opened(Tables.of_folder(folder)) as feed:
        sums = feed.liked()[0].sums(one_hot, batch.liked_from, batch.liked)
    for place, (user, _, seconds) in enumerate(asked):
        liked = {row.post for row in rows if row.user == user and row.action == "like" and row.seconds < seconds}
        assert set(np.flatnonzero(sums[place]) + 1) == liked - {POSTS + 1}
        assert sums[place].max(initial=0) <= 1


@given(some, st.lists(requests, min_size=1, max_size=10), moments)
@settings(max_examples=6, deadline=None)
def test_no_row_at_or_after_until_is_read(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Row], asked: list[tuple[int, int, float]], until: float
) -> None:
    whole = write_tables(tmp_path_factory.mktemp("feed"), rows, USERS, POSTS)
    before = [row for row in rows if row.seconds < until]
    cut = write_tables(tmp_path_factory.mktemp("feed"), before, USERS, POSTS)
    np.testing.assert_array_equal(ask(whole, asked, until).features(), ask(cut, asked).features())


def test_answers_come_in_the_order_of_the_requests_whatever_the_chunk(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    rows = [Row(float(second), 200 + int(second) % 3, 1 + int(second) % POSTS, "view", 0) for second in range(500)]
    folder = write_tables(tmp_path, rows, USERS, POSTS)
    asked = Requests(
        rng.integers(200, 205, 100),
        rng.integers(1, POSTS + 2, 100),
        microseconds(START) + rng.integers(0, 2 * TICK_SECONDS, 100) * MICROSECONDS,
    )
    with opened(Tables.of_folder(folder)) as feed:
        history = History(feed)
        history.ask(asked)
        (whole,) = history.batches()
        parts = list(history.batches(chunk=7))
    np.testing.assert_array_equal(whole.user_id, asked.user_id)
    np.testing.assert_array_equal(np.vstack([part.features() for part in parts]), whole.features())


def test_a_user_without_profile_is_known_by_the_feed_alone(tmp_path: Path) -> None:
    folder = write_tables(tmp_path, [Row(0.0, 999, 1, "view", 0)], USERS, POSTS)
    batch = ask(folder, [(999, 2, 60.0)])
    assert np.isnan(batch.profile).all()
    assert batch.pairs.user_views[0] == 1
