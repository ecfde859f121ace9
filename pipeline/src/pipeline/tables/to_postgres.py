"""From files into Postgres: checked first, then copied as Arrow batches, one transaction per table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import adbc_driver_postgresql.dbapi
import duckdb
import pyarrow as pa
from chassis.progress import OnProgress, silent
from feature_service.database.engine import connect
from feature_service.database.partitions import ensure_partitions, partition_name
from feature_service.database.tables import Table
from sqlalchemy import Dialect
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex

from pipeline.errors import LentaError
from pipeline.tables.files import BATCH_ROWS, TableFile, before, opened
from pipeline.tables.formats import FEED, FORMATS, POSTS, USERS

INDEX_MEMORY = "256MB"
DIALECT: Dialect = postgresql.dialect()  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What was found and what was loaded."""

    users: int
    posts: int
    feed_rows: int
    first: datetime | None
    last: datetime | None
    duplicate_users: int
    duplicate_posts: int
    duplicate_rows: int
    withheld_rows: int
    users_without_profile: int
    profiles_without_feed: int
    rows_of_unknown_posts: int


def import_tables(
    folder: Path, postgres_url: str, until: datetime | None = None, on_progress: OnProgress = silent
) -> ImportReport:
    """Replaces the three tables by the folder's. Rows from `until` on stay out.

    Raises LentaError naming file, line and column; every file is checked before anything is loaded.
    """
    with opened() as database:
        users, posts, feed = (TableFile(database, table, folder) for table in FORMATS)
        counts = {file.table.name: file.check() for file in (users, posts, feed)}
        _make_views(database, users, posts, feed, until)
        report = _report(database, counts)
        if report.first is not None and report.last is not None:
            _make_partitions(postgres_url, report.first, report.last)
        _copy_all(database, postgres_url, report, on_progress)
    return report


def _make_views(
    database: duckdb.DuckDBPyConnection, users: TableFile, posts: TableFile, feed: TableFile, until: datetime | None
) -> None:
    """`loaded_<table>`: the rows as Postgres gets them."""
    for file in (users, posts):
        database.execute(f"CREATE TEMP TABLE loaded_{file.table.name} AS {file.rows()}")
    database.execute("UPDATE loaded_post_text_df SET text = '' WHERE text IS NULL")
    database.execute(
        "SET preserve_insertion_order = false"
    )  # which of equal feed rows stays is all one, and it takes memory
    database.execute(f"CREATE TEMP TABLE loaded_feed_data AS SELECT * FROM ({feed.rows()}) WHERE {before(until)}")
    database.execute(
        f"CREATE TEMP TABLE withheld AS SELECT count(*) AS n FROM ({feed.select()}) WHERE NOT ({before(until)})"
    )


def _report(database: duckdb.DuckDBPyConnection, counts: dict[str, int]) -> ImportReport:
    def one(query: str) -> int:
        return int(database.execute(query).fetchall()[0][0])

    first, last = database.execute("SELECT min(timestamp), max(timestamp) FROM loaded_feed_data").fetchall()[0]
    loaded = {table.name: one(f"SELECT count(*) FROM loaded_{table.name}") for table in (USERS, POSTS, FEED)}
    withheld = one("SELECT n FROM withheld")
    return ImportReport(
        users=loaded["user_data"],
        posts=loaded["post_text_df"],
        feed_rows=loaded["feed_data"],
        first=first and first.replace(tzinfo=UTC),
        last=last and last.replace(tzinfo=UTC),
        duplicate_users=counts["user_data"] - loaded["user_data"],
        duplicate_posts=counts["post_text_df"] - loaded["post_text_df"],
        duplicate_rows=counts["feed_data"] - withheld - loaded["feed_data"],
        withheld_rows=withheld,
        users_without_profile=one(
            "SELECT count(DISTINCT user_id) FROM loaded_feed_data ANTI JOIN loaded_user_data USING (user_id)"
        ),
        profiles_without_feed=one("SELECT count(*) FROM loaded_user_data ANTI JOIN loaded_feed_data USING (user_id)"),
        rows_of_unknown_posts=one(
            "SELECT count(*) FROM loaded_feed_data ANTI JOIN loaded_post_text_df ON id = post_id"
        ),
    )


def _make_partitions(postgres_url: str, first: datetime, last: datetime) -> None:
    engine = connect(postgres_url, connect_seconds=10)
    try:
        with engine.begin() as connection:
            ensure_partitions(connection, first.replace(tzinfo=None), last.replace(tzinfo=None))
    finally:
        engine.dispose()


def _copy_all(
    database: duckdb.DuckDBPyConnection, postgres_url: str, report: ImportReport, on_progress: OnProgress
) -> None:
    copy = _Copy(database, report.users + report.posts + report.feed_rows, on_progress)
    with adbc_driver_postgresql.dbapi.connect(postgres_url) as connection:
        for table in FORMATS:
            try:
                with connection.cursor() as cursor:
                    if table is FEED:
                        _copy_feed(copy, cursor)
                    else:
                        cursor.execute(f"TRUNCATE {table.name}")
                        copy.into(cursor, table.name, f"SELECT * FROM loaded_{table.name}")
                connection.commit()
            except adbc_driver_postgresql.dbapi.Error as error:
                connection.rollback()
                raise LentaError(
                    f"{table.name} could not be loaded into Postgres: {str(error).splitlines()[0]}"
                ) from error
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE user_data, post_text_df, feed_data")
        connection.commit()


def _copy_feed(copy: _Copy, cursor: adbc_driver_postgresql.dbapi.Cursor) -> None:
    """Month by month straight into its partition, without indexes; these are built afterwards, at once."""
    indexes = sorted(Table.metadata.tables[FEED.name].indexes, key=lambda index: str(index.name))
    cursor.execute("TRUNCATE feed_data")
    cursor.execute(f"DROP INDEX {', '.join(str(index.name) for index in indexes)}")
    months = copy.database.execute("SELECT DISTINCT date_trunc('month', timestamp) FROM loaded_feed_data ORDER BY 1")
    for (month,) in months.fetchall():
        query = f"SELECT * FROM loaded_feed_data WHERE date_trunc('month', timestamp) = TIMESTAMP '{month:%Y-%m-%d}'"
        copy.into(cursor, partition_name(month), query)
    cursor.execute(f"SET LOCAL maintenance_work_mem = '{INDEX_MEMORY}'")
    for index in indexes:
        cursor.execute(str(CreateIndex(index).compile(dialect=DIALECT)))


@dataclass
class _Copy:
    """Copies query results, and reports progress out of `total` rows."""

    database: duckdb.DuckDBPyConnection
    total: int
    on_progress: OnProgress
    done: int = 0

    def into(self, cursor: adbc_driver_postgresql.dbapi.Cursor, table: str, query: str) -> None:
        reader = self.database.sql(query).to_arrow_reader(BATCH_ROWS)
        cursor.adbc_ingest(
            table, pa.RecordBatchReader.from_batches(reader.schema, self._counted(reader)), mode="append"
        )

    def _counted(self, reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
        for batch in reader:
            yield batch
            self.done += batch.num_rows
            self.on_progress(self.done, self.total)
