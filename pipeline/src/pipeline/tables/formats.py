"""The platform's three tables in files: which columns they must have, what each value must be, what it becomes."""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from contracts.own import OwnColumn

from pipeline.errors import LentaError
from pipeline.tables.csv_bytes import open_bytes

INT_MAX = 2**31 - 1
HEADER_MAX = 100_000
"""Bytes of a CSV file's first line."""
SHOWN = 200
"""Characters of what a file says, in a message."""
LATEST = "latest"
"""DuckDB variable: the last moment that a row may have."""


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    meaning: str
    """For people: what it says, with its unit. In the help and in docs/your-data.md."""
    aliases: tuple[str, ...] = ()
    type: str = "INTEGER"
    """DuckDB's, of what is loaded."""
    required: bool = True
    """A missing value is a fault."""
    allowed: str = "TRUE"
    """SQL on `value`, already of `type`: what else must hold."""
    what: str = "text without NUL characters"
    """In words, for the help and for the error."""


@dataclass(frozen=True, slots=True)
class TableFormat:
    name: str
    meaning: str
    columns: tuple[Column, ...]


def _id(name: str, meaning: str, *aliases: str) -> Column:
    return Column(
        name, meaning, aliases, allowed=f"value BETWEEN 0 AND {INT_MAX}", what=f"a whole number, 0 to {INT_MAX}"
    )


def _number(name: str, meaning: str, most: int) -> Column:
    return Column(
        name,
        meaning,
        type="SMALLINT",
        required=False,
        allowed=f"value BETWEEN 0 AND {most}",
        what=f"a whole number, 0 to {most}",
    )


def _bit(name: str, meaning: str) -> Column:
    return Column(name, meaning, type="SMALLINT", required=False, allowed="value IN (0, 1)", what="0 or 1")


def _label(name: str, meaning: str) -> Column:
    return Column(name, meaning, type="VARCHAR", required=False)


def own_column(declared: OwnColumn) -> Column:
    """As a team declared it."""
    if declared.kind == "numeric":
        allowed, what = "isfinite(value) AND abs(value) <= 1e38", "a number"
    else:
        allowed, what = "length(value) <= 200 AND NOT contains(value, chr(0))", "text of at most 200 characters"
    type_ = "DOUBLE" if declared.kind == "numeric" else "VARCHAR"
    return Column(declared.name, "", type=type_, required=False, allowed=allowed, what=what)


USERS = TableFormat(
    "user_data",
    "one row a user; of several rows with one id the last counts",
    (
        _id("user_id", "the user"),
        _number("age", "age in years", 130),
        _bit("gender", "a code of yours, used alike throughout"),
        _label("country", "as you write it, always alike"),
        _label("city", "as you write it, always alike"),
        _number("exp_group", "any small code that may tell users apart; not the group of an experiment", 254),
        _label("os", "operating system, such as iOS"),
        _label("source", "where the user came from, such as ads"),
    ),
)
POSTS = TableFormat(
    "post_text_df",
    "one row a post; of several rows with one id the last counts",
    (
        _id("id", "the post", "post_id"),
        _label("text", "what the post says, in any language; models read it"),
        Column(
            "topic",
            "one of a few dozen topics at most, always written alike",
            type="VARCHAR",
            allowed="value <> ''",
            what="a topic",
        ),
    ),
)
FEED = TableFormat(
    "feed_data",
    "one row a view or like; of equal rows one counts",
    (
        Column(
            "timestamp",
            "when it happened; UTC where no zone is given",
            type="TIMESTAMP",
            allowed=f"value BETWEEN TIMESTAMP '1970-01-01 00:00:01' AND getvariable('{LATEST}')",
            what="a time like 2021-12-01 10:00:00, from 1970 to a day from now",
        ),
        _id("user_id", "who; a profile may be missing"),
        _id("post_id", "which post; rows of posts that are not in post_text_df are kept and not counted"),
        Column("action", "what happened", type="VARCHAR", allowed="value IN ('view', 'like')", what="view or like"),
        Column(
            "target",
            "of a view: 1 where a like followed it, missing is 0. Of a like: ignored. Models learn from it",
            type="SMALLINT",
            required=False,
            allowed="value IN (0, 1)",
            what="0 or 1 (a rating has to be made a like, or none, first)",
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
    def path(self) -> Path:
        """A CSV file's."""
        return Path(self.pattern)

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


ENDINGS = (".parquet", ".csv", ".csv.gz")


def find(folder: Path, name: str) -> FilePattern:
    """CSV (also .gz), Parquet, or a folder of Parquet parts, with or without its ending in `name`. Raises LentaError
    when it is missing, or there twice."""
    ends = ("",) if name.endswith(ENDINGS) else ENDINGS
    paths = [path for path in (folder / f"{name}{end}" for end in ends) if path.is_file()]
    if (folder / name).is_dir() and list((folder / name).glob("*.parquet")):
        paths.append(folder / name)
    if not paths:
        tried = name if ends == ("",) else f"{name}.csv, {name}.csv.gz, {name}.parquet"
        raise LentaError(f"{folder} has no {tried} or folder {name}/ of Parquet parts")
    if len(paths) > 1:
        raise LentaError(f"{folder} has {name} twice: {', '.join(path.name for path in paths)}; remove one")
    path = paths[0]
    _refuse_links(folder, [path, *path.glob("*.parquet")])
    if path.is_dir():
        return FilePattern(f"{path}/*.parquet", False, f"{path.name}/")
    if path.stat().st_size == 0:
        raise LentaError(f"{path}: the file is empty")
    if path.suffix == ".parquet":
        return FilePattern(str(path), False, str(path))
    return FilePattern(str(path), True, str(path), _header(path))


def _header(path: Path) -> tuple[str, ...]:
    """Raises LentaError for a first line that names no columns."""
    try:
        with open_bytes(path) as file:
            line = file.readline(HEADER_MAX)
        if len(line) == HEADER_MAX:
            raise LentaError(f"{path}, line 1: column names of more than {HEADER_MAX // 1000} kB")
        names = tuple(name.strip() for name in next(csv.reader([line.decode("utf-8-sig")]), []))
    except (UnicodeDecodeError, gzip.BadGzipFile, zlib.error, csv.Error, EOFError) as error:
        raise LentaError(f"{path}, line 1: not CSV in UTF-8 ({str(error)[:SHOWN]})") from error
    if len(set(names)) != len(names) or not all(names):
        raise LentaError(f"{path}, line 1: column names are missing or there twice: {listed(names)}")
    return names


def _refuse_links(folder: Path, paths: Sequence[Path]) -> None:
    """A file that somebody sends must not open another one of this machine's."""
    for path in paths:
        if not path.resolve().is_relative_to(folder.resolve()):
            raise LentaError(f"{path}: a link that leads out of {folder}; put the file itself there")


def listed(names: Sequence[str]) -> str:
    """For a message, cut where it gets long: nobody needs a megabyte of names."""
    text = ", ".join(names)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def quoted(text: str) -> str:
    """As an SQL literal."""
    return "'" + text.replace("'", "''") + "'"
