"""Explanations through the public door: one model's reasons, which cost recommendations nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from contracts.headers import COLD_START, DEGRADED, MODEL

from tests.support.platforms.gateway_stage import Stage, gateway_stage


@pytest.fixture
def stage() -> Iterator[Stage]:
    with gateway_stage() as stage:
        yield stage


@pytest.mark.parametrize(("group", "first"), [("control", 100), ("test", 200)])
def test_every_post_of_a_models_list_comes_with_its_reasons(stage: Stage, group: str, first: int) -> None:
    answer = stage.http.get(f"/{group}/post/explanations/", params={"id": 1, "limit": 3, "time": "2021-12-01"})
    assert [post["post_id"] for post in answer.json()] == [first, first + 1, first + 2]
    for post in answer.json():
        assert post["reasons"] == [{"feature": "post_rate", "value": None, "contribution": 0.5}]
        assert post["score"] == post["bias"] + post["reasons"][0]["contribution"] + post["rest"]
    assert answer.headers[MODEL] == f"{group}@v1"
    ranker = stage.control if group == "control" else stage.test
    assert ranker.explained == [{"limit": "3", "time": "1638316800"}]


def test_an_explanation_is_no_exposure_and_no_assignment(stage: Stage) -> None:
    stage.http.get("/test/post/explanations/", params={"id": 1}).raise_for_status()
    stage.stop("gateway")
    assert (stage.features.exposures, stage.features.assigned) == ([], [])


def test_an_unknown_user_gets_reasons_and_a_flag(stage: Stage) -> None:
    answer = stage.http.get("/test/post/explanations/", params={"id": 12_345})
    assert (answer.status_code, answer.headers[COLD_START]) == (200, "1")


@pytest.mark.parametrize("query", [{"id": 1, "limit": 21}, {"id": 1, "limit": 0}, {"limit": 5}, {"id": 1, "time": "x"}])
def test_a_malformed_parameter_is_named(stage: Stage, query: dict[str, str | int]) -> None:
    answer = stage.http.get("/test/post/explanations/", params=query)
    assert answer.status_code == 422
    assert answer.json()["field"] in ("limit", "id", "time")


def test_there_is_no_other_group(stage: Stage) -> None:
    assert stage.http.get("/nobody/post/explanations/", params={"id": 1}).status_code == 404


def test_a_ranker_that_explains_nothing_says_so_and_goes_on_ranking(stage: Stage) -> None:
    stage.test.explain_status = 503
    for _ in range(8):
        answer = stage.http.get("/test/post/explanations/", params={"id": 1})
        assert (answer.status_code, answer.json()["error"]) == (503, "unavailable")
        assert "Retry-After" in answer.headers
    assert DEGRADED not in stage.in_group("test").headers
