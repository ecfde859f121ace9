"""Experiments and their history as they stand in Postgres."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from chassis.errors import NotFound
from contracts.experiments import Change, Experiment
from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from feature_service.database.engine import naive

_ALL = text("SELECT definition FROM experiments ORDER BY name")
_RUNNING = text("SELECT definition FROM experiments WHERE state = 'running' ORDER BY name")
_ONE = text("SELECT definition FROM experiments WHERE name = :name")
_PUT = text(
    "INSERT INTO experiments (name, definition, state, revision) VALUES (:name, :definition, :state, :revision) "
    "ON CONFLICT (name) DO UPDATE SET definition = excluded.definition, state = excluded.state, "
    "revision = excluded.revision"
).bindparams(bindparam("definition", type_=JSONB))
_RECORD = text(
    "INSERT INTO experiment_history (name, at, reason, definition, by, what, revision) "
    "VALUES (:name, :at, :reason, :definition, :by, :what, :revision)"
).bindparams(bindparam("definition", type_=JSONB))
_HISTORY = text("SELECT at, by, reason, what, revision FROM experiment_history WHERE name = :name ORDER BY id")


def experiments(connection: Connection) -> list[Experiment]:
    """All that ever were."""
    return [Experiment.model_validate(definition) for definition in connection.execute(_ALL).scalars()]


def running(connection: Connection) -> list[Experiment]:
    return [Experiment.model_validate(definition) for definition in connection.execute(_RUNNING).scalars()]


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
    """The experiment and the line of its history; the caller holds `experiments.ALONE`."""
    definition = json.loads(new.model_dump_json())
    values = {"name": new.name, "definition": definition, "revision": new.revision}
    connection.execute(_PUT, {**values, "state": new.state})
    connection.execute(_RECORD, {**values, "at": naive(now), "reason": reason, "by": by, "what": what})
