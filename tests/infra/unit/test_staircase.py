"""Where the knee is, of a platform that answers as the test says."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from tests.load.staircase import Staircase

SECONDS = 8.0


def climbed(answer: Callable[[int, float], tuple[float, str]]) -> Staircase:
    """answer: milliseconds and word, of so many users at that time; ten answers a second and user."""
    stairs, at = Staircase(SECONDS), 0.0
    while (users := stairs.users_at(at)) is not None:
        for number in range(users):
            stairs.answered(at + number / users / 10, *answer(users, at))
        at += 0.1
        assert at < 600, "no end"
    return stairs


def test_the_knee_is_the_last_step_that_is_quick_enough() -> None:
    stairs = climbed(lambda users, _: (20.0 if users <= 30 else 80.0, "own"))
    assert stairs.report.endswith("the knee: 29 users, 290 requests a second")
    assert [step.holds for step in stairs.steps[-3:]] == [True, False, False]
    assert all(later.users > former.users for former, later in pairwise(stairs.steps[:-1]))


def test_refused_and_stale_answers_end_it_too_however_quick() -> None:
    for word in ("refused", "instead"):
        stairs = climbed(lambda users, _, word=word: (1.0, "own" if users <= 15 else word))  # type: ignore[misc]
        assert stairs.report.endswith("the knee: 15 users, 150 requests a second")


def test_a_step_that_was_disturbed_once_is_tried_again() -> None:
    stairs = climbed(lambda users, at: (80.0 if users > 20 or 8.0 <= at < 16.0 else 5.0, "own"))
    assert [step.holds for step in stairs.steps[:3]] == [True, False, True]
    assert "no step holds" not in stairs.report


def test_where_nobody_is_answered_nothing_holds() -> None:
    stairs = Staircase(SECONDS)
    assert [stairs.users_at(at) is None for at in (0.0, 8.0, 16.0)] == [False, False, True]
    assert stairs.report.endswith("no step holds")
