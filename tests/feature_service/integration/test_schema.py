"""The schema: the platform's own tables, and a feed that is partitioned by month."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import pytest
from feature_service.database.engine import connect
from feature_service.database.partitions import ensure_partitions
from feature_service.database.schema import migrate
from feature_service.database.tables import Table
from sqlalchemy import Connection, inspect, text


@pytest.fixture
def connection(postgres_url: str) -> Iterator[Connection]:
    engine = connect(postgres_url)
    with engine.connect() as opened:
        yield opened
    engine.dispose()


def test_the_migrated_tables_are_those_that_the_models_describe(connection: Connection) -> None:
    inspector = inspect(connection)
    for name, table in Table.metadata.tables.items():
        assert [column["name"] for column in inspector.get_columns(name)] == [column.name for column in table.columns]


def test_migrating_again_changes_nothing(postgres_url: str, connection: Connection) -> None:
    connection.execute(text("INSERT INTO user_data (user_id) VALUES (200)"))
    connection.commit()
    migrate(postgres_url)
    assert connection.execute(text("SELECT count(*) FROM user_data")).scalar_one() == 1


def test_rows_of_a_new_month_move_out_of_the_default_partition(connection: Connection) -> None:
    insert = text("INSERT INTO feed_data VALUES (:at, 200, 1, 'view', 0)")
    connection.execute(insert, {"at": datetime(2021, 10, 31, 23, 59, 59)})
    connection.execute(insert, {"at": datetime(2021, 11, 1)})
    ensure_partitions(connection, datetime(2021, 10, 5), datetime(2021, 11, 2))
    held = connection.execute(text("SELECT tableoid::regclass::text FROM feed_data ORDER BY timestamp")).scalars().all()
    assert held == ["feed_data_2021_10", "feed_data_2021_11"]
