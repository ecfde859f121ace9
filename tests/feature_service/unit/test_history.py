"""The cursor of a history."""

from __future__ import annotations

from datetime import datetime

import pytest
from chassis.errors import InvalidParameter
from feature_service.serving.history import parse_cursor
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    "cursor", ["nonsense", "2021-12-01T00:00:00", "2021-12-01+x", "2021-12-01+-3", "2021-12-01+9999999999", "+3", ""]
)
def test_a_cursor_of_somebody_elses_making_is_refused_by_name(cursor: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        parse_cursor(cursor)
    assert caught.value.field == "cursor"


@given(st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1)), st.integers(0, 10_000))
def test_a_cursor_comes_back_as_it_was_given(before: datetime, skip: int) -> None:
    assert parse_cursor(f"{before.isoformat()}+{skip}") == (before, skip)
    assert parse_cursor(f"{before.isoformat()} {skip}") == (before, skip), "a plus that a client did not escape"
