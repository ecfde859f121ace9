"""A team's own columns in Postgres: which it declared, and that a declaration only grows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from contracts.own import ENTITIES, OwnColumn, OwnColumns
from sqlalchemy import Connection, text

DECLARED = "SELECT entity, name, kind FROM own_columns ORDER BY entity, place"
DECLARE = "INSERT INTO own_columns (entity, place, name, kind) VALUES ($1, $2, $3, $4)"

_DECLARE = text("INSERT INTO own_columns (entity, place, name, kind) VALUES (:entity, :place, :name, :kind)")


def declared(connection: Connection) -> OwnColumns:
    return declaration_of(tuple(row) for row in connection.execute(text(DECLARED)))


def declare(connection: Connection, wanted: OwnColumns) -> OwnColumns:
    """All that is declared then: what was, and behind it what is new. Raises ValueError for one of another kind."""
    before = declared(connection)
    after = before.with_more(wanted)
    for entity, place, name, kind in added(before, after):
        values = {"entity": entity, "place": place, "name": name, "kind": kind}
        connection.execute(_DECLARE, values)
    return after


def declaration_of(rows: Iterable[Sequence[object]]) -> OwnColumns:
    """rows: what DECLARED gives."""
    columns: dict[str, list[OwnColumn]] = {entity: [] for entity in ENTITIES}
    for entity, name, kind in rows:
        columns[str(entity)].append(OwnColumn.model_validate({"name": name, "kind": kind}))
    return OwnColumns(user=tuple(columns["user"]), post=tuple(columns["post"]))


def added(before: OwnColumns, after: OwnColumns) -> list[tuple[str, int, str, str]]:
    """The rows of `after` that `before`, its prefix, lacks: as DECLARE takes them."""
    return [
        (entity, place, column.name, column.kind)
        for entity in ENTITIES
        for place, column in enumerate(after.of(entity))
        if place >= len(before.of(entity))
    ]
