"""Assignments: told once a user and weight period, whatever becomes of the request and whoever is down meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import httpx
import pytest
from contracts.experiments import Plan, periods

from tests.support.fakes.upstreams import Features, started
from tests.support.platforms.gateway_stage import Stage, gateway_stage, until


@pytest.fixture
def stage() -> Iterator[Stage]:
    with gateway_stage() as stage:
        yield stage


def told(features: Features) -> list[tuple[int, str, int]]:
    return [(line.user_id, line.group, line.weight_period) for line in features.assigned]


def test_every_enrolled_user_is_told_once(stage: Stage) -> None:
    now, users = datetime.now(UTC), list(range(200, 230))
    for user in [*users, *users]:
        stage.recommend(user)
    until(lambda: len(stage.features.assigned) >= 30)
    stage.stop("gateway")
    assert sorted(told(stage.features)) == [
        (user, stage.features.experiment.assign(user, now).group, 0) for user in users
    ]
    assert all(abs((line.at - now).total_seconds()) < 10 for line in stage.features.assigned)


def test_a_new_weight_period_tells_again(stage: Stage) -> None:
    stage.recommend(200)
    before, now = stage.features.experiment, datetime.now(UTC)
    plan = before.plan.model_copy(update={"weights": {"control": 0.0, "test": 1.0}})
    stage.features.run(before.model_copy(update={"plan": plan, "periods": periods(plan, now, before.periods, "more")}))
    stage.await_poll()
    stage.recommend(200)
    stage.stop("gateway")
    group = before.assign(200, now).group
    assert told(stage.features) == [(200, group, 0), (200, "test", 1)]


def test_previews_and_whoever_is_not_enrolled_are_not_told(stage: Stage) -> None:
    stage.features.run(started(Plan(enrolment=0.0)))
    stage.await_poll()
    stage.recommend(200)
    stage.in_group("test")
    stage.stop("gateway")
    assert stage.features.assigned == []


def test_a_dead_ranker_does_not_hide_who_was_assigned_to_it(stage: Stage) -> None:
    stage.stop("test")
    for user in range(200, 230):
        stage.recommend(user)
    stage.stop("gateway")
    groups = [group for _, group, _ in told(stage.features)]
    assert groups.count("test") > 5
    assert len(groups) == 30


def test_assignments_wait_while_feature_service_does_not_take_them(stage: Stage) -> None:
    stage.features.assigned_status = 503
    for user in range(200, 210):
        assert stage.recommend(user).status_code == 200
    until(lambda: "gateway_waiting_assignments 10.0" in stage.http.get("/metrics").text)
    assert "X-Degraded" not in stage.recommend(200).headers  # its failures are no reason to give up rows
    stage.features.assigned_status = 202
    until(lambda: len(stage.features.assigned) == 10, seconds=8)


def test_what_is_still_waiting_at_the_stop_is_sent_then(stage: Stage) -> None:
    stage.recommend(200)
    stage.stop("gateway")
    assert [line.user_id for line in stage.features.assigned] == [200]


def test_a_user_whom_nothing_could_be_given_was_assigned_all_the_same(stage: Stage) -> None:
    """Nothing to fall back on, and rankers down: 503, and the assignment counts."""
    stage.features.popular_status = 503
    with gateway_stage(stage.features, wait=False) as bare:
        until(lambda: "experiments" not in bare.http.get("/readyz").json()["reasons"])
        bare.stop("control")
        bare.stop("test")
        assert bare.recommend(200).status_code == 503
        bare.stop("gateway")
    assert [line.user_id for line in stage.features.assigned] == [200]


def test_lines_that_feature_service_refuses_are_counted_and_not_sent_for_ever(stage: Stage) -> None:
    stage.features.assigned_status = 422
    stage.recommend(200)
    until(lambda: _lost(stage.http, "refused") >= 1.0)
    stage.features.assigned_status = 202
    stage.recommend(201)
    until(lambda: [line.user_id for line in stage.features.assigned] == [201])


def _lost(http: httpx.Client, reason: str) -> float:
    lines = http.get("/metrics").text.splitlines()
    result = [line for line in lines if line.startswith(f'gateway_lost_assignments_total{{reason="{reason}"}}')]
    return float(result[0].split()[-1]) if result else 0.0
