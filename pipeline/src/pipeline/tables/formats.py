"""The platform's three tables in files: which columns they must have, what each value must be, what it becomes."""

from __future__ import annotations

import csv
import gzip
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import LentaError

INT_MAX = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    aliases: tuple[str, ...] = ()
    type: str = "INTEGER"
    """DuckDB's, of what is loaded."""
    required: bool = True
    """A missing value is a fault."""
    allowed: str = "TRUE"
    """SQL on `value`, already of `type`: what else must hold."""
    what: str = ""
    """In words, for the error."""


@dataclass(frozen=True, slots=True)
class TableFormat:
    name: str
    columns: tuple[Column, ...]


_ID = {"allowed": f"value BETWEEN 0 AND {INT_MAX}", "what": "a whole number, 0 or more"}
USERS = TableFormat(
    "user_data",
    (
        Column("user_id", **_ID),  # type: ignore[arg-type]
        Column(
            "age", type="SMALLINT", required=False, allowed="value BETWEEN 0 AND 130", what="a whole number, 0 to 130"
        ),
        Column("gender", type="SMALLINT", required=False, allowed="value IN (0, 1)", what="0 or 1"),
        Column("country", type="VARCHAR", required=False),
        Column("city", type="VARCHAR", required=False),
        Column(
            "exp_group",
            type="SMALLINT",
            required=False,
            allowed="value BETWEEN 0 AND 254",
            what="a whole number, 0 to 254",
        ),
        Column("os", type="VARCHAR", required=False),
        Column("source", type="VARCHAR", required=False),
    ),
)
POSTS = TableFormat(
    "post_text_df",
    (
        Column("id", aliases=("post_id",), **_ID),  # type: ignore[arg-type]
        Column("text", type="VARCHAR", required=False),
        Column("topic", type="VARCHAR", allowed="value <> ''", what="a topic"),
    ),
)
FEED = TableFormat(
    "feed_data",
    (
        Column("timestamp", type="TIMESTAMP", what="a time like 2021-12-01 10:00:00"),
        Column("user_id", **_ID),  # type: ignore[arg-type]
        Column("post_id", **_ID),  # type: ignore[arg-type]
        Column("action", type="VARCHAR", allowed="value IN ('view', 'like')", what="view or like"),
        Column(
            "target",
            type="SMALLINT",
            required=False,
            allowed="value IN (0, 1)",
            what="0, 1 or missing (a rating has to be made a like, or none, first)",
        ),
    ),
)
FORMATS = (USERS, POSTS, FEED)


@dataclass(frozen=True, slots=True)
class FilePattern:
    """A table's files. pattern: what DuckDB reads."""

    pattern: str
    is_csv: bool
    shown: str
    """For messages."""
    header: tuple[str, ...] = ()
    """A CSV file's column names."""

    @property
    def scan(self) -> str:
        """Everything as it is: text from CSV, typed from Parquet."""
        place = quoted(self.pattern)
        if self.is_csv:
            columns = ", ".join(f"{quoted(name)}: 'VARCHAR'" for name in self.header)
            return (
                f"read_csv({place}, auto_detect = false, columns = {{{columns}}}, header = true, delim = ',', "
                "quote = '\"', escape = '\"', strict_mode = true, parallel = false, max_line_size = 20000000)"
            )
        return f"read_parquet({place})"


def find(folder: Path, table: str) -> FilePattern:
    """CSV (also .gz), Parquet, or a folder of Parquet parts. Raises LentaError when it is missing, or there twice."""
    paths = [path for path in (folder / f"{table}{end}" for end in (".parquet", ".csv", ".csv.gz")) if path.is_file()]
    if (folder / table).is_dir() and list((folder / table).glob("*.parquet")):
        paths.append(folder / table)
    if not paths:
        raise LentaError(
            f"{folder} has no {table}.csv, {table}.csv.gz, {table}.parquet or folder {table}/ of Parquet parts"
        )
    if len(paths) > 1:
        raise LentaError(f"{folder} has {table} twice: {', '.join(path.name for path in paths)}; remove one")
    path = paths[0]
    if path.is_dir():
        return FilePattern(f"{path}/*.parquet", False, f"{path.name}/")
    if path.stat().st_size == 0:
        raise LentaError(f"{path}: the file is empty")
    if path.suffix == ".parquet":
        return FilePattern(str(path), False, str(path))
    return FilePattern(str(path), True, str(path), _header(path))


def _header(path: Path) -> tuple[str, ...]:
    """Raises LentaError for a first line that names no columns."""
    open_text = gzip.open if path.suffix == ".gz" else open
    try:
        with open_text(path, "rt", encoding="utf-8-sig", newline="") as file:
            names = tuple(name.strip() for name in next(csv.reader(file), []))
    except (UnicodeDecodeError, gzip.BadGzipFile, csv.Error, EOFError) as error:
        raise LentaError(f"{path}, line 1: not CSV in UTF-8 ({error})") from error
    if len(set(names)) != len(names) or not all(names):
        raise LentaError(f"{path}, line 1: column names are missing or there twice: {', '.join(names)}")
    return names


def quoted(text: str) -> str:
    """As an SQL literal."""
    return "'" + text.replace("'", "''") + "'"
