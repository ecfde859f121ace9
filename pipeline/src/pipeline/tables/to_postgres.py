"""From files into Postgres: checked first, then copied as Arrow batches, the three tables in one transaction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import adbc_driver_postgresql.dbapi
import duckdb
import pyarrow as pa
from chassis.progress import OnProgress, silent
from contracts.catalogue import TOPICS_MAX
from feature_service.database.own import DECLARE, DECLARED, added, declaration_of
from feature_service.database.partitions import DEFAULT, PARTITIONS, creation, partition_name
from feature_service.database.tables import Table
from sqlalchemy import Dialect
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex

from pipeline.errors import LentaError
from pipeline.tables.export import check_export, restore_others
from pipeline.tables.files import BATCH_ROWS, OWN, TableFiles, before, opened
from pipeline.tables.formats import FEED, FORMATS, POSTS, USERS, TableFormat
from pipeline.tables.mapping import PLAIN, TableMapping

INDEX_MEMORY = "256MB"
MONTHS_MAX = 120
"""Partitions of one feed; older rows share the default one. Every query locks each partition and its indexes, and
Postgres has some thousands of locks for all."""
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
    rows_left_out: int = 0
    """Of the feed, by the mapping."""


def import_tables(
    folder: Path,
    postgres_url: str,
    until: datetime | None = None,
    on_progress: OnProgress = silent,
    now: datetime | None = None,
    mapping: TableMapping = PLAIN,
    everything: bool = False,
) -> ImportReport:
    """Replaces the three tables by the folder's, or changes nothing. Rows from `until` on stay out.

    everything: the folder is an export, and its other tables come along, into a platform that has answered nobody.

    now: real time if not given; no row may be later than a day from then.
    Raises LentaError naming file, line and column; every file is checked before anything is loaded.
    """
    now = now or datetime.now(UTC)
    if everything:
        check_export(folder)
    with opened(now) as database:
        try:
            users, posts, feed = (TableFiles(database, table, folder, mapping) for table in FORMATS)
            counts = {file.table.name: file.check() for file in (users, posts, feed)}
            _make_views(database, users, posts, feed, until, everything)
            _check_topics(database, posts)
            report = replace(_report(database, counts), rows_left_out=feed.left_out())
            _copy_all(database, postgres_url, report, now, on_progress, mapping, folder if everything else None)
        except duckdb.Error as error:
            raise LentaError(f"{folder} could not be read: {str(error).splitlines()[0]}") from error
    return report


def _check_topics(database: duckdb.DuckDBPyConnection, posts: TableFiles) -> None:
    (topics,) = database.execute("SELECT count(DISTINCT topic) FROM loaded_post_text_df").fetchall()[0]
    if topics > TOPICS_MAX:
        raise LentaError(f"{posts.shown}, column topic: {topics} topics; there may be {TOPICS_MAX}")


def _make_views(
    database: duckdb.DuckDBPyConnection,
    users: TableFiles,
    posts: TableFiles,
    feed: TableFiles,
    until: datetime | None,
    as_they_are: bool,
) -> None:
    """`loaded_<table>`: the rows as Postgres gets them. as_they_are: an export's feed, equal rows included."""
    rows = feed.select() if as_they_are else feed.rows()
    for file in (users, posts):
        database.execute(f"CREATE TEMP TABLE loaded_{file.table.name} AS {file.rows()}")
    database.execute("UPDATE loaded_post_text_df SET text = '' WHERE text IS NULL")
    database.execute(
        "SET preserve_insertion_order = false"
    )  # which of equal feed rows stays is all one, and it takes memory
    database.execute(f"CREATE TEMP TABLE loaded_feed_data AS SELECT * FROM ({rows}) WHERE {before(until)}")
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


