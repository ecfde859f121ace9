"""What a caller meets before the calls: paths in two spellings, browsers of other origins, compression."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from contracts.headers import API_KEY, MODEL, REQUEST_ID

from tests.support.platforms.gateway_stage import KEY, Stage, gateway_stage

APP, OTHER = "https://app.example", "https://other.example"
EVENTS = {"events": [{"key": "1", "user_id": 1, "post_id": 1, "action": "view"}]}


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with gateway_stage(cors_origins=f"{APP}, http://127.0.0.1:5173") as stage:
        yield stage


@pytest.mark.parametrize(
    "path",
    [
        "/post/recommendations/",
        "/post/recommendations",
        "/v1/post/recommendations/",
        "/v1/post/recommendations",
        "/v1/test/post/recommendations",
        "/test/post/explanations",
        "/v1/control/post/explanations/",
    ],
)
def test_a_path_is_understood_in_either_spelling(stage: Stage, path: str) -> None:
    answer = stage.http.get(path, params={"id": 200})
    assert answer.status_code == 200
    assert answer.history == []


def test_every_call_has_its_version_in_front(stage: Stage) -> None:
    assert stage.http.post("/v1/events", json=EVENTS, headers={API_KEY: KEY}).status_code == 202
    assert stage.http.put("/v1/post/7", json={"text": "", "topic": "art"}, headers={API_KEY: KEY}).status_code == 202
    assert stage.http.get("/v1/user/1/feed").status_code == 200
    assert stage.http.get("/v1/readyz").status_code == 200
    assert stage.http.get("/v2/user/1/feed").status_code == 404


def test_a_versioned_call_is_counted_as_the_call_that_it_is(stage: Stage) -> None:
    stage.http.get("/v1/post/recommendations", params={"id": 1}).raise_for_status()
    metrics = stage.http.get("/metrics").text
    assert 'route="/post/recommendations/",status="200"' in metrics
    assert "/v1" not in metrics


def test_a_large_answer_is_compressed_for_those_who_can_read_it(stage: Stage) -> None:
    def asked(limit: int, encoding: str) -> httpx.Response:
        params = {"id": 1, "limit": limit}
        return stage.http.get("/test/post/recommendations/", params=params, headers={"Accept-Encoding": encoding})

    stage.test.ids = list(range(1, 101))
    large, plain, small = asked(100, "gzip"), asked(100, "identity"), asked(5, "gzip")
    assert large.headers["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in large.headers["Vary"]
    assert int(large.headers["Content-Length"]) < len(plain.content) / 3
    assert large.json() == plain.json()
    assert "Content-Encoding" not in plain.headers
    assert "Content-Encoding" not in small.headers


def test_a_page_of_a_named_origin_may_call_and_read_the_headers(stage: Stage) -> None:
    asked = {"Origin": APP, "Access-Control-Request-Method": "POST"}
    preflight = stage.http.options("/v1/events", headers=asked | {"Access-Control-Request-Headers": "x-api-key"})
    assert preflight.status_code == 200
    assert preflight.headers["Access-Control-Allow-Origin"] == APP
    assert API_KEY in preflight.headers["Access-Control-Allow-Headers"]
    answer = stage.http.get("/v1/post/recommendations", params={"id": 200}, headers={"Origin": APP})
    assert answer.headers["Access-Control-Allow-Origin"] == APP
    exposed = answer.headers["Access-Control-Expose-Headers"]
    assert all(name in exposed for name in (REQUEST_ID, MODEL, "X-Degraded", "Retry-After"))


def test_a_page_can_read_why_it_was_refused(stage: Stage) -> None:
    for refused in (
        stage.http.post("/v1/events", json=EVENTS, headers={"Origin": APP}),
        stage.http.get("/post/recommendations", params={"id": "x"}, headers={"Origin": APP}),
    ):
        assert refused.status_code in (401, 422)
        assert refused.headers["Access-Control-Allow-Origin"] == APP


def test_a_page_of_any_other_origin_may_not(stage: Stage) -> None:
    asked = {"Origin": OTHER, "Access-Control-Request-Method": "POST"}
    preflight = stage.http.options("/events", headers=asked)
    assert preflight.status_code == 400
    answer = stage.http.get("/post/recommendations", params={"id": 200}, headers={"Origin": OTHER})
    for headers in (preflight.headers, answer.headers):
        assert "Access-Control-Allow-Origin" not in headers


def test_by_default_no_page_may_call() -> None:
    with gateway_stage() as closed:
        answer = closed.http.get("/post/recommendations", params={"id": 200}, headers={"Origin": APP})
        assert answer.status_code == 200
        assert "Access-Control-Allow-Origin" not in answer.headers
        assert closed.http.options("/events", headers={"Origin": APP}).status_code == 405
