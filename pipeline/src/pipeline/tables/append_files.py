"""What `lenta import --append` reads: a folder of some of the three tables, or lines of JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import duckdb
from chassis.progress import OnProgress, silent

from pipeline.errors import LentaError
from pipeline.tables.append import Appending, Row, Where
from pipeline.tables.files import TableFiles, opened
from pipeline.tables.formats import ENDINGS, FEED, FORMATS, POSTS, USERS, Column, TableFormat
from pipeline.tables.mapping import PLAIN, TableMapping
from pipeline.tables.stream import prompt_batches

KEY = Column("key", "the row's identity, unique for its user", type="VARCHAR", required=False)
KEYED = replace(FEED, columns=(*FEED.columns, KEY))


def append_folder(
    folder: Path, appending: Appending, mapping: TableMapping = PLAIN, on_progress: OnProgress = silent
) -> None:
    """Every file is checked whole before anything is appended. Raises LentaError naming file, line and column."""
    with opened() as database:
        tables = [_opened(database, folder, mapping, table) for table in FORMATS if _is_there(folder, mapping, table)]
        if not tables:
            raise LentaError(f"{folder} holds none of {', '.join(table.name for table in FORMATS)}")
        total, done = sum(files.check() for files in tables), 0
        try:
            appending.declare(mapping.own)
        except ValueError as error:
            raise mapping.fault("own", str(error)) from error
        for files in tables:
            for rows in _batches(database, files, appending.batch):
                appending.of(files.table)(rows, _in(files.shown))
                done += len(rows)
                on_progress(done, total)
    appending.settle()


def append_lines(lines: Iterable[str], appending: Appending, on_progress: OnProgress = silent) -> None:
    """One row a line, of any table: `action` makes it a view or like, `topic` a post, else it is a user. Appended as
    they come. Raises LentaError naming the line; the batches before it are in."""
    for batch in prompt_batches(_parsed(lines), appending.batch):
        for table, group in groupby(batch, lambda numbered: _table_of(numbered[1])):
            numbers, rows = zip(*group, strict=True)
            appending.of(table)(rows, _at_line(numbers))
            on_progress(numbers[-1], numbers[-1])
    appending.settle()


def _opened(database: duckdb.DuckDBPyConnection, folder: Path, mapping: TableMapping, table: TableFormat) -> TableFiles:
    files = TableFiles(database, table, folder, mapping)
    if table is FEED and files.name_all(KEY.name):
        return TableFiles(database, KEYED, folder, mapping)
    return files


def _is_there(folder: Path, mapping: TableMapping, table: TableFormat) -> bool:
    names = [given.file or table.name for _, given in mapping.files(table)]
    return any((folder / f"{name}{end}").exists() for name in names for end in ("", *ENDINGS))


def _batches(database: duckdb.DuckDBPyConnection, files: TableFiles, size: int) -> Iterator[list[Row]]:
    """Users and posts once each; a feed in the order of time, a view before the like of it."""
    query = files.rows()
    if files.table.name == FEED.name:
        query = f"SELECT * FROM ({files.select()}) ORDER BY timestamp, action DESC"
    for batch in database.sql(query).to_arrow_reader(size):
        yield batch.to_pylist()


def _parsed(lines: Iterable[str]) -> Iterator[tuple[int, Row]]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise LentaError(f"line {number}: not JSON ({error})") from error
        if not isinstance(row, dict):
            raise LentaError(f'line {number}: one JSON object a line, like {{"user_id": 200, ...}}')
        yield number, row


def _table_of(row: Row) -> TableFormat:
    if "action" in row:
        return FEED
    return POSTS if "topic" in row else USERS


def _in(shown: str) -> Where:
    return lambda _: shown


def _at_line(numbers: Sequence[int]) -> Where:
    return lambda place: f"line {numbers[place]}"
