"""Who was told to have been assigned: a set of fixed size, and a line that is an `Assigned`."""

from __future__ import annotations

from datetime import UTC, datetime

from contracts.wire import Assigned
from gateway.assignments import Told, _line
from hypothesis import given
from hypothesis import strategies as st

NOW = datetime(2026, 11, 24, 10, tzinfo=UTC)


def test_what_was_told_is_known_and_what_was_not_is_not() -> None:
    told = Told(2**20)
    for user in range(1_000):
        told.add(("models", user, 0))
    assert all(("models", user, 0) in told for user in range(1_000))
    assert not any(("models", user, 1) in told for user in range(1_000))
    assert not any(("other", user, 0) in told for user in range(1_000))


def test_it_never_takes_more_than_its_bytes_and_forgets_the_longest_unused() -> None:
    told = Told(10_000)
    assert told.nbytes == 8_192
    told.add(("models", 7, 0))
    for user in range(100_000, 120_000):
        told.add(("models", user, 0))
        assert ("models", user, 0) in told
        assert ("models", 7, 0) in told  # asked for all the time
    remembered = sum(("models", user, 0) in told for user in range(100_000, 120_000))
    assert 900 < remembered <= 1_024


def test_a_million_users_fit_into_eight_megabytes() -> None:
    told = Told(8 * 2**20)
    for user in range(200, 200_200):
        told.add(("models", user, 0))
    assert sum(("models", user, 0) in told for user in range(200, 200_200)) > 199_000


@given(st.integers(0, 2**31 - 1), st.sampled_from(["control", "test"]), st.integers(0, 99))
def test_a_line_is_an_assignment(user: int, group: str, period: int) -> None:
    told = Assigned.model_validate_json(_line(user, "a-b-2", group, period, NOW))
    assert (told.user_id, told.group, told.weight_period, told.at) == (user, group, period, NOW)
    assert told.experiment == "a-b-2"
