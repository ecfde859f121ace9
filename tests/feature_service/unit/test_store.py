"""Which timestamps of events are taken."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from feature_service.serving.store import MAX_AHEAD, timestamp_fault

NOW = datetime(2026, 11, 24, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("at", "fault"),
    [
        (NOW + timedelta(seconds=300), None),
        (NOW + timedelta(seconds=301), "in the future"),
        (datetime(1970, 1, 1, tzinfo=UTC), "before 1970"),
        (datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC), None),
    ],
)
def test_a_timestamp_lies_between_the_epoch_and_five_minutes_from_now(at: datetime, fault: str | None) -> None:
    assert timestamp_fault(at, NOW + MAX_AHEAD) == fault
