"""Experiments as data: saved with their reason, live at once, refused by name, frozen when they stop."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from contracts.clock import Clock
from contracts.experiments import Experiment, ExperimentPage, RunningExperiments
from feature_service.keyspace.clock import set_clock
from sqlalchemy import text

from tests.support.platforms.feature_platform import FeaturePlatform, feature_platform


@pytest.fixture
def platform(postgres_url: str, redis_url: str) -> Iterator[FeaturePlatform]:
    with feature_platform(postgres_url, redis_url) as running:
        yield running


def _put(platform: FeaturePlatform, name: str, **edit: Any) -> httpx.Response:
    return platform.http.put(f"/experiments/{name}", json={"reason": "a test", **edit})


def _saved(platform: FeaturePlatform, name: str, **edit: Any) -> Experiment:
    answer = _put(platform, name, **edit)
    assert answer.status_code == 200, answer.text
    return ExperimentPage.model_validate_json(answer.content).experiment


def _running(platform: FeaturePlatform) -> RunningExperiments:
    return RunningExperiments.model_validate_json(platform.http.get("/running").raise_for_status().content)


def _stop_models(platform: FeaturePlatform) -> None:
    _saved(platform, "models", state="stopped")


def test_the_platform_starts_with_one_experiment_whose_groups_are_those_of_before(platform: FeaturePlatform) -> None:
    (models,) = _running(platform).experiments
    assert (models.name, models.enrolment_salt, models.group_salt) == ("models", "models.enrolment", "models.group")
    now = datetime.now(UTC)
    assert models.is_on(now)
    assert models.periods[0].table == "0" * 5000 + "1" * 5000
    assert [models.assign(user, now).group for user in (200, 201)] == ["control", "test"]


def test_a_new_experiment_is_live_in_the_same_moment_and_its_history_says_why(platform: FeaturePlatform) -> None:
    _stop_models(platform)
    page = ExperimentPage.model_validate_json(
        _put(platform, "titles", plan={"enrolment": 0.1}, state="running", by="ada", reason="longer titles").content
    )
    assert [each.name for each in _running(platform).experiments] == ["titles"]
    (line,) = page.history
    assert (line.by, line.reason, line.revision) == ("ada", "longer titles", 1)
    assert line.what == "created: ab, weights control 50 %, test 50 %, enrolment 10 %; started"
    lines = {line["name"]: line["state"] for line in platform.http.get("/experiments").json()}
    assert lines == {"models": "stopped", "titles": "running"}


def test_the_poll_is_answered_with_304_until_something_changes(platform: FeaturePlatform) -> None:
    etag = platform.http.get("/running").headers["ETag"]
    assert platform.http.get("/running", headers={"If-None-Match": etag}).status_code == 304
    _saved(platform, "models", plan={"weights": {"control": 0.9, "test": 0.1}, "group_salt": "models.group",
                                     "enrolment_salt": "models.enrolment"})  # fmt: skip
    answer = platform.http.get("/running", headers={"If-None-Match": etag})
    assert answer.status_code == 200
    assert answer.headers["ETag"] != etag


def test_the_platforms_clock_is_told_to_gateways_and_dates_what_comes_without_a_time(platform: FeaturePlatform) -> None:
    then = datetime(2031, 5, 1, 12, tzinfo=UTC)
    set_clock(platform.client, Clock(since=datetime.now(UTC), then=then, speed=1))
    assert _running(platform).clock.then == then
    time.sleep(1.1)
    platform.send({"key": "c", "user_id": 200, "post_id": 25, "action": "view"})
    platform.settle()
    assert platform.count("feed_data", "timestamp BETWEEN '2031-05-01 12:00' AND '2031-05-01 12:01'") == 1
    set_clock(platform.client, None)
    assert platform.http.get("/running").json()["clock"]["speed"] == 1.0


def test_changed_weights_begin_a_period_and_move_only_whom_they_must(platform: FeaturePlatform) -> None:
    before = _running(platform).experiments[0]
    plan = before.plan.model_dump(mode="json") | {"weights": {"control": 0.9, "test": 0.1}}
    after = _saved(platform, "models", plan=plan, revision=1, reason="test is slow")
    assert [period.reason for period in after.periods] == ["start", "test is slow"]
    assert after.revision == 2
    moved = sum(a != b for a, b in zip(before.periods[0].table, after.periods[1].table, strict=True))
    assert moved == 4000
    assert _running(platform).experiments[0] == after


def test_a_save_on_an_old_revision_is_refused(platform: FeaturePlatform) -> None:
    plan = _running(platform).experiments[0].plan.model_dump(mode="json")
    _saved(platform, "models", plan=plan | {"forced": {"7": "test"}}, revision=1)
    late = _put(platform, "models", plan=plan, revision=1)
    assert (late.status_code, late.json()["error"], late.json()["field"]) == (409, "conflict", "revision")
    assert _running(platform).experiments[0].plan.forced == {7: "test"}


def test_enrolment_may_grow_while_it_runs_and_not_shrink(platform: FeaturePlatform) -> None:
    _stop_models(platform)
    _saved(platform, "grows", plan={"enrolment": 0.1}, state="running")
    assert _saved(platform, "grows", plan={"enrolment": 0.3}).plan.slice == range(3000)
    smaller = _put(platform, "grows", plan={"enrolment": 0.2})
    assert (smaller.status_code, smaller.json()["field"]) == (409, "plan.enrolment")


@pytest.mark.parametrize(
    "change",
    [
        {"rules": {"alpha": 0.1}},
        {"guardrails": []},
        {"group_salt": "another"},
        {"mode": "shadow"},
        {"layer": "other"},
        {"enrolment_from": 0.5},
        {"rankers": {"control": "control", "test": "control"}},
        {"exploration": 0.1},
        {"watched": []},
    ],
)
def test_what_the_decision_stands_on_is_locked_after_the_start(
    platform: FeaturePlatform, change: dict[str, object]
) -> None:
    _stop_models(platform)
    _saved(platform, "locked", plan={"enrolment": 0.5}, state="running")
    answer = _put(platform, "locked", plan={"enrolment": 0.5} | change)
    assert answer.status_code == 409
    assert answer.json()["field"] == f"plan.{next(iter(change))}"
    assert "stop it and start a new one" in answer.json()["message"]


@pytest.mark.parametrize(
    ("plan", "field", "reason"),
    [
        ({"weights": {"control": 0.5, "test": 0.6}}, "plan.weights", "add up to 1.1"),
        ({"rankers": {"control": "control"}}, "plan.weights", "no ranker"),
        ({"starts_at": "2031-02-02", "ends_at": "2031-02-01"}, "plan.ends_at", "before starts_at"),
        ({"ends_at": "2020-02-02"}, "plan.ends_at", "lies in the past"),
        ({"mode": "ramp"}, "plan.ramp", "has steps"),
        ({"enrolment": 2}, "plan.enrolment", "less than or equal to 1"),
        ({"forced": {"5": "blue"}}, "plan.forced.5", "control"),
        ({"rules": {"min_days": 30}}, "plan.rules", "min_days 30"),
        (
            {"guardrails": [{"metric": "error_share"}, {"metric": "error_share"}]},
            "plan.guardrails",
            "stands there twice",
        ),
        ({"colour": "red"}, "plan.colour", "Extra"),
        ({"group_salt": "models.group"}, "plan.group_salt", "used by models"),
        ({"group_salt": "models.enrolment"}, "plan.group_salt", "enrolment salt of models"),
        ({"enrolment_salt": "mine"}, "plan.enrolment_salt", "layer models has models.enrolment"),
        ({"layer": "texts", "enrolment_salt": "models.enrolment"}, "plan.enrolment_salt", "used by models"),
        ({"layer": "texts"}, "plan.layer", "decides what users see already"),
        ({"enrolment_from": 0.5, "enrolment": 0.5}, "plan.enrolment_from", "overlap 0% to 100%, which models has"),
    ],
)
def test_a_bad_start_is_refused_with_its_field_and_reason(
    platform: FeaturePlatform, plan: dict[str, object], field: str, reason: str
) -> None:
    answer = _put(platform, "new", plan=plan, state="running")
    assert answer.status_code == 422, answer.text
    assert answer.json()["field"] == field
    assert reason in answer.json()["message"]
    assert platform.http.get("/experiments/new").status_code == 404
    assert [each.name for each in _running(platform).experiments] == ["models"]


def test_two_slices_of_a_layer_and_a_shadow_in_another_one_run_side_by_side(platform: FeaturePlatform) -> None:
    _stop_models(platform)
    _saved(platform, "low", plan={"enrolment": 0.5}, state="running")
    _saved(platform, "high", plan={"enrolment_from": 0.5, "enrolment": 0.5}, state="running")
    _saved(platform, "beside", plan={"mode": "shadow", "layer": "shadows"}, state="running")
    running = _running(platform).experiments
    assert [each.name for each in running] == ["beside", "high", "low"]
    now = datetime.now(UTC)
    for user in range(300):
        assert [each.assign(user, now).enrolled for each in running if each.plan.is_seen].count(True) == 1
    wider = _put(platform, "low", plan={"enrolment": 0.6})
    assert (wider.status_code, wider.json()["field"]) == (422, "plan.enrolment_from")


def test_a_salt_of_an_archived_experiment_stays_used(platform: FeaturePlatform) -> None:
    _stop_models(platform)
    _saved(platform, "old", plan={"group_salt": "gold"}, state="running")
    _saved(platform, "old", state="stopped")
    _saved(platform, "old", state="archived")
    again = _put(platform, "young", plan={"group_salt": "gold"})
    assert (again.status_code, again.json()["field"]) == (422, "plan.group_salt")
    assert platform.http.get("/experiments/old").json()["experiment"]["state"] == "archived"


def test_an_experiment_goes_from_draft_to_archive_and_never_back(platform: FeaturePlatform) -> None:
    _stop_models(platform)
    _saved(platform, "life", plan={})
    _saved(platform, "life", plan={"enrolment": 0.2})
    assert _put(platform, "life", state="stopped").status_code == 409
    _saved(platform, "life", state="running")
    for state in ("draft", "archived"):
        assert _put(platform, "life", state=state).json()["field"] == "state"
    stopped = _saved(platform, "life", state="stopped")
    assert stopped.stopped_at is not None
    assert _put(platform, "life", state="running").status_code == 409
    frozen = _put(platform, "life", plan={"enrolment": 0.3})
    assert (frozen.status_code, frozen.json()["field"]) == (409, "plan.enrolment")
    _saved(platform, "life", state="archived")
    assert _put(platform, "life", state="stopped").status_code == 409
    changes = platform.http.get("/experiments/life").json()["history"]
    assert [change["revision"] for change in changes] == [1, 2, 3, 4, 5]
    assert [change["what"].split(":")[0] for change in changes][2:] == ["started", "stopped", "archived"]


def test_a_decision_to_ship_stops_the_experiment_and_gives_everybody_its_ranker(platform: FeaturePlatform) -> None:
    assert _running(platform).otherwise == "control"
    shipped = _saved(platform, "models", decision="ship", by="ada", reason="ten per cent more likes")
    assert shipped.state == "stopped"
    assert shipped.decision is not None
    assert (shipped.decision.outcome, shipped.decision.by) == ("ship", "ada")
    running = _running(platform)
    assert (running.experiments, running.otherwise) == ([], "test")
    assert _put(platform, "models", decision="roll_back").status_code == 409


def test_a_stopped_experiment_can_still_be_decided_once(platform: FeaturePlatform) -> None:
    _stop_models(platform)
    assert _saved(platform, "models", decision="keep_control").decision is not None
    assert _running(platform).otherwise == "control"


def test_a_ramp_is_a_schedule_of_periods(platform: FeaturePlatform) -> None:
    _stop_models(platform)
    start = datetime.now(UTC)
    steps = [
        {"at": (start + timedelta(days=day)).isoformat(), "weights": {"control": 1 - share, "test": share}}
        for day, share in ((1, 0.2), (2, 0.5))
    ]
    plan = {"mode": "ramp", "ramp": steps, "weights": {"control": 0.95, "test": 0.05}}
    ramp = _saved(platform, "slowly", plan=plan, state="running")
    assert [period.weights["test"] for period in ramp.periods] == [0.05, 0.2, 0.5]
    assert [ramp.period(start + timedelta(days=day)) for day in (0, 1, 2, 3)] == [0, 1, 2, 2]


def test_what_postgres_holds_is_published_again_by_ingest(platform: FeaturePlatform) -> None:
    platform.client.delete("experiments")
    assert platform.http.get("/running").status_code == 503
    platform.ingest.chores(datetime.now(UTC))
    assert [each.name for each in _running(platform).experiments] == ["models"]


def test_an_edit_without_a_reason_or_that_changes_nothing_leaves_no_trace(platform: FeaturePlatform) -> None:
    assert platform.http.put("/experiments/models", json={"state": "stopped"}).json()["field"] == "reason"
    assert _saved(platform, "models", state="running").revision == 1
    with platform.engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM experiment_history")).scalar_one() == 1
    assert _put(platform, "Bad Name", plan={}).status_code == 422
    assert _put(platform, "unknown", state="running").json()["field"] == "plan"
