"""The months of feed_data's partitions."""

from __future__ import annotations

from datetime import datetime

from feature_service.database.partitions import months


def test_months_run_over_the_end_of_a_year() -> None:
    touched = list(months(datetime(2021, 11, 30, 23), datetime(2022, 1, 1)))
    assert touched == [datetime(2021, 11, 1), datetime(2021, 12, 1), datetime(2022, 1, 1)]
