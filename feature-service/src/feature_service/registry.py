"""Experiments in Postgres: read, changed under one lock, recorded, and published at once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import redis.exceptions
import structlog
from chassis.errors import NotFound, Unavailable
from contracts.experiments import Change, Edit, Experiment, ExperimentPage
from contracts.reports import ExperimentLine
from sqlalchemy import Connection, Engine, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import DBAPIError, TimeoutError

from feature_service.client import Client
from feature_service.database import naive
from feature_service.experiments import ALONE, publish
from feature_service.lifecycle import changed, created

_ALL = text("SELECT definition FROM experiments ORDER BY name")
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
_VERDICTS = text(
    "SELECT DISTINCT ON (experiment) experiment, report -> 'verdict' ->> 'kind' AS verdict FROM analysis_runs "
    "ORDER BY experiment, id DESC"
)
_NEWEST_RUN = text("SELECT max(id) FROM analysis_runs WHERE experiment = :name")

log = structlog.get_logger()


class Registry:
    """Raises Unavailable when Postgres is down. Every change is in one transaction, one at a time on the platform."""

    def __init__(self, engine: Engine, client: Client) -> None:
        self._engine, self._client = engine, client

    def lines(self) -> list[ExperimentLine]:
        with self._asking() as connection:
            verdicts = {row.experiment: row.verdict for row in connection.execute(_VERDICTS)}
            return [
                ExperimentLine(
                    name=experiment.name,
                    state=experiment.state,
                    mode=experiment.plan.mode,
                    started_at=experiment.started_at,
                    stopped_at=experiment.stopped_at,
                    verdict=verdicts.get(experiment.name),
                )
                for experiment in experiments(connection)
            ]

    def page(self, name: str) -> ExperimentPage:
        """Raises NotFound."""
        with self._asking() as connection:
            return ExperimentPage(experiment=experiment(connection, name), history=history(connection, name))

    def edit(self, name: str, edit: Edit, now: datetime) -> ExperimentPage:
        """Live in every gateway within two seconds. Raises InvalidParameter, Conflict: `feature_service.lifecycle`."""
        with self._asking() as connection:
            connection.execute(ALONE)
            every = experiments(connection)
            others = [each for each in every if each.name != name]
            current = next((each for each in every if each.name == name), None)
            if current is None:
                new, what = created(name, edit, others, now)
            else:
                run = connection.execute(_NEWEST_RUN, {"name": name}).scalar_one()
                new, what = changed(current, edit, others, now, run)
            if what:
                record(connection, new, now, by=edit.by, reason=edit.reason, what=what)
        self._publish()
        return self.page(name)

    def _publish(self) -> None:
        """What fails here is healed by ingest within seconds: the change itself is safe."""
        try:
            publish(self._engine, self._client)
        except (redis.exceptions.RedisError, DBAPIError, TimeoutError, OSError) as error:
            log.warning("experiments_not_published_yet", error=str(error).splitlines()[0])

    @contextmanager
    def _asking(self) -> Iterator[Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except (DBAPIError, TimeoutError) as error:
            raise Unavailable("experiments can't be read or changed now; those that run go on") from error


def experiments(connection: Connection) -> list[Experiment]:
    """All that ever were."""
    return [Experiment.model_validate(definition) for definition in connection.execute(_ALL).scalars()]


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
