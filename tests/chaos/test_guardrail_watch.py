"""A group that harms loses its traffic within seconds; the experiment goes on, and its report says what happened."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from contracts.clock import REAL, Clock
from contracts.experiments import Experiment, RunningExperiments
from contracts.reports import Report
from feature_service.experiments.definitions import experiment as read_experiment
from feature_service.experiments.guardrails import FEWEST, GuardrailWatch
from feature_service.ingest.health import Health
from feature_service.ingest.rounds import run
from feature_service.keyspace.clock import set_clock
from feature_service.reports.analysis import analyse
from feature_service.settings import Settings
from sqlalchemy import Engine

from tests.support.data.experiment_rows import exposure, put, start, write
from tests.support.platforms.feature_platform import SHARDS, FeaturePlatform, feature_platform

JSON = {"Content-Type": "application/json"}
SLOW = {"took_ms": 450.0}
FAILED = {"degraded": "ranker_timeout", "model": "popular", "model_version": ""}


@pytest.fixture
def platform(postgres_url: str, redis_url: str) -> Iterator[FeaturePlatform]:
    with feature_platform(postgres_url, redis_url) as running:
        yield running


@contextmanager
def _ingesting(platform: FeaturePlatform) -> Iterator[None]:
    settings = Settings(postgres_url=platform.postgres_url, redis_url=platform.redis_url, shards=SHARDS)
    stop = threading.Event()
    thread = threading.Thread(target=run, args=(settings, stop, Health()))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _running(platform: FeaturePlatform) -> dict[str, Experiment]:
    running = RunningExperiments.model_validate_json(platform.http.get("/running").raise_for_status().content)
    return {each.name: each for each in running.experiments}


def _users(experiment: Experiment, group: str, many: int, at: datetime) -> list[int]:
    everyone = (user for user in range(1_000, 10_000) if experiment.assign(user, at).group == group)
    return [next(everyone) for _ in range(many)]


def _answers(engine: Engine, experiment: Experiment, group: str, many: int, at: datetime, **other: object) -> None:
    users = _users(experiment, group, many, at)
    write(engine, [exposure(experiment, f"{at.timestamp()}{user}{len(other)}", user, at, **other) for user in users])


def _look(platform: FeaturePlatform, real: datetime, clock: Clock | None = None) -> list[str]:
    return GuardrailWatch(platform.engine, platform.client).look(real, clock or REAL)


def test_a_group_that_is_slow_has_no_traffic_ten_seconds_later(platform: FeaturePlatform) -> None:
    """From the answers, over the log and ingest, to what every gateway polls."""
    models = _running(platform)["models"]
    with _ingesting(platform):
        time.sleep(3)
        assert len(_running(platform)["models"].periods) == 1
        for group, other in (("control", {}), ("test", SLOW)):
            for user in _users(models, group, 60, datetime.now(UTC)):
                shown = exposure(models, f"k{user}", user, datetime.now(UTC), **other)
                answer = platform.http.post("/exposures", content=shown.model_dump_json(), headers=JSON)
                assert answer.status_code == 200
        breached = time.monotonic()
        while len(_running(platform)["models"].periods) == 1:
            assert time.monotonic() - breached < 10
            time.sleep(0.1)
    after = _running(platform)["models"]
    now = datetime.now(UTC)
    assert after.state == "running"
    assert after.periods[-1].weights == {"control": 1.0, "test": 0.0}
    assert {after.assign(user, now).group for user in range(1_000, 3_000)} == {"control"}
    history = platform.http.get("/experiments/models").json()["history"]
    assert history[-1]["by"] == "guardrail"
    assert history[-1]["reason"].startswith("guardrail slow_share (over 200 ms): 60 of 60 answers in the last minute")
    report = analyse(platform.engine, "models", now)
    assert report.verdict.kind == "roll_back"
    assert report.verdict.reasons[0].startswith("Slower than 200 ms: 100.00 % of test's")


def test_the_verdict_stays_roll_back_when_the_harm_is_long_over(platform: FeaturePlatform) -> None:
    models, real = _running(platform)["models"], datetime.now(UTC)
    for group in ("control", "test"):
        _answers(platform.engine, models, group, 1_000, real - timedelta(hours=1))
    _answers(platform.engine, models, "test", 60, real - timedelta(seconds=5), **SLOW)
    assert _look(platform, real) == ["models"]
    report: Report = analyse(platform.engine, "models", datetime.now(UTC))
    rule = next(rule for rule in report.guardrails if rule.metric == "slow_share")
    assert rule.state == "breached"
    assert report.verdict.kind == "roll_back"
    assert _look(platform, real) == [], "once"


@pytest.mark.parametrize(
    ("many", "failed", "breached"),
    [(FEWEST - 1, FEWEST - 1, False), (200, 4, False), (200, 8, False), (200, 30, True)],
)
def test_only_a_share_that_is_certainly_past_its_limit_counts(
    platform: FeaturePlatform, many: int, failed: int, breached: bool
) -> None:
    """Limits are 2 % failed, 5 % fallbacks; 8 of 200 are 4 %, and could be chance."""
    models, real = _running(platform)["models"], datetime.now(UTC)
    users = _users(models, "test", many, real)
    at = real - timedelta(seconds=10)
    write(
        platform.engine,
        [exposure(models, f"{user}", user, at, **(FAILED if n < failed else {})) for n, user in enumerate(users)],
    )
    assert _look(platform, real) == (["models"] if breached else [])


def test_controls_own_trouble_and_answers_of_before_take_nothing_back(platform: FeaturePlatform) -> None:
    models, real = _running(platform)["models"], datetime.now(UTC)
    _answers(platform.engine, models, "control", 100, real - timedelta(seconds=5), **SLOW)
    _answers(platform.engine, models, "test", 100, real - timedelta(seconds=70), **SLOW)
    assert _look(platform, real) == []


def test_traffic_that_is_given_back_is_judged_by_its_own_answers(platform: FeaturePlatform) -> None:
    models, real = _running(platform)["models"], datetime.now(UTC)
    _answers(platform.engine, models, "test", 60, real - timedelta(seconds=5), **SLOW)
    assert _look(platform, real) == ["models"]
    plan = models.plan.model_dump(mode="json") | {"weights": {"control": 0.9, "test": 0.1}}
    given = put(platform.engine, "models", real + timedelta(seconds=1), plan=plan)
    assert given.periods[-1].weights["test"] == 0.1
    assert _look(platform, real + timedelta(seconds=2)) == []


def test_the_window_is_a_minute_of_real_time_however_fast_the_clock_runs(platform: FeaturePlatform) -> None:
    real = datetime.now(UTC)
    clock = Clock(since=real - timedelta(minutes=5), then=real - timedelta(days=1), speed=600)
    set_clock(platform.client, clock)
    fast = start(platform.engine, "fast", now=clock.at(real - timedelta(minutes=4)))
    _answers(platform.engine, fast, "test", 60, clock.at(real - timedelta(seconds=65)), **SLOW)
    assert _look(platform, real, clock) == []
    _answers(platform.engine, fast, "test", 60, clock.at(real - timedelta(seconds=55)), **SLOW)
    assert _look(platform, real, clock) == ["fast"]
    set_clock(platform.client, None)


def test_forced_testers_are_let_go_too(platform: FeaturePlatform) -> None:
    real = datetime.now(UTC)
    start(platform.engine, "testers", {"forced": {"7": "test", "8": "control"}}, real - timedelta(minutes=1))
    with platform.engine.connect() as connection:
        testers = read_experiment(connection, "testers")
    _answers(platform.engine, testers, "test", 60, real - timedelta(seconds=5), **FAILED)
    assert _look(platform, real) == ["testers"]
    after = _running(platform)["testers"]
    assert after.assign(7, real + timedelta(seconds=1)).group == "control"
    assert after.plan.forced == {8: "control"}


def test_an_interleaved_experiment_is_stopped_since_everybody_sees_both(platform: FeaturePlatform) -> None:
    real = datetime.now(UTC)
    drafts = start(platform.engine, "drafts", {"mode": "interleave"}, real - timedelta(minutes=1))
    for group in ("control", "test"):
        _answers(platform.engine, drafts, group, 60, real - timedelta(seconds=5), **FAILED)
    assert _look(platform, real) == ["drafts"]
    assert _running(platform) == {}
    assert analyse(platform.engine, "drafts", real).verdict.kind == "roll_back"


def test_a_planned_end_stops_the_experiment(platform: FeaturePlatform) -> None:
    now = datetime.now(UTC)
    end = now + timedelta(hours=1)
    start(platform.engine, "short", {"ends_at": end.isoformat()}, now)
    watch = GuardrailWatch(platform.engine, platform.client)
    assert watch.end(now) == []
    assert watch.end(end) == ["short"]
    page = platform.http.get("/experiments/short").json()
    assert page["experiment"]["state"] == "stopped"
    assert page["history"][-1]["reason"] == "the planned end has come"
