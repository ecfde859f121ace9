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
from pipeline.tables.formats import FEED, LATEST, SHOWN, Column, TableFormat, find, listed, own_column, quoted
from pipeline.tables.inputs import Input
from pipeline.tables.mapping import PLAIN, ColumnInput, FileInput, TableMapping, nearest

AHEAD = timedelta(days=1)
"""A row's time may lie after now by this much: another time zone, another clock."""
MEMORY = "2GB"
BATCH_ROWS = 100_000
ROW, TARGET, OWN = "timestamp, user_id, post_id, action", "target", "own"


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


class TableFiles:
    """One table in somebody's folder, checked; it may lie in several files."""

    def __init__(
        self, database: duckdb.DuckDBPyConnection, table: TableFormat, folder: Path, mapping: TableMapping = PLAIN
    ) -> None:
        """Raises LentaError when a file or a column is missing."""
        self.table = table
        self._files = [TableFile(database, table, folder, mapping, key, file) for key, file in mapping.files(table)]
        self.shown = ", ".join(file.source.shown for file in self._files)

    def name_all(self, column: str) -> bool:
        """Whether every file has a column of this name of its own."""
        return all(file.names(column) for file in self._files)

    def check(self) -> int:
        """The number of rows. Raises LentaError naming the first value that is wrong."""
        return sum(file.check() for file in self._files)

    def left_out(self) -> int:
        """How many rows more there are, of which the mapping says that they mean nothing."""
        return sum(file.left_out() for file in self._files)

    def select(self) -> str:
        """A query of the table's columns by name and type."""
        return " UNION ALL ".join(file.select() for file in self._files)

    def rows(self) -> str:
        """A query of the rows that count: the last of users or posts with one id, one of several equal feed rows."""
        if self.table is FEED:
            return self._feed_rows()
        key, *others = (column.name for column in self.table.columns)
        latest = ", ".join(f"last({name} ORDER BY row) AS {name}" for name in (*others, OWN))
        numbered = f"SELECT *, row_number() OVER () AS row FROM ({self.select()})"
        return f"SELECT {key}, {latest} FROM ({numbered}) GROUP BY {key} ORDER BY {key}"

    def _feed_rows(self) -> str:
        """Where no file has a target, a view's is 1 if a like came before the user saw the post again."""
        if any(file.has(TARGET) for file in self._files):
            return f"SELECT DISTINCT {ROW}, {_of_view('coalesce(target, 0)')} FROM ({self.select()})"
        next_action = "lead(action) OVER (PARTITION BY user_id, post_id ORDER BY timestamp, action DESC)"
        liked = f"CASE WHEN {next_action} = 'like' THEN 1 ELSE 0 END"
        return f"SELECT {ROW}, {_of_view(liked)} FROM (SELECT DISTINCT {ROW} FROM ({self.select()}))"


