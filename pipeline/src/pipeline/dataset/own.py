"""The values of a team's own columns, as serving would hold them: four bytes each (`contracts.own`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from contracts.features import Array
from contracts.own import ENTITIES, Entity, OwnColumn, OwnColumns, Packed, feature_of, nothing, values_of
from contracts.records import code
from contracts.vocabulary import Vocabulary

NAN = np.array([np.nan], np.float32)


@dataclass(frozen=True)
class OwnTable:
    """columns: what the tables declare; user, post: the values of all users with a profile and of all posts, in the
    order of their ids, shape (n, columns)."""

    columns: OwnColumns
    user: Packed
    post: Packed

    def of(self, entity: Entity) -> Packed:
        return self.user if entity == "user" else self.post

    @property
    def codes(self) -> dict[str, npt.NDArray[np.int64]]:
        """Of each category, by feature."""
        return {
            feature_of(entity, column): self.of(entity)[:, place].astype(np.int64)
            for entity in ENTITIES
            for place, column in enumerate(self.columns.of(entity))
            if column.kind == "categorical"
        }

    @property
    def fingerprint(self) -> str:
        return sha256(repr(self.columns.marks).encode() + self.user.tobytes() + self.post.tobytes()).hexdigest()

    def features(self, entity: Entity, wanted: OwnColumns, vocabulary: Vocabulary) -> Array:
        """Shape (n + 1, columns of `wanted`); the last row is of one that is not in the tables."""
        columns = wanted.of(entity)
        whole = np.vstack([self.of(entity)[:, : len(columns)], nothing(columns, 1)])
        return values_of(entity, columns, whole, vocabulary)


def read_own(
    database: duckdb.DuckDBPyConnection, columns: OwnColumns, tables: Mapping[Entity, str], rows: Mapping[Entity, int]
) -> OwnTable:
    """tables: SQL of one with `id` and, where columns are declared, `own`, JSON by name; rows: how many it has."""
    packed = {entity: _packed(database, columns.of(entity), tables[entity], rows[entity]) for entity in ENTITIES}
    return OwnTable(columns, packed["user"], packed["post"])


def _packed(database: duckdb.DuckDBPyConnection, columns: tuple[OwnColumn, ...], table: str, rows: int) -> Packed:
    if not columns:
        return nothing(columns, rows)
    database.execute(f"CREATE OR REPLACE TEMP TABLE own_values AS SELECT id, own FROM {table}")
    packed = np.column_stack([_bits(database, column) for column in columns])
    database.execute("DROP TABLE own_values")
    return packed


def _bits(database: duckdb.DuckDBPyConnection, column: OwnColumn) -> npt.NDArray[np.uint32]:
    said = f"json_extract_string(own, '{column.name}')"
    if column.kind == "categorical":
        return _codes(database, said)
    number = f"coalesce(CAST(TRY_CAST({said} AS DOUBLE) AS FLOAT), 'NaN'::FLOAT)"
    values = database.execute(f"SELECT {number} AS value FROM own_values ORDER BY id").fetchnumpy()["value"]
    numbers = np.ma.getdata(values).astype(np.float32)
    return np.where(np.isnan(numbers), NAN, numbers).view(np.uint32)


def _codes(database: duckdb.DuckDBPyConnection, said: str) -> npt.NDArray[np.uint32]:
    """Hashed once a value, not once a row."""
    values = [text for (text,) in database.execute(f"SELECT DISTINCT {said} FROM own_values").fetchall()]
    codes = pa.table({"text": pa.array(values, pa.string()), "code": pa.array(map(code, values), pa.int64())})
    database.register("codes", codes)
    query = f"SELECT code FROM own_values JOIN codes ON text IS NOT DISTINCT FROM {said} ORDER BY id"
    return np.ma.getdata(database.execute(query).fetchnumpy()["code"]).astype(np.uint32)
