"""A mapping file: where in a team's own tables the platform's columns are, and what their values mean.

Every scalar of the file is text as it is written (`yes` is no truth value, `007` no number) but `null`, which says that
there is none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

import yaml
from contracts.own import COLUMNS_MAX, ColumnName, Kind, OwnColumn, OwnColumns
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    PrivateAttr,
    ValidationError,
    model_validator,
)

from pipeline.errors import LentaError
from pipeline.tables.formats import FEED, FORMATS, TableFormat, listed

SIZE_MAX = 1_000_000
"""Bytes of a mapping file."""
NULL = "tag:yaml.org,2002:null"


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError) as error:
        raise ValueError(f"{name!r} is no time zone, such as Europe/Moscow") from error
    return name


def _spelled_out(value: object) -> object:
    return {"column": value} if isinstance(value, str) else value


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ColumnInput(_Model):
    """Where one column's values come from."""

    column: Annotated[str, Field(description="Its name in the file; the platform's own name if not given.")] | None = (
        None
    )
    constant: Annotated[str, Field(description="Instead of a column: the value of every row.")] | None = None
    values: Annotated[
        dict[str, str | None],
        Field(description="What the file says to what it means; null: missing. Others stay as they are."),
    ] = {}
    levels: Annotated[
        dict[FiniteFloat, str | None],
        Field(description="Of a number: from which value on it means what; the highest that it reaches counts."),
    ] = {}
    unit: (
        Annotated[
            Literal["seconds", "milliseconds", "microseconds"],
            Field(description="Of a timestamp that is a number since 1970; ISO 8601 if not given."),
        ]
        | None
    ) = None
    zone: (
        Annotated[
            str, AfterValidator(_known_zone), Field(description="Of timestamps that name no zone; UTC if not given.")
        ]
        | None
    ) = None

    @model_validator(mode="after")
    def _one_meaning(self) -> Self:
        if self.constant is not None and self.model_fields_set != {"constant"}:
            raise ValueError("a constant stands alone: leave out the other keys")
        if self.values and self.levels:
            raise ValueError("a text has values, a number has levels: leave out one of them")
        if self.unit and self.zone:
            raise ValueError("a number since 1970 has no zone: leave out one of unit and zone")
        return self


class OwnInput(ColumnInput):
    """A column that Lenta has no name for: an input of the models all the same."""

    kind: Annotated[Kind, Field(description="A category, or a number.")]


def _kind_alone(value: object) -> object:
    return {"kind": value} if isinstance(value, str) else value


class FileInput(_Model):
    """One file, or folder of Parquet parts, of a table."""

    file: Annotated[str, Field(min_length=1, description="Its name, with or without ending.")] | None = None
    columns: Annotated[
        dict[str, Annotated[ColumnInput, BeforeValidator(_spelled_out)] | None],
        Field(description="By the platform's name: the file's name, or more; null: there is none."),
    ] = {}

    own: Annotated[
        dict[ColumnName, Annotated[OwnInput, BeforeValidator(_kind_alone)]],
        Field(max_length=COLUMNS_MAX, description="Of users and posts: columns that Lenta has no name for, by kind."),
    ] = {}

    def of(self, column: str) -> ColumnInput | None:
        """None where the file has no such column."""
        return self.own.get(column) or self.columns.get(column, ColumnInput())

    def key_of(self, column: str) -> str:
        return f"{'own' if column in self.own else 'columns'}.{column}"

    @property
    def own_columns(self) -> tuple[OwnColumn, ...]:
        return tuple(OwnColumn(name=name, kind=each.kind) for name, each in self.own.items())


def _several(value: object) -> object:
    return value if isinstance(value, list) else [value]


