"""Experiments through the public door: who may read and who may change them, and whose words a refusal has."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from contracts.experiments import Edit, ExperimentPage

from tests.support.fakes.upstreams import Refusal
from tests.support.platforms.gateway_stage import ADMIN, KEY, Stage, gateway_stage

READS = [
    "/experiments",
    "/experiments/models",
    "/experiments/models/runs",
    "/experiments/models/report?run=3",
    "/experiments/models/report.csv",
    "/exposures/9f2c",
]
REASON: dict[str, object] = {"reason": "more for test"}


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with gateway_stage() as stage:
        yield stage


def put(stage: Stage, key: str | None, body: dict[str, object], name: str = "models") -> httpx.Response:
    headers = {"X-API-Key": key} if key is not None else {}
    return stage.http.put(f"/experiments/{name}", json=body, headers=headers)


@pytest.mark.parametrize("key", [KEY, ADMIN])
@pytest.mark.parametrize("path", READS)
def test_whoever_has_a_key_reads(stage: Stage, path: str, key: str) -> None:
    answer = stage.http.get(path, headers={"X-API-Key": key})
    assert answer.status_code == 200
    assert stage.features.administered[-1] == ("GET", path)


@pytest.mark.parametrize("path", READS)
def test_whoever_has_none_does_not(stage: Stage, path: str) -> None:
    for headers in ({}, {"X-API-Key": "wrong"}):
        answer = stage.http.get(path, headers=headers)
        assert (answer.status_code, answer.json()["error"]) == (401, "unauthorized")


def test_an_admin_changes_an_experiment_and_feature_service_hears_what_he_said_and_no_more(stage: Stage) -> None:
    answer = put(stage, ADMIN, {"plan": {"weights": {"control": 0.2, "test": 0.8}}, "revision": 4, **REASON})
    assert answer.status_code == 200
    assert ExperimentPage.model_validate_json(answer.content).experiment.name == "models"
    heard = Edit.model_validate_json(stage.features.edits[-1])
    assert heard.plan is not None
    assert heard.plan.weights == {"control": 0.2, "test": 0.8}
    assert heard.model_fields_set == {"plan", "revision", "reason"}
    assert heard.plan.model_fields_set == {"weights"}


@pytest.mark.parametrize(("key", "status", "error"), [(None, 401, "unauthorized"), ("wrong", 401, "unauthorized")])
def test_without_an_admin_key_nothing_changes(stage: Stage, key: str | None, status: int, error: str) -> None:
    before = len(stage.features.edits)
    answer = put(stage, key, REASON | {"state": "stopped"})
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert "GATEWAY_ADMIN_KEYS" in answer.json()["message"]
    assert len(stage.features.edits) == before


def test_an_api_key_does_not_administer_and_an_admin_key_opens_what_an_api_key_does(stage: Stage) -> None:
    answer = put(stage, KEY, REASON)
    assert (answer.status_code, answer.json()["error"]) == (403, "forbidden")
    assert "GATEWAY_ADMIN_KEYS" in answer.json()["message"]
    profile = stage.http.put("/user/1", json={"age": 30}, headers={"X-API-Key": ADMIN})
    assert profile.status_code == 202


@pytest.mark.parametrize(
    ("body", "field", "reason"),
    [
        ({"plan": {"weights": {"control": 0.5, "test": 0.6}}, **REASON}, "plan", "add up to 1.1"),
        ({"plan": {"rankers": {"control": "control"}}, **REASON}, "plan", "has no ranker"),
        ({"plan": {"mode": "abc"}, **REASON}, "plan.mode", "ab"),
        ({"state": "stopped"}, "reason", "required"),
        ({"plan": {"wieghts": {}}, **REASON}, "plan.wieghts", "not permitted"),
    ],
)
def test_what_does_not_hang_together_is_refused_at_the_door_by_name(
    stage: Stage, body: dict[str, object], field: str, reason: str
) -> None:
    answer = put(stage, ADMIN, body)
    assert (answer.status_code, answer.json()["field"]) == (422, field)
    assert reason in answer.json()["message"]


@pytest.mark.parametrize("name", ["Models", "1st", "a b", "..%2Fusers", "a" * 65])
def test_a_name_that_can_be_none_is_refused_by_name(stage: Stage, name: str) -> None:
    answer = stage.http.get(f"/experiments/{name}", headers={"X-API-Key": KEY})
    assert answer.status_code in (404, 422)
    if answer.status_code == 422:
        assert answer.json()["field"] == "name"


@pytest.mark.parametrize(
    ("status", "error", "field"),
    [(409, "conflict", "revision"), (422, "invalid_parameter", "plan.enrolment"), (404, "not_found", None)],
)
def test_what_feature_service_refuses_is_refused_in_its_words(
    stage: Stage, status: int, error: str, field: str | None
) -> None:
    stage.features.experiment_refusal = Refusal(
        status, {"error": error, "message": "overlaps `second`", "field": field}
    )
    try:
        answer = put(stage, ADMIN, REASON)
    finally:
        stage.features.experiment_refusal = None
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert (answer.json()["message"], answer.json().get("field")) == ("overlaps `second`", field)


def test_what_the_caller_has_already_is_not_sent_again(stage: Stage) -> None:
    first = stage.http.get("/experiments/models", headers={"X-API-Key": KEY})
    again = stage.http.get("/experiments/models", headers={"X-API-Key": KEY, "If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["ETag"] == first.headers["ETag"]


def test_a_table_comes_as_a_file(stage: Stage) -> None:
    answer = stage.http.get("/experiments/models/report.csv", headers={"X-API-Key": KEY})
    assert answer.headers["Content-Type"].startswith("text/csv")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="models.csv"'
    assert answer.text.startswith("metric,")


def test_where_no_admin_key_is_named_administration_is_closed() -> None:
    with gateway_stage(admin_keys="") as stage:
        for key in (None, KEY, ADMIN, ""):
            answer = put(stage, key, REASON)
            assert (answer.status_code, answer.json()["error"]) == (403, "forbidden")
            assert "GATEWAY_ADMIN_KEYS names no key" in answer.json()["message"]
        assert stage.http.get("/experiments", headers={"X-API-Key": KEY}).status_code == 200
        assert stage.features.edits == []


def test_a_report_that_takes_long_holds_up_nothing_else() -> None:
    with gateway_stage() as stage:
        stage.features.experiment_refusal = Refusal(503, {"error": "unavailable", "message": "busy"})
        for _ in range(8):
            answer = stage.http.get("/experiments/models/report", headers={"X-API-Key": KEY})
            assert answer.status_code == 503
            assert "Retry-After" in answer.headers
        assert "X-Degraded" not in stage.recommend(200).headers
        assert stage.http.get("/user/1/feed").status_code == 200
