"""Rows out of a team's own Postgres: those that came or changed since the last time, by a column that says when.

The watermark of a query is the highest value of that column that was appended. It moves once its rows are durable in
the log: a sync that dies reads some of them again, and these are known by then. Each sync begins `late` before it, so
that a row which is written with an earlier time than rows that were read is seen if it comes no later than that. Rows
of equal times are never split by it: they are read again, too.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from chassis.errors import invalid_parameter_from
from chassis.progress import OnProgress, silent
from contracts.wire import Message
from feature_service.database.engine import connect, naive
from pydantic import Field, ValidationError
from sqlalchemy import Connection, Engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from pipeline.errors import LentaError
from pipeline.tables.append import Appending, Row, Where
from pipeline.tables.formats import FEED, POSTS, USERS, TableFormat

LATE = timedelta(minutes=10)
CURSOR_ROWS = 1_000
_READ = text("SELECT watermark FROM sync_watermarks WHERE source = :source AND query = :query")
_WRITE = text(
    "INSERT INTO sync_watermarks (source, query, watermark) VALUES (:source, :query, :watermark) "
    "ON CONFLICT (source, query) DO UPDATE SET watermark = greatest(sync_watermarks.watermark, excluded.watermark)"
)


class Query(Message):
    """query: SQL whose columns are called as the table's. watermark: which of its columns says when a row came or
    changed last, a time."""

    query: str = Field(min_length=1)
    watermark: str = Field(min_length=1)


class Queries(Message):
    """A sync's file: a section for each table that is synced."""

    user_data: Query | None = None
    post_text_df: Query | None = None
    feed_data: Query | None = None

    @classmethod
    def read(cls, path: Path) -> Queries:
        """Raises LentaError naming file and key."""
        try:
            return cls.model_validate(tomllib.loads(path.read_text("utf-8")))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise LentaError(f"{path}: {error}") from error
        except ValidationError as error:
            raise LentaError(f"{path}, {invalid_parameter_from(error, 'file').message}") from error

    @property
    def of_tables(self) -> Sequence[tuple[TableFormat, Query]]:
        """Posts before the rows that are about them."""
        every = ((USERS, self.user_data), (POSTS, self.post_text_df), (FEED, self.feed_data))
        return [(table, query) for table, query in every if query is not None]


class Sync:
    def __init__(
        self, url: str, engine: Engine, appending: Appending, late: timedelta = LATE, on_progress: OnProgress = silent
    ) -> None:
        """url: the team's. engine: the platform's Postgres, which keeps the watermarks. Raises LentaError."""
        self._url, self._engine, self._appending, self._late = url, engine, appending, late
        self._on_progress, self._done = on_progress, 0
        try:
            parts = make_url(url)
        except ArgumentError as error:
            raise LentaError("the address is none of a Postgres, like postgresql://user@host:5432/database") from error
        self.source = f"{parts.host}:{parts.port or 5432}/{parts.database}"

    def run(self, queries: Queries) -> None:
        """Every table as of one moment. Raises LentaError naming query, row and column; what came before is in."""
        with self._reading() as connection:
            for table, query in queries.of_tables:
                self._table(connection, table, query)
        self._appending.settle()

    def watermark(self, table: TableFormat) -> datetime | None:
        with self._engine.connect() as connection:
            at: datetime | None = connection.execute(
                _READ, {"source": self.source, "query": table.name}
            ).scalar_one_or_none()
        return at.replace(tzinfo=UTC) if at is not None else None

    def _table(self, connection: Connection, table: TableFormat, query: Query) -> None:
        append = self._appending.of(table)
        rows = self._rows(connection, query, self.watermark(table))
        while batch := list(islice(rows, self._appending.batch)):
            times = [_time(table, row, query) for row in batch]
            append(batch, _where(table, query, times))
            self._move(table, times[-1])
            self._done += len(batch)
            self._on_progress(self._done, self._done)

    def _move(self, table: TableFormat, at: datetime) -> None:
        with self._engine.begin() as connection:
            values = {"source": self.source, "query": table.name, "watermark": naive(at)}
            connection.execute(_WRITE, values)

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        """One snapshot, which changes nothing."""
        engine = connect(self._url, pool_size=1, connect_seconds=10)
        with ExitStack() as stack:
            stack.callback(engine.dispose)
            with _as_said(self.source):
                opened = stack.enter_context(engine.connect())
                connection = opened.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            yield connection

    def _rows(self, connection: Connection, query: Query, after: datetime | None) -> Iterator[Row]:
        """In the order of the watermark, by a cursor: memory does not grow with their number."""
        column = '"' + query.watermark.replace('"', '""') + '"'
        since = "IS NOT NULL" if after is None else f">= TIMESTAMPTZ '{(after - self._late).isoformat()}'"
        source = query.query.rstrip().rstrip(";")
        statement = f"SELECT * FROM ({source}) AS source WHERE {column} {since} ORDER BY {column}"
        options = {"stream_results": True, "yield_per": CURSOR_ROWS, "no_parameters": True}
        with _as_said(self.source):  # what goes wrong between two rows is another's
            answer = connection.exec_driver_sql(statement, execution_options=options)
            yield from (dict(row) for row in answer.mappings())


@contextmanager
def _as_said(source: str) -> Iterator[None]:
    """Raises LentaError for what the team's Postgres refuses, in its words."""
    try:
        yield
    except DBAPIError as error:
        said = str(error.orig).strip().splitlines()[0]
        raise LentaError(f"{source} refused: {said}") from error


def _time(table: TableFormat, row: Row, query: Query) -> datetime:
    at: Any = row[query.watermark]
    if not isinstance(at, datetime):
        raise LentaError(f"{table.name}: watermark {query.watermark} is no time but {at!r}")
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at


def _where(table: TableFormat, query: Query, times: list[datetime]) -> Where:
    return lambda place: f"{table.name}, the row whose {query.watermark} is {times[place]}"
