"""Data health beside the verdict, and whom a plan leaves out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from contracts.clock import Clock
from contracts.experiments import Experiment
from contracts.reports import HealthReading, Report
from contracts.wire import Exposure
from feature_service.database.engine import connect
from feature_service.keyspace.clock import set_clock
from feature_service.log.entries import StreamLog
from feature_service.reports.analysis import analyse
from feature_service.reports.runs import Analyst
from sqlalchemy import Engine, text

from tests.support.data.experiment_rows import POSTS, START, exposure, put, start, visits, write
from tests.support.platforms.feature_platform import SHARDS, feature_platform

USERS = range(1_000, 1_500)
LATER = START + timedelta(days=3)
RULES = {"min_users": 100, "min_days": 1, "days": 7}
CHANCE = {"control": 0.05, "test": 0.05}


@pytest.fixture
def engine(postgres_url: str) -> Iterator[Engine]:
    opened = connect(postgres_url, pool_size=5)
    yield opened
    opened.dispose()


def played(engine: Engine, **plan: object) -> tuple[Experiment, list[Exposure]]:
    """Three quiet days, each answer looked at."""
    experiment = start(engine, "healthy", {"rules": RULES, "guardrails": [], **plan})
    exposures, likes = visits(experiment, USERS, np.random.default_rng(1), chance=CHANCE, degraded=0.0)
    write(engine, exposures, likes)
    look_at(engine, exposures)
    return experiment, exposures


def look_at(engine: Engine, exposures: list[Exposure]) -> None:
    views = [
        {"t": each.served_at.replace(tzinfo=None) + timedelta(seconds=20), "u": each.user_id, "p": POSTS[0]}
        for each in exposures
    ]
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO feed_data VALUES (:t, :u, :p, 'view', 0)"), views)


def foreign(experiment: Experiment, many: int, ids: range, seconds: float) -> list[Exposure]:
    """Requests that nobody looks at, in the seconds before `LATER`."""
    return [
        exposure(experiment, f"foreign-{n}", ids[n % len(ids)], LATER - timedelta(seconds=seconds * (n + 1) / many))
        for n in range(many)
    ]


def check(report: Report, name: str) -> HealthReading:
    return next(each for each in report.health if each.check == name)


def test_quiet_traffic_that_is_looked_at_is_healthy(engine: Engine) -> None:
    played(engine)
    report = analyse(engine, "healthy", LATER)
    assert {each.check: each.state for each in report.health if each.state in ("odd", "bad")} == {}
    assert {each.check for each in report.health if each.state == "good"} >= {
        "bursts", "few_ids", "unseen", "unlogged", "degraded", "clock",
    }  # fmt: skip


def test_forty_thousand_foreign_requests_without_a_like_are_named_within_a_minute(
    postgres_url: str, redis_url: str
) -> None:
    with feature_platform(postgres_url, redis_url) as platform:
        experiment, _ = played(platform.engine)
        rows = foreign(experiment, 40_000, range(1_000, 3_000), 90.0)
        for begin in range(0, len(rows), 5_000):
            write(platform.engine, rows[begin : begin + 5_000])
        set_clock(platform.client, Clock(since=datetime.now(UTC), then=LATER, speed=1.0))
        began = time.monotonic()
        analyst = Analyst(platform.engine, platform.client, StreamLog(platform.client), SHARDS)
        assert "healthy" in analyst.round()
        report = Report.model_validate_json(platform.http.get("/experiments/healthy/report").content)
    assert time.monotonic() - began < 60
    bursts = check(report, "bursts")
    assert bursts.state == "bad"
    assert "40,000 of the last day's" in bursts.what
    assert bursts.what.endswith("with 0 likes")


def test_traffic_of_one_id_is_named_and_left_out_in_both_groups_for_all_to_see(engine: Engine) -> None:
    experiment, exposures = played(engine)
    before = analyse(engine, "healthy", LATER)
    robots = [next(user for user in range(5_000, 6_000) if experiment.assign(user, START).group == group)
              for group in ("control", "test")]  # fmt: skip
    write(engine, foreign(experiment, 1_000, range(robots[0], robots[0] + 1), 3_000.0))
    more = foreign(experiment, 400, range(robots[1], robots[1] + 1), 3_000.0)
    write(engine, [each.model_copy(update={"key": f"more-{each.key}"}) for each in more])
    report = analyse(engine, "healthy", LATER)
    few = check(report, "few_ids")
    assert few.state == "bad"
    assert f": {robots[0]}, {robots[1]}, " in few.what
    assert report.groups[0].exposures == before.groups[0].exposures + 1_000

    plan = experiment.plan.model_dump(mode="json")
    put(engine, "healthy", LATER, plan=plan | {"left_out": {"above_share": 400 / (len(exposures) + 1_400) - 0.01}})
    kept = analyse(engine, "healthy", LATER)
    assert [(out.group, out.users, out.exposures) for out in kept.left_out] == [("control", 1, 1_000), ("test", 1, 400)]
    put(engine, "healthy", LATER, plan=plan | {"left_out": {"users": robots}})
    named = analyse(engine, "healthy", LATER)
    for report in (kept, named):
        assert report.metrics == before.metrics
        assert report.groups == before.groups
        assert report.split.p_value == before.split.p_value
        assert check(report, "few_ids").state == "good"
    assert "left out of the analysis: 2 users" in named.history[-1].what


def test_likes_that_fall_away_and_answers_that_nobody_looks_at_are_named(engine: Engine) -> None:
    experiment, _ = played(engine)
    spread = foreign(experiment, 900, range(1_000, 1_500), 3_600.0)
    write(engine, spread)
    report = analyse(engine, "healthy", LATER + timedelta(minutes=6))
    lost, unseen = check(report, "likes_lost"), check(report, "unseen")
    assert (lost.state, unseen.state) == ("bad", "odd")
    assert "885 of the latest 1,483 answers were followed by no view" in unseen.what
    assert check(report, "bursts").state == "good"


def test_unlogged_and_degraded_answers_are_told_by_group(engine: Engine) -> None:
    experiment = start(engine, "healthy", {"rules": RULES, "guardrails": []})
    exposures, _ = visits(experiment, USERS, np.random.default_rng(1), degraded=0.0)
    bad = {"degraded": "features_timeout,unlogged"}
    write(engine, [each.model_copy(update=bad) if each.group == "test" and n % 10 == 0 else each
                   for n, each in enumerate(exposures)])  # fmt: skip
    report = analyse(engine, "healthy", LATER)
    unlogged, degraded = check(report, "unlogged"), check(report, "degraded")
    assert (unlogged.state, degraded.state) == ("bad", "odd")
    assert unlogged.groups["control"] == 0 < unlogged.groups["test"]
    assert "control 0.0 %, test " in degraded.what


def test_a_clock_that_runs_ahead_is_named(engine: Engine) -> None:
    experiment = start(engine, "healthy", {"rules": RULES, "guardrails": []})
    exposures, likes = visits(experiment, USERS, np.random.default_rng(1), chance=CHANCE, degraded=0.0)
    write(engine, exposures, likes)
    with engine.begin() as connection:
        connection.execute(text("UPDATE exposure_likes SET at = at - interval '90 seconds'"))
    clock = check(analyse(engine, "healthy", LATER), "clock")
    assert (clock.state, clock.share) == ("bad", 1.0)


def test_too_little_says_nothing(engine: Engine) -> None:
    start(engine, "healthy", {"rules": RULES})
    assert {each.state for each in analyse(engine, "healthy", LATER).health} == {"cannot_tell"}
