"""Any number of rankers by configuration: a third group, a ranker that nobody set up, a long-term holdout."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from contracts.experiments import SHIPPED, Plan
from contracts.headers import DEGRADED

from tests.support.fakes.gateway import served
from tests.support.fakes.upstreams import Ranker, started
from tests.support.platforms.gateway_stage import ADMIN, Stage, gateway_stage

THREE = {"control": "control", "test": "test", "challenger": "challenger"}
FIRST = {"control": 100, "test": 200, "challenger": 300}
"""Each ranker's best post."""
PLAN = Plan(rankers=THREE, weights={"control": 0.4, "test": 0.3, "challenger": 0.3})


@pytest.fixture
def stage() -> Iterator[Stage]:
    with served(Ranker("challenger", 300).app()) as url, gateway_stage(more_rankers=f"challenger={url}") as stage:
        yield stage


def test_each_group_gets_its_own_ranker(stage: Stage) -> None:
    experiment = started(PLAN)
    stage.features.run(experiment)
    stage.await_poll()
    seen = set()
    for user in range(200, 230):
        answer = stage.recommend(user).json()
        exposure = stage.features.exposures[-1]
        assert answer["exp_group"] == exposure.group == exposure.ranker
        assert answer["exp_group"] == experiment.assign(user, exposure.served_at).group
        assert answer["recommendations"][0]["id"] == FIRST[exposure.group]
        seen.add(exposure.group)
    assert seen == THREE.keys()


def test_any_ranker_can_be_previewed_by_its_name(stage: Stage) -> None:
    assert stage.in_group("challenger").json()[0]["id"] == 300
    unknown = stage.in_group("nobody")
    assert unknown.status_code == 404
    assert "control and test and challenger" in unknown.json()["message"]


def test_a_plan_that_names_a_ranker_which_nobody_set_up_is_refused_at_the_door() -> None:
    with gateway_stage() as stage:
        edit = {"plan": PLAN.model_dump(mode="json"), "reason": "three of them"}
        answer = stage.http.put("/experiments/three", json=edit, headers={"X-API-Key": ADMIN})
        assert (answer.status_code, answer.json()["field"]) == (422, "plan.rankers")
        assert "there are control, test; GATEWAY_MORE_RANKERS names others" in answer.json()["message"]
        assert not stage.features.edits


def test_a_gateway_that_was_not_told_of_a_ranker_falls_back_and_says_so() -> None:
    with gateway_stage() as stage:
        stage.features.run(started(Plan(rankers=THREE, weights={"challenger": 1.0})))
        stage.await_poll()
        answer = stage.recommend(200)
        assert len(answer.json()["recommendations"]) == 5
        assert answer.headers[DEGRADED] == "ranker_refused"
        assert stage.features.exposures[-1].degraded == "ranker_refused"


def test_a_holdout_keeps_its_ranker_while_the_others_get_what_was_shipped(stage: Stage) -> None:
    holdout = started(Plan(rankers={"control": "control", "test": SHIPPED}), "holdout")
    stage.features.run(holdout, otherwise="challenger")
    stage.await_poll()
    for user in range(200, 220):
        answer = stage.recommend(user).json()
        held = answer["exp_group"] == "control"
        assert answer["recommendations"][0]["id"] == (100 if held else 300)
        assert stage.features.exposures[-1].ranker == ("control" if held else "challenger")
