"""The gateway before upstreams that answer, dawdle, fail and die: five posts come all the same, and the answer says why."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import httpx
import pytest
from contracts.assignment import Experiment
from contracts.headers import COLD_START, DEGRADED, MODEL, NEXT_CURSOR, REQUEST_ID, SHORT
from fakes.gateway import served
from fakes.upstreams import IN_SEGMENT, POPULAR, Features, Ranker
from gateway.app import create
from gateway.settings import Settings

KEY = "secret-key"


@dataclass
class Stage:
    features: Features
    control: Ranker
    test: Ranker
    http: httpx.Client
    stops: dict[str, ExitStack]

    def recommend(self, user_id: int, **params: str | int) -> httpx.Response:
        return self.http.get("/post/recommendations/", params={"id": user_id, **params})

    def in_group(self, group: str, **params: str | int) -> httpx.Response:
        return self.http.get(f"/{group}/post/recommendations/", params={"id": 1, **params})

    def stop(self, name: str) -> None:
        self.stops[name].close()


@pytest.fixture
def stage() -> Iterator[Stage]:
    features, control, test = Features(), Ranker("control", 100), Ranker("test", 200)
    with ExitStack() as stack:
        stops = {name: stack.enter_context(ExitStack()) for name in ("features", "control", "test")}
        urls = {
            name: stops[name].enter_context(served(upstream.app()))
            for name, upstream in (("features", features), ("control", control), ("test", test))
        }
        settings = Settings(
            features_url=urls["features"],
            control_url=urls["control"],
            test_url=urls["test"],
            api_keys=f"other,{KEY}",
            deadline_ms=600,
            features_ms=250,
            ranker_ms=250,
        )
        http = stack.enter_context(httpx.Client(base_url=stack.enter_context(served(create(settings))), timeout=10))
        _until_ready(http)
        yield Stage(features, control, test, http, stops)


def _until_ready(http: httpx.Client) -> None:
    deadline = time.monotonic() + 5
    while http.get("/readyz").status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_split_is_the_published_one(stage: Stage) -> None:
    for user_id in range(200, 260):
        expected = stage.features.experiment.assign(user_id).group
        answer = stage.recommend(user_id)
        assert answer.json()["exp_group"] == expected
        first = 100 if expected == "control" else 200
        assert [post["id"] for post in answer.json()["recommendations"]] == list(range(first, first + 5))
        assert answer.headers[MODEL] == f"{expected}@v1"
        assert DEGRADED not in answer.headers


def test_an_answer_to_an_enrolled_user_is_an_exposure_with_the_key_of_the_answer(stage: Stage) -> None:
    answer = stage.recommend(200)
    exposure = stage.features.exposures[-1]
    assert exposure.key == answer.headers[REQUEST_ID]
    assert exposure.posts == [post["id"] for post in answer.json()["recommendations"]]
    assert (exposure.user_id, exposure.experiment, exposure.model_version) == (200, "models", "v1")


def test_a_preview_of_one_model_is_no_exposure_and_a_plain_list(stage: Stage) -> None:
    posts = stage.in_group("test", limit=3).json()
    assert posts == [{"id": post, "text": f"text {post}", "topic": "movie"} for post in (200, 201, 202)]
    assert stage.features.exposures == []
    assert stage.http.get("/nobody/post/recommendations/?id=1").status_code == 422


def test_a_change_of_the_experiment_is_live_within_two_seconds(stage: Stage) -> None:
    stage.features.experiment = Experiment.start("later", {"control": 0.0, "test": 1.0})
    time.sleep(1.6)
    assert {stage.recommend(user).json()["exp_group"] for user in range(40)} == {"test"}


def test_users_outside_the_experiment_get_control_and_no_exposure(stage: Stage) -> None:
    stage.features.experiment = Experiment.start("models", {"control": 0.0, "test": 1.0}, enrolment=0.0)
    time.sleep(1.6)
    assert stage.recommend(200).json()["exp_group"] == "control"
    assert stage.features.exposures == []


@pytest.mark.parametrize("group", ["control", "test"])
def test_a_dead_ranker_still_yields_five_posts(stage: Stage, group: str) -> None:
    stage.stop(group)
    answer = stage.in_group(group)
    assert [post["id"] for post in answer.json()] == [post.id for post in IN_SEGMENT[:5]]
    assert answer.headers[DEGRADED] in {"ranker_refused", "ranker_timeout"}
    assert answer.headers[MODEL] == "popular_in_segment"


def test_a_ranker_that_dies_leaves_the_user_the_last_slate_without_what_was_liked(stage: Stage) -> None:
    assert len(stage.in_group("test", limit=8).json()) == 8
    stage.test.status = 500
    stage.features.hidden[1] = [201]
    answer = stage.in_group("test")
    assert [post["id"] for post in answer.json()] == [200, 202, 203, 204, 205]
    assert answer.headers[MODEL] == "last_slate"
    assert answer.headers[DEGRADED] == "ranker_error"


def test_a_slow_ranker_is_not_waited_for(stage: Stage) -> None:
    stage.test.delay = 2.0
    started = time.monotonic()
    answer = stage.in_group("test")
    assert time.monotonic() - started < 1.0
    assert answer.headers[DEGRADED] == "ranker_timeout"
    assert len(answer.json()) == 5


def test_a_ranker_that_is_down_is_left_alone_after_a_while(stage: Stage) -> None:
    stage.test.status = 500
    for _ in range(20):
        last = stage.in_group("test")
    assert last.headers[DEGRADED] == "ranker_open"
    assert stage.test.calls < 12
    stage.test.status = 200
    time.sleep(1.2)
    assert DEGRADED not in stage.in_group("test").headers


def test_a_dead_feature_service_still_yields_five_posts_and_says_that_it_was_not_recorded(stage: Stage) -> None:
    stage.stop("features")
    answer = stage.recommend(200)
    assert [post["id"] for post in answer.json()["recommendations"]] == [post.id for post in POPULAR[:5]]
    assert answer.headers[DEGRADED] in {"features_refused,unlogged", "features_timeout,unlogged"}


def test_with_a_dead_feature_service_an_accepted_like_stays_hidden(stage: Stage) -> None:
    like = {"key": "k", "user_id": 200, "post_id": POPULAR[0].id, "action": "like"}
    sent = stage.http.post("/events", json={"events": [like]}, headers={"X-API-Key": KEY})
    assert sent.status_code == 202
    stage.stop("features")
    assert POPULAR[0].id not in [post["id"] for post in stage.recommend(200).json()["recommendations"]]


def test_an_exposure_that_cannot_be_recorded_is_answered_and_flagged(stage: Stage) -> None:
    stage.in_group("control")
    stage.in_group("test")
    stage.features.exposure_status = 503
    answer = stage.recommend(200)
    assert len(answer.json()["recommendations"]) == 5
    assert "unlogged" in answer.headers[DEGRADED]


def test_an_unknown_user_is_ranked_and_flagged(stage: Stage) -> None:
    answer = stage.recommend(12_345)
    assert answer.headers[COLD_START] == "1"
    assert DEGRADED not in answer.headers
    assert len(answer.json()["recommendations"]) == 5


def test_where_fewer_posts_are_left_fewer_are_given_and_flagged(stage: Stage) -> None:
    stage.features.hidden[1] = list(range(200, 228))
    answer = stage.in_group("test")
    assert [post["id"] for post in answer.json()] == [228, 229]
    assert answer.headers[SHORT] == "1"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"id": "x"}, "id"),
        ({}, "id"),
        ({"id": -1}, "id"),
        ({"id": 2**31}, "id"),
        ({"id": 1, "limit": 0}, "limit"),
        ({"id": 1, "limit": 101}, "limit"),
        ({"id": 1, "time": "yesterday"}, "time"),
    ],
)
def test_a_malformed_parameter_is_named(stage: Stage, query: dict[str, str | int], field: str) -> None:
    answer = stage.http.get("/post/recommendations/", params=query)
    assert answer.status_code == 422
    assert answer.json()["field"] == field
    assert answer.json()["error"] == "invalid_parameter"


@pytest.mark.parametrize(
    "moment", ["2021-12-01T10:00:00", "2021-12-01 10:00:00", "2021-12-01T10:00:00Z", "2021-12-01T13:00:00+03:00"]
)
def test_time_may_be_written_in_every_iso_form(stage: Stage, moment: str) -> None:
    assert stage.recommend(200, time=moment).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/events", {"events": []}),
        ("PUT", "/user/1", {"age": 3}),
        ("PUT", "/post/1", {"text": "a", "topic": "b"}),
    ],
)
def test_writing_needs_a_key(stage: Stage, method: str, path: str, body: dict[str, object]) -> None:
    for headers in ({}, {"X-API-Key": "wrong"}):
        answer = stage.http.request(method, path, json=body, headers=headers)
        assert answer.status_code == 401
        assert answer.json()["error"] == "unauthorized"
    assert stage.features.seen == []


def test_what_feature_service_refuses_is_refused_in_its_words(stage: Stage) -> None:
    stage.features.refusal = {
        "error": "invalid_parameter",
        "message": "lies in the future",
        "field": "events.0.timestamp",
    }
    event = {"key": "k", "user_id": 1, "post_id": 1, "action": "view"}
    answer = stage.http.post("/events", json={"events": [event]}, headers={"X-API-Key": KEY})
    assert (answer.status_code, answer.json()["field"]) == (422, "events.0.timestamp")


def test_a_body_that_is_too_large_is_refused(stage: Stage) -> None:
    answer = stage.http.put("/post/1", content=b"x" * (2**20 + 1), headers={"X-API-Key": KEY})
    assert answer.status_code == 413


def test_a_history_is_a_list_with_its_cursor_in_a_header(stage: Stage) -> None:
    answer = stage.http.get("/user/1/feed", params={"limit": 1})
    assert [row["post_id"] for row in answer.json()] == [2]
    assert answer.headers[NEXT_CURSOR] == "more"


def test_readings_and_writings_say_503_when_feature_service_is_down_and_when_to_come_back(stage: Stage) -> None:
    stage.stop("features")
    answer = stage.http.get("/user/1/feed")
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) >= 1


def test_the_description_of_the_api_names_every_call(stage: Stage) -> None:
    paths = stage.http.get("/openapi.json").json()["paths"]
    assert {"/post/recommendations/", "/{group}/post/recommendations/", "/user/{id}", "/post/{id}"} <= set(paths)
    assert {"/user/{id}/feed", "/post/{id}/feed", "/events"} <= set(paths)
    assert "gateway_recommendations_total" in stage.http.get("/metrics").text


def test_groups_are_even_over_many_users(stage: Stage) -> None:
    groups = Counter(stage.features.experiment.assign(user).group for user in range(10_000))
    chi_square = sum((count - 5_000) ** 2 / 5_000 for count in groups.values())
    assert chi_square < 10.83  # p = 0.001, one degree of freedom
