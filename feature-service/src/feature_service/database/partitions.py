"""Monthly partitions of `feed_data`, made ahead. A row of a month without one goes to the default partition."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import Connection, text

DEFAULT = "feed_data_default"
PARTITIONS = "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'feed_data'::regclass"


def months(first: datetime, last: datetime) -> Iterator[datetime]:
    """The first moment of each month that [first, last] touches."""
    month = datetime(first.year, first.month, 1)  # noqa: DTZ001 - the tables hold UTC without zone
    while month <= last.replace(tzinfo=None):
        yield month
        month = _next_month(month)


def partition_name(month: datetime) -> str:
    return f"feed_data_{month.year:04}_{month.month:02}"


def creation(month: datetime) -> str:
    """SQL that makes a month's partition, of whose rows the default partition holds none."""
    bounds = f"FROM ('{month.date()}') TO ('{_next_month(month).date()}')"
    return f"CREATE TABLE {partition_name(month)} PARTITION OF feed_data FOR VALUES {bounds}"


def ensure_partitions(connection: Connection, first: datetime, last: datetime) -> None:
    """Makes the missing partitions for [first, last].

    Rows of such a month that the default partition already holds are moved into the new one.
    """
    have = {row.name for row in connection.execute(text(PARTITIONS))}
    for month in months(first, last):
        if (name := partition_name(month)) not in have:
            _make(connection, name, month, _next_month(month))


def _make(connection: Connection, name: str, start: datetime, end: datetime) -> None:
    bounds = {"start": start, "end": end}
    connection.execute(text(f"CREATE TABLE {name} (LIKE feed_data INCLUDING DEFAULTS)"))
    connection.execute(
        text(
            f"WITH moved AS (DELETE FROM feed_data_default WHERE timestamp >= :start AND timestamp < :end RETURNING *) "
            f"INSERT INTO {name} SELECT * FROM moved"
        ),
        bounds,
    )
    bounds_sql = f"FROM ('{start.date()}') TO ('{end.date()}')"
    connection.execute(text(f"ALTER TABLE feed_data ATTACH PARTITION {name} FOR VALUES {bounds_sql}"))


def _next_month(month: datetime) -> datetime:
    return month.replace(year=month.year + month.month // 12, month=month.month % 12 + 1)