def _copy_all(
    database: duckdb.DuckDBPyConnection,
    postgres_url: str,
    report: ImportReport,
    now: datetime,
    on_progress: OnProgress,
    mapping: TableMapping,
    export: Path | None,
) -> None:
    """The feed first, which takes the longest: the other tables can be read for as long.

    export: whose other tables come along.
    """
    copy = _Copy(database, report.users + report.posts + report.feed_rows, on_progress)
    try:
        with adbc_driver_postgresql.dbapi.connect(postgres_url) as connection, connection.cursor() as cursor:
            _copy_feed(copy, cursor, now)
            declare(cursor, mapping)
            _copy_entities(copy, cursor, POSTS, "post_own", "id AS post_id")
            _copy_entities(copy, cursor, USERS, "user_own", "user_id")
            if export is not None:
                copy.table = "the export"
                restore_others(cursor, export)
            connection.commit()
            cursor.execute("ANALYZE user_data, post_text_df, feed_data")
            connection.commit()
    except adbc_driver_postgresql.dbapi.Error as error:  # a connection that closes rolls back what it did not commit
        raise LentaError(f"{copy.table} could not be loaded into Postgres: {str(error).splitlines()[0]}") from error


def _copy_entities(
    copy: _Copy, cursor: adbc_driver_postgresql.dbapi.Cursor, table: TableFormat, own: str, key: str
) -> None:
    """Users or posts. own: the table of their own columns; key: of theirs, as that table calls it."""
    copy.table = table.name
    cursor.execute(f"TRUNCATE {table.name}, {own}")
    copy.into(cursor, table.name, f"SELECT * EXCLUDE ({OWN}) FROM loaded_{table.name}")
    copy.into(cursor, own, f"SELECT {key}, {OWN} FROM loaded_{table.name} WHERE {OWN} IS NOT NULL")


def declare(cursor: adbc_driver_postgresql.dbapi.Cursor, mapping: TableMapping) -> None:
    """Appends the mapping's own columns to those that are declared. Raises LentaError for one of another kind."""
    cursor.execute(DECLARED)
    before = declaration_of(cursor.fetchall())
    try:
        after = before.with_more(mapping.own)
    except ValueError as error:
        raise mapping.fault("own", str(error)) from error
    for row in added(before, after):
        cursor.execute(DECLARE, row)


def _copy_feed(copy: _Copy, cursor: adbc_driver_postgresql.dbapi.Cursor, now: datetime) -> None:
    """Month by month straight into its partition, without indexes; these are built afterwards, at once."""
    indexes = sorted(Table.metadata.tables[FEED.name].indexes, key=lambda index: str(index.name))
    cursor.execute("TRUNCATE feed_data")
    cursor.execute(f"DROP INDEX {', '.join(str(index.name) for index in indexes)}")
    query = "SELECT DISTINCT date_trunc('month', timestamp)::TIMESTAMP FROM loaded_feed_data ORDER BY 1 DESC"
    months = [month for (month,) in copy.database.execute(query).fetchall()]
    _make_partitions(cursor, months[:MONTHS_MAX], now)
    for month in months[:MONTHS_MAX]:
        copy.into(cursor, partition_name(month), f"SELECT * FROM loaded_feed_data WHERE {_is_of(month)}")
    if older := months[MONTHS_MAX:]:
        among = " OR ".join(_is_of(month) for month in older)
        copy.into(cursor, DEFAULT, f"SELECT * FROM loaded_feed_data WHERE {among}")
    cursor.execute(f"SET LOCAL maintenance_work_mem = '{INDEX_MEMORY}'")
    for index in indexes:
        cursor.execute(str(CreateIndex(index).compile(dialect=DIALECT)))


def _is_of(month: datetime) -> str:
    return f"date_trunc('month', timestamp) = TIMESTAMP '{month}'"


def _make_partitions(cursor: adbc_driver_postgresql.dbapi.Cursor, months: Sequence[datetime], now: datetime) -> None:
    """Those of the months, which hold rows; of others only this month's and the coming ones, which are empty."""
    cursor.execute(PARTITIONS)
    have = {str(name) for (name,) in cursor.fetchall()} - {DEFAULT}
    needed = {partition_name(month): month for month in months}
    if useless := sorted(name for name in have - needed.keys() if name < partition_name(now)):
        cursor.execute(f"DROP TABLE {', '.join(useless)}")
    for name in sorted(needed.keys() - have):
        cursor.execute(creation(needed[name]))


@dataclass
class _Copy:
    """Copies query results, and reports progress out of `total` rows. table: which is being loaded, for an error."""

    database: duckdb.DuckDBPyConnection
    total: int
    on_progress: OnProgress
    done: int = 0
    table: str = FEED.name

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
