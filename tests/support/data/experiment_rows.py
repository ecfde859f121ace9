"""What an experiment records, written straight into Postgres by the functions that ingest calls."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

import numpy as np
from contracts.experiments import Edit, Experiment, Plan
from contracts.wire import Assigned, Event, Exposure
from feature_service.experiments.definitions import experiment as read_experiment
from feature_service.experiments.definitions import experiments, record
from feature_service.experiments.lifecycle import changed, created
from feature_service.experiments.published import LOCK_EXPERIMENTS
from feature_service.ingest.attribution import attribute
from feature_service.ingest.exposures import record_assignments, record_exposures
from feature_service.log.entries import FeedEvent
from sqlalchemy import Engine

START = datetime(2026, 3, 1, tzinfo=UTC)
POSTS = [1, 2, 3, 4, 5]


def put(engine: Engine, name: str, now: datetime = START, **edit: object) -> Experiment:
    """As `PUT /experiments/{name}`, at a moment of our own."""
    wanted = Edit.model_validate({"reason": "a test", **edit})
    with engine.begin() as connection:
        connection.execute(LOCK_EXPERIMENTS)
        every = experiments(connection)
        others = [each for each in every if each.name != name]
        current = next((each for each in every if each.name == name), None)
        made = created(name, wanted, others, now) if current is None else changed(current, wanted, others, now)
        record(connection, made[0], now, by="test", reason=wanted.reason, what=made[1])
    return made[0]


def start(engine: Engine, name: str, plan: Mapping[str, object] | None = None, now: datetime = START) -> Experiment:
    """Replaces the platform's first experiment."""
    with engine.connect() as connection:
        if read_experiment(connection, "models").state == "running":
            put(engine, "models", now, state="stopped")
    return put(engine, name, now, plan=Plan.model_validate(plan or {}).model_dump(mode="json"), state="running")


def exposure(experiment: Experiment, key: str, user: int, at: datetime, **other: object) -> Exposure:
    assignment = experiment.assign(user, at)
    values = {
        "key": key,
        "user_id": user,
        "experiment": experiment.name,
        "mode": experiment.plan.mode,
        "group": assignment.group,
        "ranker": assignment.group,
        "model": assignment.group,
        "model_version": "v1",
        "posts": POSTS,
        "asked_for": at,
        "served_at": at,
        "took_ms": 8.0,
        "weight_period": assignment.weight_period,
    }
    return Exposure.model_validate(values | other)


def write(
    engine: Engine,
    exposures: Iterable[Exposure],
    likes: Iterable[tuple[str, int]] = (),
    assigned: Iterable[Assigned] = (),
) -> None:
    """likes: of exposures by key, and post."""
    exposures, by_key = list(exposures), {}
    for each in exposures:
        by_key[each.key] = each
    events = [
        FeedEvent(
            event=Event(key=f"{key} {post}", user_id=by_key[key].user_id, post_id=post, action="like", request_id=key),
            at=by_key[key].served_at + timedelta(minutes=1),
        )
        for key, post in likes
    ]
    with engine.begin() as connection:
        record_exposures(connection, exposures)
        if events:
            attribute(connection, events)
        record_assignments(connection, list(assigned), exposures)


def visits(
    experiment: Experiment,
    users: Iterable[int],
    rng: np.random.Generator,
    *,
    days: int = 3,
    chance: dict[str, float] | None = None,
    begin: datetime = START,
    degraded: float = 0.05,
) -> tuple[list[Exposure], list[tuple[str, int]]]:
    """Each user comes a few times a day or not at all; chance: of a like of each post, by group."""
    chance = chance or {"control": 0.05, "test": 0.08}
    exposures, likes = list[Exposure](), list[tuple[str, int]]()
    for user in users:
        taste = rng.gamma(2.0, 0.5)
        for day in range(days):
            for _ in range(int(rng.poisson(1.2))):
                at = begin + timedelta(days=day, seconds=float(rng.uniform(0, 86_000)))
                failed = {"degraded": "ranker_timeout", "model_version": ""} if rng.random() < degraded else {}
                made = exposure(experiment, f"{experiment.name}-{user}-{len(exposures)}", user, at, **failed)
                exposures.append(made)
                likes += [(made.key, post) for post in POSTS if rng.random() < taste * chance[made.group]]
    return exposures, likes
