"""How far each shard of the event log has been written into Postgres: what fences ingest, and what reports wait for."""

from __future__ import annotations

from sqlalchemy import Connection, text

from feature_service.keyspace.keys import BEGINNING

_OFFSETS = text("SELECT shard, position FROM shard_offsets")
_OFFSET = text("SELECT position FROM shard_offsets WHERE shard = :shard")
_FIRST_OFFSET = text("INSERT INTO shard_offsets (shard, position) VALUES (:shard, '0-0') ON CONFLICT DO NOTHING")
_LOCK_OFFSET = text("SELECT position FROM shard_offsets WHERE shard = :shard FOR UPDATE")
_SET_OFFSET = text("UPDATE shard_offsets SET position = :position WHERE shard = :shard")


def read_all(connection: Connection) -> dict[int, str]:
    """How far each shard has been written; a shard that never was is not in it."""
    return {row.shard: row.position for row in connection.execute(_OFFSETS)}


def read(connection: Connection, shard: int) -> str:
    position: str | None = connection.execute(_OFFSET, {"shard": shard}).scalar_one_or_none()
    return position or BEGINNING


def lock(connection: Connection, shard: int) -> str:
    """The offset, ours until the transaction ends. The row is created first: a missing row can't be locked."""
    position: str | None = connection.execute(_LOCK_OFFSET, {"shard": shard}).scalar_one_or_none()
    if position is None:
        connection.execute(_FIRST_OFFSET, {"shard": shard})
        position = str(connection.execute(_LOCK_OFFSET, {"shard": shard}).scalar_one())
    return position


def move(connection: Connection, shard: int, position: str) -> None:
    connection.execute(_SET_OFFSET, {"shard": shard, "position": position})
