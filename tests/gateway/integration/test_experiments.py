"""Running experiments in the gateway: who decides what a user gets, by which clock, and what the exposure says."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import numpy as np
import pytest
from contracts.clock import Clock
from contracts.experiments import Plan, RampStep, RunningExperiments
from contracts.headers import DEGRADED
from gateway.app import create

from tests.support.fakes.gateway import served
from tests.support.fakes.upstreams import POPULAR, Features, all_in, started
from tests.support.platforms.gateway_stage import Stage, gateway_stage, until

HALVES = (Plan(enrolment=0.5), Plan(enrolment_from=0.5, enrolment=0.5))


@pytest.fixture
def stage() -> Iterator[Stage]:
    with gateway_stage() as stage:
        yield stage


def test_a_plain_request_costs_the_row_the_ranking_and_the_exposure(stage: Stage) -> None:
    stage.recommend(200)
    stage.features.calls.clear()
    before = stage.control.calls + stage.test.calls
    stage.recommend(200)
    assert stage.features.calls == ["row", "exposure"]
    assert stage.control.calls + stage.test.calls == before + 1


def test_what_has_not_changed_is_not_sent_again(stage: Stage) -> None:
    stage.await_poll()
    assert stage.features.polls[0] == 200
    assert set(stage.features.polls[1:]) == {304}


def test_experiments_of_one_layer_have_users_of_their_own(stage: Stage) -> None:
    first, second = started(HALVES[0], "first"), started(HALVES[1], "second")
    stage.features.run(first, second)
    stage.await_poll()
    now = datetime.now(UTC)
    for user in range(200, 230):
        stage.recommend(user)
        exposure = stage.features.exposures[-1]
        mine = first if first.assign(user, now).enrolled else second
        assert (exposure.experiment, exposure.group) == (mine.name, mine.assign(user, now).group)


def test_a_user_who_is_named_is_in_that_experiment_whoever_else_has_his_bucket(stage: Stage) -> None:
    whole = started(all_in("control"), "all")
    named = started(Plan(enrolment=0.0, forced={200: "test"}), "named")
    stage.features.run(whole, named)
    stage.await_poll()
    assert stage.recommend(200).json()["exp_group"] == "test"
    assert stage.features.exposures[-1].experiment == "named"
    assert stage.recommend(201).json()["exp_group"] == "control"


def test_whoever_is_in_no_experiment_gets_the_shipped_ranker_and_no_exposure(stage: Stage) -> None:
    stage.features.run(otherwise="test")
    stage.await_poll()
    answer = stage.recommend(200)
    assert answer.json()["exp_group"] == "test"
    assert answer.json()["recommendations"][0]["id"] == 200
    assert stage.features.exposures == []


def test_both_groups_of_an_a_a_have_one_ranker(stage: Stage) -> None:
    plan = all_in("test").model_copy(update={"rankers": {"control": "control", "test": "control"}})
    stage.features.run(started(plan))
    stage.await_poll()
    answer = stage.recommend(200)
    assert answer.json()["exp_group"] == "test"
    assert answer.json()["recommendations"][0]["id"] == 100
    exposure = stage.features.exposures[-1]
    assert (exposure.group, exposure.ranker, exposure.model) == ("test", "control", "control")
    assert stage.test.calls == 0


def test_an_exposure_says_when_for_when_and_how_it_came_about(stage: Stage) -> None:
    stage.recommend(200, time="2021-12-01T10:00:00")
    exposure = stage.features.exposures[-1]
    assert exposure.asked_for == datetime(2021, 12, 1, 10, tzinfo=UTC)
    assert abs(exposure.served_at - datetime.now(UTC)) < timedelta(seconds=5)
    assert 0 < exposure.took_ms < stage.settings.deadline_ms
    assert len(exposure.scores) == len(exposure.posts) == 5
    assert (exposure.mode, exposure.degraded) == ("ab", None)


def test_the_platforms_clock_says_when_and_which_weights_hold(stage: Stage) -> None:
    """Ten days on by the clock, a ramp has taken its step."""
    real = datetime.now(UTC)
    ramp = Plan(
        mode="ramp",
        weights={"control": 1.0, "test": 0.0},
        ramp=[RampStep(at=real + timedelta(days=5), weights={"control": 0.0, "test": 1.0})],
    )
    stage.features.run(started(ramp))
    stage.await_poll()
    assert stage.recommend(200).json()["exp_group"] == "control"
    clock = Clock(since=real, then=real + timedelta(days=10), speed=60)
    stage.features.running = stage.features.running.model_copy(update={"clock": clock})
    stage.await_poll()
    answer = stage.recommend(200)
    exposure = stage.features.exposures[-1]
    assert answer.json()["exp_group"] == "test"
    assert exposure.weight_period == 1
    assert timedelta(days=10) < exposure.served_at - real < timedelta(days=10, minutes=30)
    assert exposure.asked_for == exposure.served_at
    assert DEGRADED not in answer.headers  # the deadline goes by real time


def test_an_experiment_that_has_ended_by_the_clock_exposes_nobody(stage: Stage) -> None:
    ended = datetime.now(UTC) - timedelta(seconds=1)
    stage.features.run(started(all_in("test").model_copy(update={"ends_at": ended})))
    stage.await_poll()
    assert stage.recommend(200).json()["exp_group"] == "control"
    assert stage.features.exposures == []


def test_two_gateways_follow_a_change_of_weights_within_two_seconds_without_restart(stage: Stage) -> None:
    with served(create(stage.settings)) as url, httpx.Client(base_url=url) as other:
        until(lambda: other.get("/readyz").status_code == 200)
        stage.features.run(started(all_in("control")))
        for gateway in (stage.http, other):
            until(lambda: _groups(gateway) == {"control"}, seconds=2.0)  # noqa: B023
        stage.features.run(started(all_in("test")))
        for gateway in (stage.http, other):
            until(lambda: _groups(gateway) == {"test"}, seconds=2.0)  # noqa: B023


def _groups(gateway: httpx.Client) -> set[str]:
    return {gateway.get("/post/recommendations/", params={"id": user}).json()["exp_group"] for user in range(200, 210)}


def test_what_was_known_of_experiments_stays_when_feature_service_fails(stage: Stage) -> None:
    stage.features.run(started(all_in("test"), "later"))
    stage.await_poll()
    stage.features.running_status = 503
    stage.features.run()
    stage.await_poll()
    assert stage.recommend(200).json()["exp_group"] == "test"


def test_a_gateway_that_does_not_know_the_experiments_is_not_ready_and_exposes_nobody() -> None:
    """A guessed split would show a user a ranker that is not theirs."""
    features = Features(running_status=503)
    with gateway_stage(features, wait=False) as stage:
        until(lambda: "experiments" in stage.http.get("/readyz").json()["reasons"])
        until(lambda: "fallback" not in stage.http.get("/readyz").json()["reasons"])
        answers = [stage.recommend(user) for user in range(200, 220)]
        assert {answer.json()["exp_group"] for answer in answers} == {"control"}
        assert {answer.json()["recommendations"][0]["id"] for answer in answers} == {100}
        assert features.exposures == []
        features.running_status = 200
        until(lambda: stage.http.get("/readyz").status_code == 200)
        stage.recommend(200)
        assert len(features.exposures) == 1


def test_the_first_request_of_a_new_worker_is_split_and_has_something_to_fall_back_on() -> None:
    """It may come at once, from the queue before a worker that was killed."""
    with gateway_stage(
        Features(running=RunningExperiments(experiments=[started(all_in("test"))])), wait=False
    ) as stage:
        stage.test.status = 503
        answer = stage.recommend(200)
        assert (answer.status_code, answer.json()["exp_group"]) == (200, "test")
        assert stage.features.exposures[0].group == "test"
        assert stage.http.get("/readyz").status_code == 200


def test_the_first_fallback_of_a_new_worker_leaves_out_what_is_gone() -> None:
    gone = POPULAR[0].id
    with gateway_stage(Features(gone=np.array([gone], "<u4").tobytes(), row_status=503), wait=False) as stage:
        shown = [post["id"] for post in stage.recommend(200).json()["recommendations"]]
        assert shown == [post.id for post in POPULAR[1:6]]


def test_the_running_set_crosses_the_wire_whole() -> None:
    running = RunningExperiments(experiments=[started(HALVES[0], "first")], otherwise="test")
    assert RunningExperiments.model_validate_json(running.model_dump_json()) == running
