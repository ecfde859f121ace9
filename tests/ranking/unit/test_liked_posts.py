"""What a user liked before, and what says the same: in a ranker as in training, for one user as for many."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from ranking.copies import marks
from ranking.liked_posts import LikedPosts

TEXTS = ["Storm over the bay", "the BAY, over: storm!", "Storm over the sea", "", "!?"]
IDS = np.array([1, 2, 3, 40, 5_000_000_000])
OWN, SAID = 0, 1
VECTORS = marks(IDS, TEXTS)


def of_one_user(*liked: int) -> LikedPosts:
    return LikedPosts(VECTORS, np.array(liked, np.int64), np.zeros(1, np.int64), np.full(1, len(liked), np.int64))


def test_a_copy_has_the_same_words_in_any_order_and_case() -> None:
    assert of_one_user(0).have(VECTORS[:, SAID], SAID).tolist() == [True, True, False, False, False]


def test_the_very_post_is_told_from_its_copy() -> None:
    assert of_one_user(0, 4).have(VECTORS[:, OWN], OWN).tolist() == [True, False, False, False, True]


def test_texts_without_words_are_no_copies_of_each_other() -> None:
    assert not of_one_user(3).have(VECTORS[:, SAID], SAID).any()


def test_who_liked_nothing_liked_no_copy() -> None:
    assert not LikedPosts.none().have(VECTORS[:, SAID], SAID).any()


def test_marks_are_whole_numbers_that_a_float_holds() -> None:
    many = marks(np.arange(5_000), [f"word{number}" for number in range(5_000)])
    assert (many == many.astype(np.int64)).all()
    assert len(np.unique(many[:, SAID])) > 4_980


def test_a_copy_with_a_word_more_mostly_shares_a_mark_and_another_text_hardly_ever() -> None:
    rng = np.random.default_rng(0)
    ids = np.arange(200)
    texts = [" ".join(f"word{word}" for word in rng.choice(100, 50, replace=False)) for _ in ids]
    first, longer = (marks(ids, some)[:, SAID:] for some in (texts, [f"{text} via somebody" for text in texts]))
    assert (first == longer).any(axis=1).mean() > 0.85
    apart = first[:, None, :] == first[None, :, :]
    assert apart.any(axis=2)[~np.eye(len(ids), dtype=bool)].mean() < 0.001


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), max_size=12), st.data())
def test_rows_of_many_users_see_their_own_likes_before_them_alone(
    likes: list[tuple[int, int]], data: st.DataObject
) -> None:
    """likes: user and post, in order of time."""
    by_user = sorted(likes, key=lambda like: like[0])
    posts = np.array([post for _, post in by_user], np.int64)
    first = np.searchsorted([user for user, _ in by_user], np.arange(4)).astype(np.int64)
    total = np.bincount([user for user, _ in by_user], minlength=4)
    rows = data.draw(
        st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4), st.floats(0, 1)), min_size=2, max_size=20)
    )
    user, post = (np.array([row[place] for row in rows], np.int64) for place in (0, 1))
    count = np.array([int(share * total[one]) for one, _, share in rows], np.int64)
    for dimension in (OWN, SAID):
        together = LikedPosts(VECTORS, posts, first[user], count).have(VECTORS[post, dimension], dimension)
        for row in range(len(rows)):
            own = posts[first[user[row]] : first[user[row]] + count[row]]
            alone = of_one_user(*own).have(VECTORS[:, dimension], dimension)
            assert together[row] == alone[post[row]]
