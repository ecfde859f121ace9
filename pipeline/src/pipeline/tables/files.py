"""Reads a table's files by DuckDB in constant memory, and names file, line and column of what is wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

from pipeline.errors import LentaError
from pipeline.tables.csv_bytes import check_bytes
from pipeline.tables.formats import FEED, LATEST, SHOWN, Column, FilePattern, TableFormat, find, listed

AHEAD = timedelta(days=1)
"""A row's time may lie after now by this much: another time zone, another clock."""
MEMORY = "2GB"
BATCH_ROWS = 100_000
WHOLE = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT"}


@contextmanager
def opened(now: datetime | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """now: by which a row's time may not be later than a day from now; real time if not given."""
    latest = (now or datetime.now(UTC)).astimezone(UTC).replace(tzinfo=None) + AHEAD
    with TemporaryDirectory(prefix="lenta-import-") as spill, duckdb.connect() as database:
        database.execute(f"SET memory_limit = '{MEMORY}'; SET temp_directory = '{spill}'; SET TimeZone = 'UTC'")
        database.execute(f"SET VARIABLE {LATEST} = TIMESTAMP '{latest.isoformat(sep=' ')}'")
        hide_progress(database)
        yield database


def hide_progress(database: duckdb.DuckDBPyConnection) -> None:
    if database.execute("SELECT current_setting('enable_progress_bar')").fetchone() == (True,):
        database.execute("SET enable_progress_bar = false")  # off already, a notebook without widgets refuses it


class TableFile:
    """One table's files, checked."""

    def __init__(self, database: duckdb.DuckDBPyConnection, table: TableFormat, folder: Path) -> None:
        """Raises LentaError when a column is missing."""
        self._database, self.table = database, table
        self.source = find(folder, table.name)
        self._types = {str(name): type_ for name, type_, *_ in self.ask(f"DESCRIBE SELECT * FROM {self.source.scan}")}
        self._named = {column.name: _named(column, list(self._types), self.source) for column in table.columns}

    def ask(self, query: str) -> list[tuple[object, ...]]:
        """Raises LentaError for a file that cannot be read."""
        try:
            return self._database.execute(query).fetchall()
        except duckdb.Error as error:
            raise LentaError(f"{self.source.shown}: {_in_words(str(error))}") from error

    def check(self) -> int:
        """The number of rows. Raises LentaError naming the first value that is wrong."""
        if self.source.is_csv:
            check_bytes(self.source.path)
        faults = ", ".join(f"count_if({self._fault(column)})" for column in self.table.columns)
        rows, *bad = self.ask(f"SELECT count(*), {faults} FROM {self.source.scan}")[0]
        for column, count in zip(self.table.columns, bad, strict=True):
            if count:
                self._refuse(column)
        return int(str(rows))

    def select(self) -> str:
        """A query of the table's columns by name and type."""
        return f"SELECT {', '.join(self._value(column) for column in self.table.columns)} FROM {self.source.scan}"

    def rows(self) -> str:
        """A query of the rows that count: the last of users or posts with one id, one of several equal feed rows."""
        if self.table is FEED:
            return (
                "SELECT DISTINCT timestamp, user_id, post_id, action, "
                "CAST(CASE WHEN action = 'view' THEN coalesce(target, 0) END AS SMALLINT) AS target "
                f"FROM ({self.select()})"
            )
        key, *others = (column.name for column in self.table.columns)
        latest = ", ".join(f"last({name} ORDER BY row) AS {name}" for name in others)
        numbered = f"SELECT *, row_number() OVER () AS row FROM ({self.select()})"
        return f"SELECT {key}, {latest} FROM ({numbered}) GROUP BY {key} ORDER BY {key}"

    def _raw(self, column: Column) -> str:
        return f'"{self._named[column.name]}"'

    def _is_typed(self, column: Column) -> bool:
        """Whether the file declares it a whole number or a time, so that no text needs parsing."""
        type_ = self._types[self._named[column.name]]
        return type_ == "TIMESTAMP" if column.type == "TIMESTAMP" else column.type != "VARCHAR" and type_ in WHOLE

    def _cast(self, column: Column) -> str:
        """Whole numbers may be written as floats (19.0), as pandas dumps a column with gaps."""
        raw = self._raw(column)
        if self._is_typed(column):
            return f"TRY_CAST({raw} AS {column.type})"
        if self.source.is_csv:
            raw = f"nullif(trim({raw}), '')" if column.type != "VARCHAR" else raw
        if column.type in ("INTEGER", "SMALLINT"):
            return whole(raw, column.type)
        if column.type == "TIMESTAMP":
            return f"coalesce(TRY_CAST({raw} AS TIMESTAMP), CAST(TRY_CAST({raw} AS TIMESTAMPTZ) AS TIMESTAMP))"
        return f"CAST({raw} AS VARCHAR)"

    def _is_missing(self, column: Column) -> str:
        raw = self._raw(column)
        if self._is_typed(column):
            return f"({raw} IS NULL)"
        return f"({raw} IS NULL OR trim(CAST({raw} AS VARCHAR)) IN ('', 'NaN', 'nan'))"

    def _fault(self, column: Column) -> str:
        value = self._cast(column)
        if column.type == "VARCHAR" and column.allowed == "TRUE":
            return "FALSE" if self.source.is_csv else f"coalesce(contains({value}, chr(0)), FALSE)"
        missing, holds = self._is_missing(column), column.allowed.replace("value", f"({value})")
        return (
            f"(CASE WHEN {missing} THEN {'TRUE' if column.required else 'FALSE'} ELSE NOT coalesce({holds}, FALSE) END)"
        )

    def _value(self, column: Column) -> str:
        return f"CASE WHEN NOT {self._is_missing(column)} THEN {self._cast(column)} END AS {column.name}"

    def _refuse(self, column: Column) -> None:
        row, value = self.ask(
            f"SELECT row, value FROM (SELECT row_number() OVER () AS row, {self._raw(column)} AS value, "
            f"{self._fault(column)} AS is_bad FROM {self.source.scan}) WHERE is_bad LIMIT 1"
        )[0]
        place = f"line {int(str(row)) + 1}" if self.source.is_csv else f"row {row}"
        said = "nothing" if value in (None, "") else f"{str(value)[:60]!r}"
        raise LentaError(f"{self.source.shown}, {place}, column {column.name}: {said} is not {column.what}")


def whole(raw: str, type_: str) -> str:
    """SQL: a whole number, also written as 19.0; NULL for anything else."""
    return f"CASE WHEN TRY_CAST({raw} AS DOUBLE) = floor(TRY_CAST({raw} AS DOUBLE)) THEN TRY_CAST({raw} AS {type_}) END"


def before(until: datetime | None) -> str:
    """SQL on `timestamp`, in UTC; all rows for None."""
    return f"timestamp < TIMESTAMP '{until.astimezone(UTC).replace(tzinfo=None)}'" if until else "TRUE"


def _named(column: Column, have: list[str], source: FilePattern) -> str:
    for name in (column.name, *column.aliases):
        if name in have:
            return name
    names = " or ".join((column.name, *column.aliases))
    place = f"{source.shown}, line 1" if source.is_csv else source.shown
    raise LentaError(f"{place}: there is no column {names}; it has {listed(have)}")


def _in_words(message: str) -> str:
    """DuckDB's error in one line, with the line of the file where it names one."""
    line = re.search(r"(?:on|at) [Ll]ine:? (\d+)", message)
    first = re.sub(r"\s+", " ", message.split("\n")[1 if "CSV Error" in message and "\n" in message else 0]).strip()
    column = re.search(r'[Cc]olumn:? "?([A-Za-z_]+)"?', message)
    place = f"line {line[1]}" if line else ""
    place += f"{', ' if place else ''}column {column[1]}" if column else ""
    return f"{place}: {first[:SHOWN]}" if place else first[:SHOWN]
