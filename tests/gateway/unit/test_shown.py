"""What a user was shown last is known for as many answers as a rule asks, and in bounded memory."""

from __future__ import annotations

from gateway.recent import ENTRY_BYTES
from gateway.row import unpacked_ids
from gateway.shown import ShownPosts


def latest(shown: ShownPosts, user_id: int, answers: int) -> list[int]:
    return unpacked_ids(shown.latest(user_id, answers))


def test_the_last_answers_are_known_newest_first() -> None:
    shown = ShownPosts(10_000)
    for posts in ([1, 2], [], [3], [4, 5]):
        shown.keep(7, posts, answers=3)
    assert latest(shown, 7, 1) == [4, 5]
    assert latest(shown, 7, 3) == latest(shown, 7, 9) == [4, 5, 3]
    assert latest(shown, 7, 0) == latest(shown, 8, 3) == []


def test_whom_nobody_asked_about_for_longest_gives_way() -> None:
    shown = ShownPosts(2 * (ENTRY_BYTES + 8))
    for user_id in (1, 2, 3):
        shown.keep(user_id, [user_id], answers=1)
    assert [latest(shown, user_id, 1) for user_id in (1, 2, 3)] == [[], [2], [3]]
