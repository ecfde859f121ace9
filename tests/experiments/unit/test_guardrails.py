"""A guardrail holds, is breached, or isn't clear yet."""

from __future__ import annotations

import pytest
from experiments.effects import Interval
from experiments.guardrails import Limit, State, state

UP, DOWN = Limit(0.05, worse="up"), Limit(-0.02, worse="down")


@pytest.mark.parametrize(
    ("low", "high", "limit", "expected"),
    [
        (-0.01, 0.04, UP, "holds"),
        (0.01, 0.05, UP, "holds"),
        (0.07, 0.15, UP, "breached"),
        (0.01, 0.09, UP, "unclear"),
        (-0.01, 0.30, DOWN, "holds"),
        (-0.05, 0.01, DOWN, "unclear"),
        (-0.05, -0.03, DOWN, "breached"),
    ],
)
def test_its_whole_interval_is_held_against_the_limit(low: float, high: float, limit: Limit, expected: State) -> None:
    assert state(Interval((low + high) / 2, low, high, 0.95), limit) == expected


def test_no_interval_is_unclear() -> None:
    assert state(None, UP) == "unclear"


def test_a_limit_is_a_number() -> None:
    with pytest.raises(ValueError, match="number"):
        Limit(float("nan"), worse="up")
