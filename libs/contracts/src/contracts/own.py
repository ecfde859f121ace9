"""A team's own columns of users and posts: declared, never named in the source, each an input of the models.

A value travels in 32 bits, little-endian, in the order of the declaration: a float32, or the code of a category
(`contracts.records.code`). A declaration is append-only, as the feature schema is: a record of before lacks the columns
behind, and a model names the prefix that it was trained on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field

from contracts.features import Array
from contracts.records import code
from contracts.vocabulary import Vocabulary
from contracts.wire import Message, OwnValue

COLUMNS_MAX = 64
"""Of users, and of posts: each costs every user's row, or every post of the catalogue, four bytes."""
VALUE = "<u4"
"""A value's bits."""
_MISSING = {"numeric": int(np.array([np.nan], "<f4").view(VALUE)[0]), "categorical": code(None)}

Packed = npt.NDArray[np.uint32]
ColumnName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
Kind = Literal["categorical", "numeric"]
Entity = Literal["user", "post"]


class OwnColumn(Message):
    name: ColumnName
    kind: Kind


class OwnColumns(Message):
    """Which columns there are, in the order in which they were declared."""

    user: Annotated[tuple[OwnColumn, ...], Field(max_length=COLUMNS_MAX)] = ()
    post: Annotated[tuple[OwnColumn, ...], Field(max_length=COLUMNS_MAX)] = ()

    def __bool__(self) -> bool:
        return bool(self.user or self.post)

    def of(self, entity: Entity) -> tuple[OwnColumn, ...]:
        return self.user if entity == "user" else self.post

    @property
    def features(self) -> list[str]:
        """Their names as inputs of a model, in the order of its columns: `user.plan`, `post.author`."""
        return [feature_of(entity, column) for entity in ENTITIES for column in self.of(entity)]

    @property
    def marks(self) -> list[str]:
        """What a schema's id is made of, behind the features that every platform has."""
        return [f"{feature_of(entity, column)}:{column.kind}" for entity in ENTITIES for column in self.of(entity)]

    def holds(self, needed: OwnColumns) -> bool:
        """Whether `needed` is a prefix of these, of users and of posts."""
        return all(self.of(entity)[: len(needed.of(entity))] == needed.of(entity) for entity in ENTITIES)

    def with_more(self, wanted: OwnColumns) -> Self:
        """These, and behind them those of `wanted` that are new. Raises ValueError for one of another kind."""
        return type(self)(user=_joined("user", self.user, wanted.user), post=_joined("post", self.post, wanted.post))


NOTHING_DECLARED = OwnColumns()
ENTITIES: tuple[Entity, Entity] = ("user", "post")


class OwnValueError(ValueError):
    """A value that may not stand there. name: of the column."""

    def __init__(self, name: str, said: str) -> None:
        super().__init__(f"{name}: {said}")
        self.name = name


def feature_of(entity: Entity, column: OwnColumn) -> str:
    return f"{entity}.{column.name}"


def _joined(entity: Entity, have: Sequence[OwnColumn], wanted: Sequence[OwnColumn]) -> tuple[OwnColumn, ...]:
    kinds = {column.name: column.kind for column in have}
    for column in wanted:
        if kinds.get(column.name, column.kind) != column.kind:
            before = kinds[column.name]
            raise ValueError(
                f"{feature_of(entity, column)} was declared {before}; give it another name to make it other"
            )
    return (*have, *(column for column in wanted if column.name not in kinds))


def pack(columns: Sequence[OwnColumn], values: Mapping[str, OwnValue]) -> bytes:
    """Four bytes a column. Raises OwnValueError for a column that is not declared, or a value of another kind."""
    if unknown := next((name for name in values if name not in {column.name for column in columns}), None):
        raise OwnValueError(
            unknown, f"no such column is declared; there are {', '.join(c.name for c in columns) or 'none'}"
        )
    return np.array([_bits(column, values.get(column.name)) for column in columns], VALUE).tobytes()


def _bits(column: OwnColumn, value: OwnValue) -> int:
    if value is None:
        return _MISSING[column.kind]
    if column.kind == "categorical":
        if not isinstance(value, str):
            raise OwnValueError(column.name, "a text is needed: the column is categorical")
        return code(value)
    if isinstance(value, str):
        raise OwnValueError(column.name, "a number is needed: the column is numeric")
    return int(np.array([value], "<f4").view(VALUE)[0])


def nothing(columns: Sequence[OwnColumn], rows: int) -> Packed:
    """Every value missing, shape (rows, columns)."""
    return np.tile(np.array([_MISSING[column.kind] for column in columns], np.uint32), (rows, 1))


def unpack(columns: Sequence[OwnColumn], record: bytes) -> Packed:
    """One record, shape (1, columns): what it lacks is missing, what stands behind is of a later declaration."""
    values, whole = np.frombuffer(record, VALUE)[: len(columns)], nothing(columns, 1)
    whole[0, : len(values)] = values
    return whole


def values_of(entity: Entity, columns: Sequence[OwnColumn], packed: Packed, vocabulary: Vocabulary) -> Array:
    """The features of n records, shape (n, columns): a number, or the rank of a category; NaN for a missing value.

    packed: shape (n, at least as many columns).
    """
    out = np.empty((len(packed), len(columns)))
    for place, column in enumerate(columns):
        values = np.ascontiguousarray(packed[:, place])
        if column.kind == "numeric":
            out[:, place] = values.view(np.float32)
        else:
            out[:, place] = vocabulary.ranks(feature_of(entity, column), values.astype(np.int64))
    return out
