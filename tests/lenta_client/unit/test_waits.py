"""When a call is tried again."""

from __future__ import annotations

import pytest
from lenta_client import Unavailable
from lenta_client.waits import FIRST_SECONDS, LONGEST_SECONDS, SPREAD, Waits

ERROR = Unavailable("down")


def test_waits_double_up_to_the_longest() -> None:
    waits = Waits(10_000, clock=lambda: 0.0, chance=lambda: 0.0)
    assert [waits.after(ERROR) for _ in range(4)] == [FIRST_SECONDS * 2**attempt for attempt in range(4)]
    assert [waits.after(ERROR) for _ in range(10)][-1] == LONGEST_SECONDS


def test_a_wait_is_never_shorter_than_the_gateway_asks_for() -> None:
    waits = Waits(100, clock=lambda: 0.0, chance=lambda: 1.0)
    assert waits.after(Unavailable("full", retry_after=7)) == 7 * (1 + SPREAD)


def test_a_wait_that_patience_would_not_survive_is_not_begun() -> None:
    waits = Waits(2, clock=lambda: 0.0, chance=lambda: 0.0)
    asked = Unavailable("full", retry_after=3)
    with pytest.raises(Unavailable) as raised:
        waits.after(asked)
    assert raised.value is asked


def test_patience_counts_the_time_that_attempts_take() -> None:
    now = [0.0]
    waits = Waits(2, clock=lambda: now[0], chance=lambda: 0.0)
    waits.after(ERROR)
    now[0] = 1.9
    with pytest.raises(Unavailable):
        waits.after(ERROR)
