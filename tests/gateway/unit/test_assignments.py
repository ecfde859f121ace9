"""Whose assignment was reported: a set of fixed size, and a line that is an `Assigned`."""

from __future__ import annotations

from datetime import UTC, datetime

from contracts.wire import Assigned
from gateway.assignments import RecentlyReported, _line
from hypothesis import given
from hypothesis import strategies as st

NOW = datetime(2026, 11, 24, 10, tzinfo=UTC)


def test_what_was_reported_is_known_and_what_was_not_is_not() -> None:
    reported = RecentlyReported(2**20)
    for user in range(1_000):
        reported.add(("models", user, 0))
    assert all(("models", user, 0) in reported for user in range(1_000))
    assert not any(("models", user, 1) in reported for user in range(1_000))
    assert not any(("other", user, 0) in reported for user in range(1_000))


def test_it_never_takes_more_than_its_bytes_and_forgets_the_longest_unused() -> None:
    reported = RecentlyReported(10_000)
    assert reported.nbytes == 8_192
    reported.add(("models", 7, 0))
    for user in range(100_000, 120_000):
        reported.add(("models", user, 0))
        assert ("models", user, 0) in reported
        assert ("models", 7, 0) in reported  # asked for all the time
    remembered = sum(("models", user, 0) in reported for user in range(100_000, 120_000))
    assert 900 < remembered <= 1_024


def test_a_million_users_fit_into_eight_megabytes() -> None:
    reported = RecentlyReported(8 * 2**20)
    for user in range(200, 200_200):
        reported.add(("models", user, 0))
    assert sum(("models", user, 0) in reported for user in range(200, 200_200)) > 199_000


@given(st.integers(0, 2**31 - 1), st.sampled_from(["control", "test"]), st.integers(0, 99))
def test_a_line_is_an_assignment(user: int, group: str, period: int) -> None:
    reported = Assigned.model_validate_json(_line(user, "a-b-2", group, period, NOW))
    assert (reported.user_id, reported.group, reported.weight_period, reported.at) == (user, group, period, NOW)
    assert reported.experiment == "a-b-2"
