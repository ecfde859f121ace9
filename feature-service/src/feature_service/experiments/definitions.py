"""Experiments and their history in Postgres."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from chassis.errors import NotFound
from contracts.experiments import Change, Experiment
from sqlalchemy import Connection, text
from sqlalchemy.dialects.postgresql import JSONB

from feature_service.database.engine import naive
from feature_service.database.queries import query

_ALL = text("SELECT definition FROM experiments ORDER BY name")
_RUNNING = text("SELECT definition FROM experiments WHERE state = 'running' ORDER BY name")
_ONE = text("SELECT definition FROM experiments WHERE name = :name")
_PUT = query(__package__, "put", definition=JSONB())
_RECORD = query(__package__, "record", definition=JSONB())
_HISTORY = text("SELECT at, by, reason, what, revision FROM experiment_history WHERE name = :name ORDER BY id")


def experiments(connection: Connection) -> list[Experiment]:
    """All, in every state."""
    return [Experiment.model_validate(definition) for definition in connection.execute(_ALL).scalars()]


def running(connection: Connection) -> list[Experiment]:
    return [Experiment.model_validate(definition) for definition in running_definitions(connection)]


def running_definitions(connection: Connection) -> Sequence[dict[str, Any]]:
    """As JSON, not validated: what Postgres holds is what gateways get."""
    return connection.execute(_RUNNING).scalars().all()


def experiment(connection: Connection, name: str) -> Experiment:
    """Raises NotFound."""
    definition = connection.execute(_ONE, {"name": name}).scalar_one_or_none()
    if definition is None:
        raise NotFound(f"there is no experiment {name}")
    return Experiment.model_validate(definition)


def history(connection: Connection, name: str) -> list[Change]:
    """Oldest first."""
    rows = connection.execute(_HISTORY, {"name": name})
    return [
        Change(at=row.at.replace(tzinfo=UTC), **{k: v for k, v in row._mapping.items() if k != "at"}) for row in rows
    ]


def record(connection: Connection, new: Experiment, now: datetime, *, by: str, reason: str, what: str) -> None:
    """Writes the experiment and the line of its history; the caller holds `published.LOCK_EXPERIMENTS`."""
    definition = json.loads(new.model_dump_json())
    values = {"name": new.name, "definition": definition, "revision": new.revision}
    connection.execute(_PUT, {**values, "state": new.state})
    connection.execute(_RECORD, {**values, "at": naive(now), "reason": reason, "by": by, "what": what})
