"""What users liked last: sums by hand, offline as in a ranker, and a taste that follows where it moves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ranking.examples import Liked
from ranking.factors import Factors
from ranking.last_likes import LAST, ROWS_AT_ONCE, LastLikes, seconds_since

VECTORS = np.array([[1.0, 0.0], [0.0, 2.0], [4.0, 4.0]], np.float32)


def test_the_newest_like_counts_whole_and_the_one_before_it_half() -> None:
    likes = LastLikes(VECTORS, np.array([[2, 1, 0]]), np.zeros(1))
    faded = likes.faded(half_life=1.0)
    assert faded.sums.tolist() == [[4.0 + 0.25, 4.0 + 1.0]]
    assert (faded.weight[0], faded.square[0]) == (1.75, 1.0 + 0.25 + 0.0625)
    assert likes.faded(1.0, slice(1, None)).sums.tolist() == [[5.0]]


def test_a_user_without_likes_sums_up_to_nothing_and_has_no_taste() -> None:
    for likes in (LastLikes(VECTORS, np.full((1, 3), -1), np.full(1, np.inf)), LastLikes.none()):
        faded = likes.faded(10.0)
        assert not faded.sums.any()
        assert (faded.weight[0], faded.square[0]) == (0.0, 0.0)
    assert not factors().faded_taste(LastLikes(VECTORS, np.full((1, 3), -1), np.full(1, np.inf)).faded(10.0)).any()


def test_likes_of_many_users_end_where_each_row_begins() -> None:
    """Three users' likes in one array: rows as of none, one, and more than are looked at."""
    posts = np.arange(100) % 3
    start, count = np.array([0, 5, 5, 40]), np.array([2, 0, 1, 60])
    last = Liked(posts).last(start, count)
    assert last.shape == (4, LAST)
    assert last[0, :3].tolist() == [posts[1], posts[0], -1]
    assert (last[1] == -1).all()
    assert last[2, :2].tolist() == [posts[5], -1]
    assert last[3].tolist() == posts[99 : 99 - LAST : -1].tolist()
    assert Liked(np.zeros(0, np.int64)).last(np.zeros(2, np.int64), np.zeros(2, np.int64)).shape == (2, 0)


def test_more_rows_than_are_summed_at_once_get_what_each_gets_alone() -> None:
    rng = np.random.default_rng(1)
    posts = rng.integers(-1, 3, (ROWS_AT_ONCE + 10, 5))
    together = LastLikes(VECTORS, posts, np.zeros(len(posts))).faded(3.0).sums
    for row in (0, ROWS_AT_ONCE - 1, ROWS_AT_ONCE, ROWS_AT_ONCE + 9):
        alone = LastLikes(VECTORS, posts[[row]], np.zeros(1)).faded(3.0).sums
        np.testing.assert_allclose(together[row], alone[0])


def test_with_equal_weights_the_taste_is_that_of_all_likes() -> None:
    likes = LastLikes(VECTORS, np.array([[2, 1, 1, 0]]), np.zeros(1))
    every = VECTORS[[2, 1, 1, 0]].sum(axis=0)[None, :]
    whole = factors().taste(every, np.array([4.0]))
    np.testing.assert_allclose(factors().faded_taste(likes.faded(1e9)), whole, rtol=1e-6)


def test_a_taste_that_has_turned_shows_in_the_last_likes_before_it_shows_in_all() -> None:
    turned = np.array([[0] * 10 + [1] * 22])
    likes = LastLikes(np.array([[1.0], [-1.0]], np.float32), turned, np.zeros(1))
    recent = Factors.none(0, 0).faded_taste(likes.faded(5.0))[0, 0]
    of_all = Factors.none(0, 0).taste(np.array([[-12.0]], np.float32), np.array([32.0]))[0, 0]
    assert recent > 0 > of_all


def test_who_never_liked_anything_is_in_no_mood() -> None:
    since = seconds_since(np.array([0.0, 100.0, 900.0]), np.full(3, 400.0))
    assert since.tolist() == [np.inf, 300.0, 0.0]
    assert np.exp(-since / 1_800.0)[0] == pytest.approx(0.0)


def factors() -> Factors:
    none = Factors.none(2, 1)
    zeros = np.zeros((2, 2))
    return replace(none, constant=np.zeros(2), by_text=zeros, by_topic=zeros, spread=np.array([0.5, 2.0]))
