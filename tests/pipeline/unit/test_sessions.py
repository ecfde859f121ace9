"""HitRate@5 within sessions: what is asked and when, counted by hand; and what the oracle knows of a mood."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from pipeline.dataset.feed import MICROSECONDS, Feed, microseconds, opened
from pipeline.evaluation.ladder import POPULAR
from pipeline.evaluation.oracle import true_session_scores
from pipeline.evaluation.sessions import FIRST_VIEWS, SessionRequests, requests_in, session_ladder, session_scores
from pipeline.measures.accuracy import auc_by_user
from pipeline.tables.folder import Tables
from pipeline.world.simulation import simulate
from pipeline.world.spec import spec_of
from pipeline.world.truth import Truth

from tests.support.data.small_feed import START, Row, write_tables

MINUTE, HOUR = 60.0, 3_600.0
END = START + timedelta(days=2)


def views(user: int, at: float, count: int, post: int = 1, liked: frozenset[int] = frozenset()) -> list[Row]:
    """A view a minute of posts from `post` on; those of `liked` with a like 30 seconds later."""
    rows: list[Row] = []
    for number in range(count):
        second, own = at + number * MINUTE, post + number
        rows.append(Row(second, user, own, "view", int(own in liked)))
        if own in liked:
            rows.append(Row(second + 30.0, user, own, "like", None))
    return rows


@contextmanager
def requests_of(folder: Path, rows: list[Row], most: int = 10_000) -> Iterator[tuple[Feed, SessionRequests]]:
    write_tables(folder, rows, users=3, posts=60)
    with opened(Tables.of_folder(folder)) as feed:
        yield feed, requests_in(feed, START, END, most)


def by_request(requests: SessionRequests) -> list[list[int]]:
    return [requests.post_id[requests.request == number].tolist() for number in np.unique(requests.request)]


def test_a_session_is_asked_for_after_its_first_views_and_then_every_ten(tmp_path: Path) -> None:
    rows = views(200, 0.0, 22, liked=frozenset({2, 9})) + views(200, 5 * HOUR, 11, post=30)
    with requests_of(tmp_path, rows) as (_, requests):
        assert by_request(requests) == [list(range(6, 16)), list(range(16, 23)), list(range(35, 41))]
        assert requests.post_id[requests.liked].tolist() == [9]
        asked = [START + timedelta(seconds=at) for at in (5 * MINUTE, 15 * MINUTE, 5 * HOUR + 5 * MINUTE)]
        assert np.unique(requests.time).tolist() == [microseconds(moment) for moment in asked]
        course = requests.course
        assert course.post_id.tolist() == [*range(1, 23), *range(30, 41)]
        assert course.post_id[course.request < 0].tolist() == [*range(1, 6), *range(30, 35)]
        assert course.post_id[course.liked].tolist() == [2, 9]


def test_a_session_ends_with_half_an_hour_s_pause_and_a_request_needs_six_views_after_it(tmp_path: Path) -> None:
    just_within = [*views(200, 0.0, 6), *views(200, 5 * MINUTE + 30 * MINUTE, 5, post=10)]
    just_beyond = [*views(201, 0.0, 6), *views(201, 5 * MINUTE + 30 * MINUTE + 1, 5, post=10)]
    too_short = views(202, 0.0, FIRST_VIEWS + 5)
    with requests_of(tmp_path, just_within + just_beyond + too_short) as (_, requests):
        assert np.unique(requests.user_id).tolist() == [200]
        assert by_request(requests) == [[6, *range(10, 15)]]


def test_a_like_counts_for_what_is_viewed_after_the_request_even_when_it_comes_after_the_next_one(
    tmp_path: Path,
) -> None:
    """Post 15 is the last that the first request is judged by; its like comes when the second is judged."""
    rows = [*views(200, 0.0, 25), Row(7 * MINUTE + 5, 200, 3, "like", None), Row(16 * MINUTE, 200, 15, "like", None)]
    with requests_of(tmp_path, rows) as (_, requests):
        assert requests.post_id[requests.liked].tolist() == [15]
        assert 3 not in requests.post_id


def test_a_user_s_hits_are_the_share_of_their_requests(tmp_path: Path) -> None:
    """By scores that go with the post's id, so that the last five after each request are the best."""
    rows = views(200, 0.0, 15, liked=frozenset({14})) + views(200, 5 * HOUR, 15, post=30, liked=frozenset({36}))
    rows += views(201, 0.0, 15, liked=frozenset({12}))
    with requests_of(tmp_path, rows) as (_, requests):
        ladder = session_ladder(requests, {"by id": requests.post_id.astype(np.float64)})
        assert ladder is not None
        assert ladder.hits["by id"].tolist() == [0.5, 1.0]


