"""A preview's likes change the row as events would, and nothing else."""

from __future__ import annotations

from contracts.records import RECENT_VIEWS, UserRow, pack_row
from ranking.trying import after_likes

from tests.support.data.toy_model import NOW, toy_catalogue, toy_row


def test_a_like_is_hidden_counted_in_its_topic_and_the_users_last_event() -> None:
    catalogue = toy_catalogue(300)
    row = UserRow.unpack(toy_row(1, catalogue))
    post = next(post for post in catalogue.post_id.tolist() if post not in row.hidden)
    topic = catalogue.topic[catalogue.index_of(catalogue.post_id[catalogue.post_id == post])[0]]
    after = after_likes(row, catalogue, [post, post], NOW)
    assert after.hidden.tolist() == [*row.hidden.tolist(), post]
    assert after.counts.likes[topic] == row.counts.likes[topic] + 1
    assert after.counts.likes.sum() == row.counts.likes.sum() + 1
    assert (after.counts.views - row.counts.views).sum() == 1
    assert (after.counts.last_like_at, after.counts.last_view_at) == (NOW, NOW)
    assert after.counts.recent[-1].tolist() == [NOW, post]
    assert len(after.counts.recent) <= RECENT_VIEWS


def test_what_is_unknown_or_liked_already_changes_nothing() -> None:
    catalogue = toy_catalogue(300)
    row = UserRow.unpack(toy_row(1, catalogue))
    assert after_likes(row, catalogue, [99_999, int(row.hidden[0])], NOW) is row


def test_a_stranger_who_likes_something_is_known() -> None:
    stranger = UserRow.unpack(pack_row(b"", b"", b""))
    after = after_likes(stranger, toy_catalogue(300), [5], NOW)
    assert (after.known, after.hidden.tolist(), int(after.counts.likes.sum())) == (True, [5], 1)
