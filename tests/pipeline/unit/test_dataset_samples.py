"""Which rows are learned from and judged by, and feeds that nothing can be learned from."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from pipeline.dataset import History, Tables, opened
from pipeline.dataset.feed import microseconds, moment_of
from pipeline.dataset.samples import learn_from, training_requests, viewed_in
from pipeline.errors import LentaError

from tests.support.data.small_feed import START, Row, lively, write_tables


def views(user: int, posts: range, day: float, liked: int = 0) -> list[Row]:
    return [Row(day * 86_400 + post, user, post, "view", int(post == liked)) for post in posts]


def test_likes_are_never_examples(tmp_path: Path) -> None:
    rows = lively(np.random.default_rng(0), users=10, days=5)
    with opened(Tables.of_folder(write_tables(tmp_path, rows, 10, 40))) as feed:
        requests, clicked = training_requests(feed, 0, 10**9)
    assert len(requests.time) == sum(row.action == "view" for row in rows)
    assert clicked.sum() == sum(row.target == 1 for row in rows)
    assert (np.diff(requests.time) >= 0).all()


def test_a_sample_is_the_same_for_a_seed_and_spread_over_users(tmp_path: Path) -> None:
    rows = lively(np.random.default_rng(0), users=20, days=5)
    with opened(Tables.of_folder(write_tables(tmp_path, rows, 20, 40))) as feed:
        (one, _), (same, _), (other, _) = (training_requests(feed, seed, 600) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.time, same.time)
    assert not np.array_equal(one.time, other.time)
    assert 480 < len(one.time) < 720
    assert len(np.unique(one.user_id)) == 20


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([], "^feed_data has no rows: nothing"),
        ([Row(1.0, 200, 77, "view", 1)], "^no post of feed_data is in post_text_df"),
        ([Row(1.0, 200, 1, "like", None)], "likes but no views"),
        ([Row(1.0, 200, 1, "view", 0)], "no view in feed_data was liked"),
        ([Row(1.0, 200, 1, "view", 1)], "every view in feed_data was liked"),
    ],
)
def test_a_feed_that_teaches_nothing_is_refused_with_the_cause(tmp_path: Path, rows: list[Row], reason: str) -> None:
    with (
        opened(Tables.of_folder(write_tables(tmp_path, rows, 3, 3))) as feed,
        pytest.raises(LentaError, match=reason),
    ):
        learn_from(History(feed), *training_requests(feed, 0, 100))


def test_a_feed_that_begins_later_is_refused_with_the_moment_that_was_asked_for(tmp_path: Path) -> None:
    tables = Tables.of_folder(write_tables(tmp_path, [Row(1.0, 200, 1, "view", 1)], 3, 3))
    with opened(tables, START) as feed, pytest.raises(LentaError, match="no rows before 2026-03-01 00:00"):
        training_requests(feed, 0, 100)


def test_a_sample_without_likes_is_drawn_and_not_taken_for_the_whole_feed(tmp_path: Path) -> None:
    rows = [Row(float(second), 200, 1, "view", int(second == 7)) for second in range(2_000)]
    with opened(Tables.of_folder(write_tables(tmp_path, rows, 3, 3))) as feed:
        requests, clicked = training_requests(feed, 0, 20)
        assert 5 < len(clicked) < 40
        with pytest.raises(LentaError, match=f"no view in {len(clicked)} drawn from feed_data was liked"):
            learn_from(History(feed), requests, clicked)


def test_a_sample_too_small_to_hold_a_view_says_so(tmp_path: Path) -> None:
    rows = [Row(float(second), 200, 1, "view", 0) for second in range(2_000)]
    with opened(Tables.of_folder(write_tables(tmp_path, rows, 3, 3))) as feed:
        many = replace(feed, views=10**9)
        with pytest.raises(LentaError, match="1 of 1,000,000,000 views are so few that none was drawn"):
            training_requests(many, 0, 1)


def test_a_window_holds_the_distinct_posts_of_users_with_six_views(tmp_path: Path) -> None:
    rows = [*views(200, range(1, 7), 2.0, liked=3), *views(200, range(1, 3), 3.0), *views(201, range(1, 6), 2.0)]
    rows += [*views(202, range(1, 9), 1.0), Row(2.5 * 86_400, 200, 5, "like", None), Row(0.0, 200, 6, "like", None)]
    with opened(Tables.of_folder(write_tables(tmp_path, rows, 3, 9))) as feed:
        viewed = viewed_in(feed, START + timedelta(days=2), START + timedelta(days=4))
    assert viewed.user_id.tolist() == [200] * 6
    assert viewed.post_id.tolist() == [1, 2, 3, 4, 5, 6]
    assert viewed.liked.tolist() == [False, False, True, False, True, False]


def test_a_dump_with_post_id_text_timestamps_and_target_0_of_likes_reads_alike(tmp_path: Path) -> None:
    (tmp_path / "user_data.csv").write_text(
        "age,city,country,exp_group,gender,user_id,os,source\n21,,Russia,4,0,200,iOS,ads\n"
    )
    (tmp_path / "post_text_df.csv").write_text('post_id,text,topic\n2,"one, two",tech\n1,,covid\n')
    (tmp_path / "feed_data.csv").write_text(
        "timestamp,user_id,post_id,action,target\n2021-10-20 11:08:10,200,2,view,1\n"
        "2021-10-20 11:08:20,200,2,like,0\n2021-10-20 11:09:10,200,1,view,0\n2021-10-20 11:09:11,200,77,view,0\n"
    )
    with opened(Tables.of_folder(tmp_path)) as feed:
        assert (feed.rows, feed.views, feed.posts.topics, feed.posts.texts) == (
            3,
            2,
            ["covid", "tech"],
            ["", "one, two"],
        )
        assert training_requests(feed, 0, 100)[1].tolist() == [1.0, 0.0]
        assert (feed.first.isoformat(), feed.people.plain[0].tolist()) == (
            "2021-10-20T11:08:10+00:00",
            [21.0, 0.0, 4.0],
        )


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(LentaError, match="has no user_data"):
        Tables.of_folder(tmp_path)


def test_microseconds_there_and_back_are_exact() -> None:
    moment = START + timedelta(days=3, microseconds=123_457)
    assert moment_of(microseconds(moment)) == moment