def test_popularity_is_that_of_the_hour_before_the_request(tmp_path: Path) -> None:
    """Post 7 is liked by others an hour before the second session and not at all before the first."""
    rows = views(200, 0.0, 12) + views(200, 10 * HOUR, 12)
    rows += [row for at in range(40) for row in views(201, 8 * HOUR + at, 1, post=7, liked=frozenset({7}))]
    with requests_of(tmp_path, sorted(rows, key=lambda row: row.seconds)) as (feed, requests):
        popular = session_scores(feed, requests, {}, START, 0)[POPULAR]
        own = np.unique(requests.request[requests.user_id == 200])
        early, late = (popular[requests.request == number] for number in own)
        assert np.argmax(late) == by_request(requests)[1].index(7)
        assert np.ptp(early) < 1e-9 < np.ptp(late)


def test_as_many_sessions_are_judged_as_were_asked_for_and_none_where_none_is_long_enough(tmp_path: Path) -> None:
    rows = [row for hour in range(40) for row in views(200, hour * HOUR, 12)]
    with requests_of(tmp_path / "many", rows, most=10) as (_, requests):
        assert 3 <= len(np.unique(requests.request)) <= 20
    with requests_of(tmp_path / "none", views(200, 0.0, 9)) as (feed, requests):
        assert session_ladder(requests, session_scores(feed, requests, {}, START, 0)) is None


def test_the_oracle_knows_the_mood_that_the_session_s_likes_left(tmp_path: Path) -> None:
    with world_of(tmp_path, "momentum", users=600, posts=300) as (feed, requests):
        scores = true_session_scores(tmp_path, feed, requests)
    seconds = requests.time / MICROSECONDS
    calm = Truth.load(tmp_path).appeal(requests.user_id, requests.post_id, seconds)
    with_mood, without = (auc_by_user(values, requests.request, requests.liked).mean() for values in (scores, calm))
    assert with_mood > without + 0.005
    nothing_liked_yet = requests.request == requests.request.min()
    course = requests.course
    own = course.session == course.session[course.request == requests.request.min()][0]
    before = course.liked[own][:FIRST_VIEWS]
    assert np.allclose(scores[nothing_liked_yet], calm[nothing_liked_yet]) == (not before.any())


def test_the_oracle_leaves_out_copies_of_what_the_user_liked_before_the_request(tmp_path: Path) -> None:
    with world_of(tmp_path, "reposts", users=300, posts=300) as (feed, requests):
        again = np.isneginf(true_session_scores(tmp_path, feed, requests))
    assert 0.01 < again.mean() < 0.5
    assert requests.liked[again].mean() < 0.1 * requests.liked[~again].mean()


@contextmanager
def world_of(folder: Path, kind: str, users: int, posts: int) -> Iterator[tuple[Feed, SessionRequests]]:
    end = datetime(2026, 11, 24, tzinfo=UTC)
    simulate(replace(spec_of(kind), users=users, posts=posts), 3, end.date(), folder)
    with opened(Tables.of_folder(folder)) as feed:
        yield feed, requests_in(feed, end - timedelta(days=30), end)
