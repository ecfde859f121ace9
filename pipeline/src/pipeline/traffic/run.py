"""One run of simulated traffic against the running platform: its clock, its experiment, its door."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import redis
from chassis.clients import http_client
from chassis.progress import OnProgress
from contracts.experiments import Change, Experiment
from feature_service.keyspace.clock import read_clock, set_clock
from feature_service.keyspace.connection import connect_redis

from pipeline import environment
from pipeline.errors import LentaError
from pipeline.experiment.api import experiments
from pipeline.home import Home
from pipeline.traffic.client import Door, Slate
from pipeline.traffic.clock import Pace
from pipeline.traffic.player import Label, Player
from pipeline.traffic.preferences import Minds
from pipeline.traffic.schedule import schedule
from pipeline.traffic.tally import Tally
from pipeline.world.truth import Truth

CALL_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Played:
    tally: Tally
    begin: datetime
    end: datetime
    experiments: list[Experiment]
    """What was running when it began; those that decide what is seen first."""
    changes: list[tuple[str, Change]]
    """What became of these experiments meanwhile: a breached guardrail takes a group's traffic back."""
    stopped: bool
    """By hand, before its end."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """What is to be played. at_once: requests in flight at most."""

    users: int
    days: float
    speed: float
    requests_per_user: float
    at_once: int
    seed: int


def play(home: Home, folder: Path, traffic: Traffic, on_progress: OnProgress) -> Played:
    """folder: of the loaded world. Raises LentaError where it has no truth, or the platform is not up."""
    truth = Truth.load(folder)
    rng = np.random.default_rng(traffic.seed)
    minds = Minds(truth, rng)
    chosen = [int(user) for user in rng.choice(minds.users, min(traffic.users, len(minds.users)), replace=False)]
    running = running_experiments(home)
    gateway, api_key = environment.require("LENTA_GATEWAY_URL", home), environment.require("LENTA_API_KEY", home)
    with connect_redis(environment.require("LENTA_REDIS_URL", home)) as client:
        try:
            pace = Pace(read_clock(client), lambda clock: set_clock(client, clock))
            pace.run(traffic.speed)
            begin = pace.begins
            coming = schedule(chosen, begin, traffic.days, traffic.requests_per_user, truth.spec, rng)
            tally, stopped = Tally(), False
            label = label_of(running, pace)

            async def played() -> None:
                async with http_client(gateway, timeout=CALL_SECONDS) as http:
                    door = Door(http, api_key)
                    at_once = traffic.at_once
                    await Player(door, pace, minds, coming, label, rng, on_progress, tally, at_once).play()

            try:
                asyncio.run(played())
            except KeyboardInterrupt:
                stopped = True
            finally:
                end = pace.now()
                _as_usual(pace)
        except redis.RedisError as error:
            raise LentaError(f"Redis does not answer: {error}; see `lenta status`") from error
    return Played(tally, begin, end, running, _changes(home, running), stopped)


def _as_usual(pace: Pace) -> None:
    """Back to real time, from a full hour on, when ingest has counted what was sent: the hour's snapshot holds it."""
    pace.run(1.0)
    time.sleep(pace.rest())
    pace.run(1.0, from_hour=True)


def running_experiments(home: Home) -> list[Experiment]:
    with experiments(home) as calls:
        names = [line.name for line in calls.lines() if line.state == "running"]
        running = [calls.page(name).experiment for name in names]
    return sorted(running, key=lambda experiment: (not experiment.plan.is_seen, experiment.name))


def _changes(home: Home, before: Sequence[Experiment]) -> list[tuple[str, Change]]:
    with experiments(home) as calls:
        return [
            (experiment.name, change)
            for experiment in before
            for change in calls.page(experiment.name).history
            if change.revision > experiment.revision
        ]


def label_of(running: Sequence[Experiment], pace: Pace) -> Label:
    """The group to which a user was assigned, with the experiment where several decide what is seen.

    Users who are not enrolled, or see a draft of both rankers, are labelled so."""
    seen = [experiment for experiment in running if experiment.plan.is_seen]

    def label(user: int, slate: Slate) -> str:
        now = pace.now()
        for experiment in seen:
            assigned = experiment.assign(user, now)
            if assigned.enrolled:
                group = "interleaved" if experiment.plan.mode == "interleave" else assigned.group
                return f"{experiment.name}: {group}" if len(seen) > 1 else group
        return "not enrolled" if seen else slate.group

    return label
