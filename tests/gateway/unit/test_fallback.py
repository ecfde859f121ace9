"""What the gateway falls back on: never a post that it knows to be hidden, never more than it may hold."""

from __future__ import annotations

import json

import pytest
from contracts.records import BadRecordError, Counts, Profile, pack_row
from contracts.wire import PopularPosts, Post
from gateway.fallback import Fallback, Instead
from gateway.recent import Recent
from gateway.row import Row, packed_ids, unpacked_ids

MEGABYTE = 2**20


def posts(*ids: int) -> list[Post]:
    return [Post(id=number, text=f"text {number}", topic="movie") for number in ids]


def row(*hidden: int, age: int | None = 30) -> Row:
    return Row.of(pack_row(Profile(age=age).pack(), Counts().pack(), packed_ids(*hidden)))


@pytest.fixture
def fallback() -> Fallback:
    made = Fallback(MEGABYTE)
    made.keep_popular(PopularPosts(overall=posts(1, 2, 3, 4), segments={"3": posts(11, 12, 1)}))
    return made


def ids(answer: Instead) -> tuple[str, list[int]]:
    return answer.source, list(answer.posts)


def keep_slate(fallback: Fallback, user_id: int, model: str, *posts_shown: int) -> None:
    fallback.keep_texts(posts(*posts_shown), fallback.texts_version)
    fallback.keep_slate(user_id, model, posts_shown)


def test_without_anything_else_what_is_popular(fallback: Fallback) -> None:
    assert ids(fallback.instead(7, "test", None, 3)) == ("popular", [1, 2, 3])


def test_with_a_known_row_what_is_popular_at_that_age_then_popular_each_once(fallback: Fallback) -> None:
    assert ids(fallback.instead(7, "test", row(12), 4)) == ("popular_in_segment", [11, 1, 2, 3])


def test_the_last_slate_first_filled_up_where_posts_were_liked_since(fallback: Fallback) -> None:
    keep_slate(fallback, 7, "test", 21, 22, 23)
    assert ids(fallback.instead(7, "test", row(22), 3)) == ("last_slate", [21, 23, 11])


def test_a_slate_is_of_one_user_and_one_model(fallback: Fallback) -> None:
    keep_slate(fallback, 7, "test", 21, 22, 23)
    assert ids(fallback.instead(8, "test", None, 1)) == ("popular", [1])
    assert ids(fallback.instead(7, "control", None, 1)) == ("popular", [1])


def test_without_a_row_what_was_hidden_lately_stays_hidden(fallback: Fallback) -> None:
    fallback.keep_row(7, row(1))
    fallback.keep_like(7, 3)
    assert ids(fallback.instead(7, "test", None, 5)) == ("popular", [2, 4])


def test_a_user_without_age_has_no_segment_of_its_own(fallback: Fallback) -> None:
    assert ids(fallback.instead(7, "test", row(age=None), 1)) == ("popular", [1])


def test_before_anything_is_known_there_is_nothing() -> None:
    assert Fallback(MEGABYTE).instead(7, "test", None, 5).posts == {}


def test_a_text_is_sure_until_any_has_changed_and_stands_in_all_the_same(fallback: Fallback) -> None:
    fallback.texts_version = "1.0"
    fallback.keep_texts(posts(21, 22), "1.0")
    assert fallback.unsure([22, 23, 21]) == [23]
    fallback.forget_text(21)
    assert fallback.unsure([22, 23, 21]) == [23, 21]
    fallback.texts_version = "1.1"
    assert fallback.unsure([22]) == [22]
    assert [json.loads(post)["text"] for post in fallback.texts([22, 23, 21]).values()] == ["text 22", "text 21"]


def test_a_text_that_was_asked_for_before_a_change_is_not_sure_after_it(fallback: Fallback) -> None:
    fallback.texts_version = "1.1"
    fallback.keep_texts(posts(21), "1.0")
    assert fallback.unsure([21]) == [21]


def test_what_was_put_first_goes_first_and_the_weight_is_kept() -> None:
    recent: Recent[str, bytes] = Recent(10, len)
    recent.put("a", b"xxxx")
    recent.put("b", b"xxxx")
    recent.put("a", b"xxxxx")
    recent.put("c", b"xxx")
    assert [recent.get(key) for key in "abc"] == [b"xxxxx", None, b"xxx"]
    assert recent.weight == 8


def test_a_million_texts_weigh_no_more_than_what_was_given() -> None:
    recent: Recent[int, bytes] = Recent(1_000, len)
    for key in range(2_000):
        recent.put(key, b"x" * (key % 50))
        assert recent.weight <= 1_000


def test_ids_survive_packing() -> None:
    assert unpacked_ids(packed_ids(0, 5, 2**31 - 1)) == [0, 5, 2**31 - 1]


@pytest.mark.parametrize("broken", [b"", b"\x01", pack_row(b"", b"", b"abc"), pack_row(b"", b"", b"")[:-1] + b"\x09"])
def test_bytes_that_are_no_row_are_refused(broken: bytes) -> None:
    with pytest.raises(BadRecordError):
        Row.of(broken)


def test_a_profile_of_another_version_has_no_segment() -> None:
    assert Row.of(pack_row(b"\x09" + Profile(age=30).pack()[1:], b"", b"")).segment is None
    assert Row.of(pack_row(b"\x01", b"", b"")).segment is None


def test_a_post_that_went_is_in_no_fallback_and_no_late_text_brings_it_back(fallback: Fallback) -> None:
    fallback.keep_texts(posts(21), "")
    fallback.keep_slate(7, "test", [21, 2])
    fallback.keep_gone(packed_ids(21, 1))
    fallback.keep_texts(posts(21), "")
    name, chosen, _ = fallback.instead(7, "test", None, 5)
    assert (name, list(chosen)) == ("popular", [2, 3, 4])
    fallback.keep_gone(b"")
    assert 1 not in fallback.instead(7, "test", None, 5).posts


def test_a_row_names_the_posts_that_went_and_is_what_it_was_without_any() -> None:
    assert pack_row(b"", b"", b"abcd", b"") == pack_row(b"", b"", b"abcd")
    assert unpacked_ids(Row.of(pack_row(b"", b"", b"", packed_ids(3, 4))).gone) == [3, 4]


def test_of_a_user_who_is_forgotten_neither_slates_nor_hidden_ids_are_left(fallback: Fallback) -> None:
    keep_slate(fallback, 7, "test", 21, 22, 23)
    fallback.keep_row(7, row(1))
    fallback.forget_user(7, ("control", "test"))
    assert ids(fallback.instead(7, "test", None, 2)) == ("popular", [1, 2])