class TableFile:
    """One file, or folder of parts, of a table. key: where the mapping speaks of it."""

    def __init__(
        self,
        database: duckdb.DuckDBPyConnection,
        table: TableFormat,
        folder: Path,
        mapping: TableMapping,
        key: str,
        given: FileInput,
    ) -> None:
        self._database, self._table, self._mapping, self._key, self._given = database, table, mapping, key, given
        self.source = find(folder, given.file or table.name)
        self._types = {
            str(name): str(type_) for name, type_, *_ in self.ask(f"DESCRIBE SELECT * FROM {self.source.scan}")
        }
        self._inputs = [self._input(column) for column in table.columns]
        self._own = [self._input(own_column(column)) for column in given.own_columns]
        self._left_out = " OR ".join(each.left_out for each in self._inputs if each.left_out) or "FALSE"

    def ask(self, query: str) -> list[tuple[object, ...]]:
        """Raises LentaError for a file that cannot be read."""
        try:
            return self._database.execute(query).fetchall()
        except duckdb.Error as error:
            raise LentaError(f"{self.source.shown}: {_in_words(str(error))}") from error

    def names(self, column: str) -> bool:
        """Whether the file has a column of this name of its own."""
        return column in self._types

    def has(self, column: str) -> bool:
        """Whether the file says anything of it."""
        return self._given.of(column) is not None

    def check(self) -> int:
        """The number of rows that mean something. Raises LentaError naming the first value that is wrong."""
        if self.source.is_csv:
            check_bytes(self.source.path)
        inputs = [*self._inputs, *self._own]
        faults = ", ".join(f"count_if({each.fault})" for each in inputs)
        rows, *bad = self.ask(f"SELECT count(*), {faults} FROM {self._rows()}")[0]
        for each, count in zip(inputs, bad, strict=True):
            if count:
                self._refuse(each)
        return int(str(rows))

    def select(self) -> str:
        """A query of the table's columns by name and type; of users and posts also `own`, JSON by name, or NULL."""
        values = [f"{each.value} AS {each.column.name}" for each in self._inputs]
        if self._table is not FEED:
            values.append(f"{self._own_values()} AS {OWN}")
        return f"SELECT {', '.join(values)} FROM {self._rows()}"

    def left_out(self) -> int:
        return int(str(self.ask(f"SELECT count(*) FROM {self.source.scan} WHERE {self._left_out}")[0][0]))

    def _rows(self) -> str:
        return f"{self.source.scan} WHERE NOT ({self._left_out})"

    def _own_values(self) -> str:
        if not self._own:
            return "CAST(NULL AS VARCHAR)"
        pairs = ", ".join(f"{quoted(each.column.name)}, {each.value}" for each in self._own)
        return f"CAST(json_object({pairs}) AS VARCHAR)"

    def _input(self, column: Column) -> Input:
        """Raises LentaError when the file has no such column."""
        how = self._given.of(column.name)
        if how is None or how.constant is not None:
            value = "NULL" if how is None else quoted(str(how.constant))
            return Input(column, ColumnInput(), f"CAST({value} AS VARCHAR)", "VARCHAR", self.source.is_csv)
        name = self._name_of(column, how)
        return Input(column, how, f'"{name.replace(chr(34), chr(34) * 2)}"', self._types[name], self.source.is_csv)

    def _name_of(self, column: Column, how: ColumnInput) -> str:
        """The file's own name of the column."""
        if how.column is not None:
            if how.column in self._types:
                return how.column
            said = f"{self._place} has no column {how.column}; {nearest(how.column, self._types)}"
            raise self._mapping.fault(f"{self._key}.{self._given.key_of(column.name)}", said)
        for name in (column.name, *column.aliases):
            if name in self._types:
                return name
        names = " or ".join((column.name, *column.aliases))
        said = f"{self._place}: there is no column {names}; it has {listed(list(self._types))}"
        raise self._mapping.fault(f"{self._key}.{self._given.key_of(column.name)}", said)

    @property
    def _place(self) -> str:
        return f"{self.source.shown}, line 1" if self.source.is_csv else self.source.shown

    def _refuse(self, bad: Input) -> None:
        row, value = self.ask(
            f"SELECT row, value FROM (SELECT row_number() OVER () AS row, {bad.raw} AS value, "
            f"{bad.fault} AND NOT ({self._left_out}) AS is_bad FROM {self.source.scan}) WHERE is_bad LIMIT 1"
        )[0]
        place = f"line {int(str(row)) + 1}" if self.source.is_csv else f"row {row}"
        said = "nothing" if value in (None, "") else f"{str(value)[:60]!r}"
        fault = f"{self.source.shown}, {place}, column {bad.shown}: {said} is not {bad.what}"
        if bad.column.name not in {**self._given.columns, **self._given.own}:
            raise LentaError(fault)
        raise self._mapping.fault(f"{self._key}.{self._given.key_of(bad.column.name)}", fault)


def _of_view(target: str) -> str:
    return f"CAST(CASE WHEN action = 'view' THEN {target} END AS SMALLINT) AS target"


def before(until: datetime | None) -> str:
    """SQL on `timestamp`, in UTC; all rows for None."""
    return f"timestamp < TIMESTAMP '{until.astimezone(UTC).replace(tzinfo=None)}'" if until else "TRUE"


def _in_words(message: str) -> str:
    """DuckDB's error in one line, with the line of the file where it names one."""
    line = re.search(r"(?:on|at) [Ll]ine:? (\d+)", message)
    first = re.sub(r"\s+", " ", message.split("\n")[1 if "CSV Error" in message and "\n" in message else 0]).strip()
    column = re.search(r'[Cc]olumn:? "?([A-Za-z_]+)"?', message)
    place = f"line {line[1]}" if line else ""
    place += f"{', ' if place else ''}column {column[1]}" if column else ""
    return f"{place}: {first[:SHOWN]}" if place else first[:SHOWN]
