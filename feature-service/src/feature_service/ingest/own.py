"""The values of own columns that a PUT says, into Postgres. What it leaves out is missing from then on."""

from __future__ import annotations

from collections.abc import Mapping

from contracts.own import ENTITIES, Entity
from contracts.wire import OwnValue
from sqlalchemy import Connection, bindparam, text
from sqlalchemy.types import JSON

_SAY = {
    entity: text(
        f"INSERT INTO {entity}_own ({entity}_id, own) VALUES (:id, :own) "
        f"ON CONFLICT ({entity}_id) DO UPDATE SET own = excluded.own"
    ).bindparams(bindparam("own", type_=JSON()))
    for entity in ENTITIES
}
_SAY_NOTHING = {entity: text(f"DELETE FROM {entity}_own WHERE {entity}_id = :id") for entity in ENTITIES}


def write_own(connection: Connection, entity: Entity, number: int, own: Mapping[str, OwnValue] | None) -> None:
    """number: the id of a user or post that is written already."""
    if own:
        connection.execute(_SAY[entity], {"id": number, "own": dict(own)})
    else:
        connection.execute(_SAY_NOTHING[entity], {"id": number})
