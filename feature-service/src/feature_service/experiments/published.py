"""The running experiments and the rule sets, copied from Postgres into Redis: they are served with Postgres down."""

from __future__ import annotations

import json
from hashlib import blake2b

from contracts.clock import REAL
from sqlalchemy import Connection, Engine, text

from feature_service.database.queries import query
from feature_service.experiments.definitions import running_definitions
from feature_service.experiments.rule_sets import rule_set_definitions
from feature_service.keyspace.connection import Client
from feature_service.keyspace.keys import EXPERIMENTS

LOCK_EXPERIMENTS = text("SELECT pg_advisory_xact_lock(8002)")
"""Held by whoever changes or publishes experiments or rule sets, until their transaction ends: the last to write into
Redis is the last to have read."""

_LAST_DECIDED = query(__package__, "last_decided")


def publish_experiments(connection: Connection, client: Client) -> None:
    """Writes `Running` without its clock, as the connection, in a transaction of its own, sees it."""
    connection.execute(LOCK_EXPERIMENTS)
    body = {
        "experiments": running_definitions(connection),
        "otherwise": otherwise(connection),
        "rule_sets": rule_set_definitions(connection),
    }
    client.set(EXPERIMENTS, json.dumps(body, ensure_ascii=False))


def publish(engine: Engine, client: Client) -> None:
    with engine.begin() as connection:
        publish_experiments(connection, client)


def otherwise(connection: Connection) -> str:
    """The ranker for users in no experiment: that of the group that the last decision shipped, else control's."""
    definition = connection.execute(_LAST_DECIDED).scalar_one_or_none()
    if definition is None:
        return "control"
    decision = definition["decision"]
    group = decision.get("group", "test") if decision["outcome"] == "ship" else "control"
    return str(definition["plan"]["rankers"].get(group, group))


def running_now(published: bytes, clock: bytes | None) -> tuple[bytes, str]:
    """`Running` as JSON, and its ETag."""
    body = published.rstrip()[:-1] + b', "clock": ' + (clock or REAL.model_dump_json().encode()) + b"}"
    return body, f'"{blake2b(body, digest_size=12).hexdigest()}"'
