"""Experiments and rule sets in Postgres: read, changed under one lock, recorded, and published at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from threading import Lock
from typing import Any

import redis.exceptions
import structlog
from chassis.errors import Unavailable
from contracts.experiments import Edit, Experiment, ExperimentPage
from contracts.reports import ExperimentLine, Reach, Report, RunLine, SanityCheck
from contracts.rules import RulesEdit, RuleSet, RulesPage
from sqlalchemy import Connection, Engine, Row, text
from sqlalchemy.exc import DBAPIError, TimeoutError

from feature_service.database.queries import query
from feature_service.experiments import rule_sets
from feature_service.experiments.definitions import experiment, experiments, history, record
from feature_service.experiments.lifecycle import changed, created
from feature_service.experiments.published import LOCK_EXPERIMENTS, publish
from feature_service.experiments.rule_sets import refuse_unknown_sets
from feature_service.keyspace.connection import Client
from feature_service.reports import runs, sanity
from feature_service.reports.analysis import analyse
from feature_service.reports.reach import reach

_VERDICTS = query(__package__, "verdicts")
_NEWEST_RUN = text("SELECT max(id) FROM analysis_runs WHERE experiment = :name")

log = structlog.get_logger()


class Registry:
    """Raises Unavailable when Postgres is down. Each change is one transaction, one at a time across the platform."""

    def __init__(self, engine: Engine, client: Client) -> None:
        self._engine, self._client = engine, client
        self._analysis_lock = Lock()

    def lines(self, now: datetime) -> list[ExperimentLine]:
        with self._transaction() as connection:
            newest = {row.experiment: row for row in connection.execute(_VERDICTS)}
            return [_line(each, newest.get(each.name), now) for each in experiments(connection)]

    def page(self, name: str) -> ExperimentPage:
        """Raises NotFound."""
        with self._transaction() as connection:
            return ExperimentPage(experiment=experiment(connection, name), history=history(connection, name))

    def edit(self, name: str, edit: Edit, now: datetime) -> ExperimentPage:
        """Live in every gateway within two seconds. Raises InvalidParameter, Conflict (see `experiments.lifecycle`)."""
        with self._transaction() as connection:
            connection.execute(LOCK_EXPERIMENTS)
            every = experiments(connection)
            others = [each for each in every if each.name != name]
            current = next((each for each in every if each.name == name), None)
            if edit.plan is not None:
                refuse_unknown_sets(connection, edit.plan)
            if current is None:
                new, what = created(name, edit, others, now)
            else:
                run = connection.execute(_NEWEST_RUN, {"name": name}).scalar_one()
                new, what = changed(current, edit, others, now, run)
            if what:
                record(connection, new, now, by=edit.by, reason=edit.reason, what=what)
        self._publish()
        return self.page(name)

    def rule_sets(self) -> list[RuleSet]:
        with self._transaction() as connection:
            return rule_sets.every(connection)

    def rules_page(self, name: str) -> RulesPage:
        """Raises NotFound."""
        with self._transaction() as connection:
            return rule_sets.page(connection, name)

    def edit_rules(self, name: str, edit: RulesEdit, now: datetime) -> RulesPage:
        """Live in every gateway within two seconds. Raises InvalidParameter, Conflict."""
        with self._transaction() as connection:
            connection.execute(LOCK_EXPERIMENTS)
            rule_sets.save(connection, name, edit, now)
        self._publish()
        return self.rules_page(name)

    def runs(self, name: str) -> list[RunLine]:
        """Newest first. Raises NotFound."""
        with self._transaction() as connection:
            return runs.lines(connection, name)

    def report(self, name: str, run: int | None, now: datetime) -> Report:
        """The run; without a number the newest, or one made on the spot if there is none. Raises NotFound."""
        with self._transaction() as connection:
            if (report := runs.stored(connection, name, run)) is not None:
                return report
        try:
            with self._analysis_lock:  # an analysis takes three connections
                return analyse(self._engine, name, now)
        except (DBAPIError, TimeoutError) as error:
            raise Unavailable("the report can't be made now") from error

    def sanity(self) -> list[SanityCheck]:
        """Each night's A/A of the platform's own traffic, newest first."""
        with self._transaction() as connection:
            return sanity.stored(connection)

    def reach(self, name: str, now: datetime) -> Reach:
        """Raises NotFound."""
        with self._transaction() as connection:
            return reach(connection, experiment(connection, name).plan, now)

    def _publish(self) -> None:
        """If this fails, ingest publishes within seconds: the change itself is safe."""
        try:
            publish(self._engine, self._client)
        except (redis.exceptions.RedisError, DBAPIError, TimeoutError, OSError) as error:
            log.warning("experiments_not_published_yet", error=str(error).splitlines()[0])

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except (DBAPIError, TimeoutError) as error:
            raise Unavailable("experiments can't be read or changed now; those that run go on") from error


def _line(experiment: Experiment, newest: Row[Any] | None, now: datetime) -> ExperimentLine:
    """newest: of its analysis runs. A lift that the page would hold back is left out."""
    plan, decision, until = experiment.plan, experiment.decision, experiment.stopped_at or now
    began = experiment.started_at and max(experiment.started_at, plan.starts_at or experiment.started_at)
    is_read = newest is not None and newest.verdict not in ("too_early", "split_failed")
    return ExperimentLine(
        name=experiment.name,
        state=experiment.state,
        mode=plan.mode,
        started_at=experiment.started_at,
        stopped_at=experiment.stopped_at,
        verdict=newest.verdict if newest else None,
        decision=decision.outcome if decision else None,
        group=decision.group if decision else newest.compared if newest else plan.compared[0],
        primary=plan.rules.primary,
        days=max(0.0, (until - began).total_seconds() / 86_400) if began else None,
        planned_days=plan.rules.days,
        users=newest.users if newest else None,
        lift=newest.lift if newest is not None and is_read else None,
    )