class TableMapping(_Model):
    """What is not mapped has the platform's names."""

    user_data: FileInput = FileInput()
    post_text_df: FileInput = FileInput()
    feed_data: Annotated[
        list[FileInput],
        BeforeValidator(_several),
        Field(min_length=1, description="One file, or a list of them: views and likes may be tables of their own."),
    ] = [FileInput()]
    _place: str = PrivateAttr("")
    """The file's name, for messages."""

    def files(self, table: TableFormat) -> Sequence[tuple[str, FileInput]]:
        """Each of the table's files with its key in the mapping."""
        if table.name != FEED.name:
            return [(table.name, getattr(self, table.name))]
        only = len(self.feed_data) == 1
        return [(FEED.name if only else f"{FEED.name}[{n}]", each) for n, each in enumerate(self.feed_data)]

    @property
    def own(self) -> OwnColumns:
        """What it declares."""
        return OwnColumns(user=self.user_data.own_columns, post=self.post_text_df.own_columns)

    def fault(self, key: str, said: str) -> LentaError:
        return LentaError(f"{self._place}, key {key}: {said}" if self._place else said)

    @classmethod
    def read(cls, path: Path | None) -> TableMapping:
        """The platform's own names for None. Raises LentaError naming the file and the key that is wrong."""
        if path is None:
            return PLAIN
        try:
            given = cls.model_validate(_parsed(path))
        except ValidationError as error:
            raise _in_words(path, error) from error
        given._place = str(path)
        given._check()
        return given

    def _check(self) -> None:
        for table in FORMATS:
            for key, file in self.files(table):
                for name, given in file.columns.items():
                    if said := _column_fault(table, name, given):
                        raise self.fault(f"{key}.columns.{name}", said)
                for name, own in file.own.items():
                    if said := _own_fault(table, name, own):
                        raise self.fault(f"{key}.own.{name}", said)


def _column_fault(table: TableFormat, name: str, given: ColumnInput | None) -> str | None:
    required = {column.name: column.required for column in table.columns}
    if name not in required:
        return f"{table.name} has no column {name}; {nearest(name, required)}; one of yours goes under `own`"
    if given is None and required[name]:
        return "cannot be null: every row must have it"
    return "only a timestamp has unit or zone" if given and _is_timed(given) and name != "timestamp" else None


def _own_fault(table: TableFormat, name: str, own: OwnInput) -> str | None:
    if table is FEED:
        return "users and posts have columns of their own, the feed has none"
    if name in {column.name for column in table.columns}:
        return f"{table.name} has that column: say under `columns` where it is"
    return "only a timestamp has unit or zone" if _is_timed(own) else None


def _is_timed(given: ColumnInput) -> bool:
    return given.unit is not None or given.zone is not None


PLAIN = TableMapping()
"""Files with the platform's own names."""


def nearest(name: str, have: Iterable[str]) -> str:
    """The one of `have` that `name` was most likely meant to be, or all of them, for a message."""
    names = list(have)
    close = get_close_matches(name.lower(), [each.lower() for each in names], 1, 0.5)
    named = next((each for each in names if close and each.lower() == close[0]), None)
    return f"the nearest is {named}" if named else f"it has {listed(names)}"


class _Loader(yaml.SafeLoader):
    """Text and null alone; a key that stands twice is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [each.value for each, _ in node.value if isinstance(each, yaml.ScalarNode)]
        if twice := next((key for key in keys if keys.count(key) > 1), None):
            raise yaml.constructor.ConstructorError(None, None, f"{twice!r} stands there twice", node.start_mark)
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag == NULL]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _parsed(path: Path) -> dict[object, object]:
    try:
        if path.stat().st_size > SIZE_MAX:
            raise LentaError(f"--mapping {path}: a mapping of more than {SIZE_MAX // 1000} kB")
        content = yaml.load(path.read_text("utf-8"), _Loader)
    except OSError as error:
        raise LentaError(f"--mapping {path} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise LentaError(f"--mapping {path}: not YAML: {_one_line(error)}") from error
    if not isinstance(content, dict):
        raise LentaError(f"--mapping {path}: names no table; it has keys such as user_data, post_text_df, feed_data")
    return content


def _one_line(error: Exception) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"line {error.problem_mark.line + 1}: {error.problem}"
    return str(error).split("\n", maxsplit=1)[0]


def _in_words(path: Path, error: ValidationError) -> LentaError:
    first = error.errors()[0]
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"]).lstrip(".")
    said = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        said = f"there is no such key; {nearest(str(first['loc'][-1]), _keys_beside(first['loc']))}"
    return LentaError(f"{path}, key {key}: {said}")


def _keys_beside(place: Sequence[int | str]) -> Sequence[str]:
    """The keys that there are where a wrong one stands."""
    if len(place) == 1:
        return list(TableMapping.model_fields)
    above: dict[object, type[_Model]] = {"columns": ColumnInput, "own": OwnInput}
    return list(next((above[part] for part in place[:-1] if part in above), FileInput).model_fields)
