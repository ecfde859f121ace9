"""A test that answers badly loses its traffic within seconds and gets it back by itself; that is no verdict."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

import pytest
from contracts.clock import REAL, Clock
from contracts.experiments import Experiment, RunningExperiments
from feature_service.experiments.definitions import experiment as read_experiment
from feature_service.experiments.guardrails import FEWEST_SECONDS, FEWEST_USERS, GuardrailWatch
from feature_service.keyspace.clock import set_clock
from feature_service.reports.analysis import analyse
from sqlalchemy import Engine

from tests.support.data.experiment_rows import exposure, put, start, write
from tests.support.platforms.feature_platform import FeaturePlatform, feature_platform, ingesting

JSON = {"Content-Type": "application/json"}
SLOW = {"took_ms": 450.0}
FAILED = {"degraded": "ranker_timeout", "model": "popular", "model_version": ""}
GONE = {"degraded": "ranker_refused", "model": "popular", "model_version": ""}


@pytest.fixture
def platform(postgres_url: str, redis_url: str) -> Iterator[FeaturePlatform]:
    with feature_platform(postgres_url, redis_url) as running:
        yield running


def _running(platform: FeaturePlatform) -> dict[str, Experiment]:
    running = RunningExperiments.model_validate_json(platform.http.get("/running").raise_for_status().content)
    return {each.name: each for each in running.experiments}


def _users(experiment: Experiment, group: str, many: int, at: datetime) -> list[int]:
    everyone = (user for user in range(1_000, 10_000) if experiment.assign(user, at).group == group)
    return [next(everyone) for _ in range(many)]


def _answers(
    engine: Engine,
    experiment: Experiment,
    group: str,
    many: int,
    at: datetime,
    other: Mapping[str, object] | None = None,
    *,
    seconds: float = 10.0,
    speed: float = 1.0,
) -> None:
    """Each of another user, evenly over the seconds of real time that end at this time."""
    steps = [timedelta(seconds=seconds * speed * n / many) for n in range(many)]
    users = zip(_users(experiment, group, many, at), steps, strict=True)
    key = f"{at.timestamp()}{len(other or {})}"
    write(engine, [exposure(experiment, f"{key}{user}", user, at - step, **(other or {})) for user, step in users])


def _look(platform: FeaturePlatform, real: datetime, clock: Clock | None = None) -> list[str]:
    return GuardrailWatch(platform.engine, platform.client).look(real, clock or REAL)


def test_a_group_that_is_slow_has_no_traffic_ten_seconds_later(platform: FeaturePlatform) -> None:
    """From the answers, over the log and ingest, to what every gateway polls."""
    models = _running(platform)["models"]
    users = {group: _users(models, group, 60, datetime.now(UTC)) for group in ("control", "test")}
    with ingesting(platform):
        troubled = time.monotonic()
        for turn in range(6):
            for group, other in (("control", {}), ("test", SLOW)):
                for user in users[group][turn::6]:
                    shown = exposure(models, f"k{user}", user, datetime.now(UTC), **other)
                    answer = platform.http.post("/exposures", content=shown.model_dump_json(), headers=JSON)
                    assert answer.status_code == 202
            time.sleep(0.7)
        while len(_running(platform)["models"].periods) == 1:
            assert time.monotonic() - troubled < 14
            time.sleep(0.1)
    after = _running(platform)["models"]
    now = datetime.now(UTC)
    assert after.state == "running"
    assert after.periods[-1].weights == {"control": 1.0, "test": 0.0}
    assert {after.assign(user, now).group for user in range(1_000, 3_000)} == {"control"}
    history = platform.http.get("/experiments/models").json()["history"]
    assert history[-1]["by"] == "guardrail"
    assert history[-1]["what"] == "paused for 1 minutes: weights control 100 %, test 0 %"
    assert re.match(r"slow_share \(over 200 ms\): \d+ of \d+ answers in the last minute, 0 of", history[-1]["reason"])
    assert analyse(platform.engine, "models", now).verdict.kind == "too_early"


@pytest.mark.parametrize(
    ("many", "failed", "seconds", "pauses"),
    [
        (FEWEST_USERS - 1, FEWEST_USERS - 1, 10, False),
        (FEWEST_USERS, FEWEST_USERS, 10, True),
        (200, 4, 10, False),
        (200, 8, 10, False),
        (200, 30, 10, True),
        (200, 200, FEWEST_SECONDS - 1, False),
    ],
)
def test_only_a_share_that_is_certainly_past_its_limit_counts(
    platform: FeaturePlatform, many: int, failed: int, seconds: float, pauses: bool
) -> None:
    """Limits are 2 % failed, 5 % fallbacks; 8 of 200 are 4 %, and could be chance; a machine may stall for seconds."""
    models, real = _running(platform)["models"], datetime.now(UTC).replace(microsecond=0)
    at = real - timedelta(seconds=10, milliseconds=1)
    _answers(platform.engine, models, "control", 200, at)
    _answers(platform.engine, models, "test", failed, at, FAILED, seconds=seconds)
    _answers(platform.engine, models, "test", many - failed, at - timedelta(seconds=12))
    assert _look(platform, real) == (["models"] if pauses else [])


def test_trouble_of_both_and_answers_of_before_move_nothing(platform: FeaturePlatform) -> None:
    models, real = _running(platform)["models"], datetime.now(UTC)
    for group in ("control", "test"):
        _answers(platform.engine, models, group, 100, real - timedelta(seconds=5), SLOW)
    _answers(platform.engine, models, "test", 100, real - timedelta(seconds=70), FAILED)
    assert _look(platform, real) == []


def test_a_pause_ends_by_itself_and_grows_when_the_trouble_is_back(platform: FeaturePlatform) -> None:
    models, real = _running(platform)["models"], datetime.now(UTC)
    groups = {user: models.assign(user, real).group for user in range(1_000, 1_400)}
    for group in ("control", "test"):
        _answers(platform.engine, models, group, 300, real - timedelta(hours=1))
    for minutes in (1, 4, 16):
        at = real + timedelta(seconds=8)
        for group, other in (("control", {}), ("test", GONE)):
            _answers(platform.engine, models, group, 60, at, other, seconds=6)
        assert _look(platform, at) == ["models"]
        during = _running(platform)["models"]
        pause = during.pause(at)
        assert pause is not None
        assert (pause.why, pause.until) == ("unreachable", at + timedelta(minutes=minutes))
        assert {during.assign(user, at).group for user in groups} == {"control"}
        assert _look(platform, pause.until - timedelta(seconds=1)) == [], "it pauses"
        real = pause.until
        assert _look(platform, real) == ["models"]
        after = _running(platform)["models"]
        assert after.pause(real) is None
        assert {user: after.assign(user, real).group for user in groups} == groups, "nobody has changed groups"
    page = platform.http.get("/experiments/models").json()
    assert [line["what"].split(":")[0] for line in page["history"][-6:]] == [
        word for minutes in (1, 4, 16) for word in (f"paused for {minutes} minutes", "resumed")
    ]
    assert len({period["number"] for period in page["experiment"]["periods"]}) == 7
    report = analyse(platform.engine, "models", real)
    assert report.verdict.kind == "too_early", "a ranker that nobody reached says nothing of its model"
    states = {rule.metric: rule.state for rule in report.guardrails}
    assert (states["error_share"], states["fallback_share"]) == ("holds", "holds")


def test_a_pause_is_ended_by_hand_and_weights_put_back_are_never_ignored(platform: FeaturePlatform) -> None:
    models, real = _running(platform)["models"], datetime.now(UTC)
    _answers(platform.engine, models, "control", 60, real - timedelta(seconds=5))
    _answers(platform.engine, models, "test", 60, real - timedelta(seconds=5), SLOW)
    assert _look(platform, real) == ["models"]
    same = {"plan": models.plan.model_dump(mode="json"), "reason": "put back"}
    refused = platform.http.put("/experiments/models", json=same)
    assert refused.status_code == 409
    assert "resume it" in refused.text
    assert platform.http.put("/experiments/models", json={"resume": True, "reason": "mended"}).is_success
    assert _running(platform)["models"].pause(datetime.now(UTC)) is None
    again = platform.http.put("/experiments/models", json={"resume": True, "reason": "mended"})
    assert again.status_code == 409
    assert "does not pause" in again.text


def test_other_weights_end_a_pause_and_are_judged_by_their_own_answers(platform: FeaturePlatform) -> None:
    models, real = _running(platform)["models"], datetime.now(UTC)
    _answers(platform.engine, models, "control", 60, real - timedelta(seconds=5))
    _answers(platform.engine, models, "test", 60, real - timedelta(seconds=5), SLOW)
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
    _answers(platform.engine, fast, "control", 60, clock.at(real - timedelta(seconds=40)), speed=600)
    _answers(platform.engine, fast, "test", 60, clock.at(real - timedelta(seconds=62)), SLOW, speed=600)
    assert _look(platform, real, clock) == []
    _answers(platform.engine, fast, "test", 60, clock.at(real - timedelta(seconds=40)), SLOW, speed=600)
    assert _look(platform, real, clock) == ["fast"]
    set_clock(platform.client, None)


def test_forced_testers_are_let_go_too(platform: FeaturePlatform) -> None:
    real = datetime.now(UTC)
    start(platform.engine, "testers", {"forced": {"7": "test", "8": "control"}}, real - timedelta(minutes=1))
    with platform.engine.connect() as connection:
        testers = read_experiment(connection, "testers")
    _answers(platform.engine, testers, "control", 60, real - timedelta(seconds=5))
    _answers(platform.engine, testers, "test", 60, real - timedelta(seconds=5), FAILED)
    assert _look(platform, real) == ["testers"]
    after = _running(platform)["testers"]
    assert after.assign(7, real + timedelta(seconds=1)).group == "control"
    assert after.plan.forced == {7: "test", 8: "control"}, "they come back with the traffic"


def test_while_an_interleaved_experiment_pauses_everybody_sees_controls_list(platform: FeaturePlatform) -> None:
    real = datetime.now(UTC)
    drafts = start(platform.engine, "drafts", {"mode": "interleave"}, real - timedelta(minutes=1))
    for group in ("control", "test"):
        _answers(platform.engine, drafts, group, 60, real - timedelta(seconds=5), FAILED)
    assert _look(platform, real) == ["drafts"]
    after = _running(platform)["drafts"]
    during, later = real + timedelta(seconds=1), real + timedelta(minutes=1)
    assert (after.served(during).plan.mode, after.assign(1, during).group) == ("ab", "control")
    assert _look(platform, later) == ["drafts"]
    assert _running(platform)["drafts"].served(later).plan.mode == "interleave"


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
