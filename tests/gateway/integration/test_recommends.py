"""The gateway over upstreams that answer, dawdle, fail and die: five posts come regardless, and the answer says why."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import httpx
import pytest
from contracts.headers import COLD_START, DEADLINE, DEGRADED, MODEL, NEXT_CURSOR, REQUEST_ID, SHORT
from gateway.app import create
from gateway.breaker import FAILURES
from gateway.settings import Settings

from tests.support.fakes.gateway import served
from tests.support.fakes.upstreams import IN_SEGMENT, POPULAR, Features, all_in, started
from tests.support.platforms.gateway_stage import KEY, Stage, gateway_stage, until


@pytest.fixture
def stage() -> Iterator[Stage]:
    with gateway_stage() as stage:
        yield stage


def test_the_split_is_the_published_one(stage: Stage) -> None:
    for user_id in range(200, 260):
        expected = stage.features.experiment.assign(user_id, datetime.now(UTC)).group
        answer = stage.recommend(user_id)
        assert answer.json()["exp_group"] == expected
        assert DEGRADED not in answer.headers, answer.headers[DEGRADED]
        first = 100 if expected == "control" else 200
        assert [post["id"] for post in answer.json()["recommendations"]] == list(range(first, first + 5))
        assert answer.headers[MODEL] == f"{expected}@v1"


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
    assert stage.http.get("/nobody/post/recommendations/?id=1").status_code == 404


def test_a_change_of_the_experiment_is_live_within_two_seconds(stage: Stage) -> None:
    stage.features.run(started(all_in("test"), "later"))
    until(lambda: {stage.recommend(user).json()["exp_group"] for user in range(40)} == {"test"}, seconds=2)


def test_users_outside_the_experiment_get_control_and_no_exposure(stage: Stage) -> None:
    stage.features.run(started(all_in("test").model_copy(update={"enrolment": 0.0})))
    stage.await_poll()
    assert stage.recommend(200).json()["exp_group"] == "control"
    assert stage.features.exposures == []


@pytest.mark.parametrize("group", ["control", "test"])
def test_a_dead_ranker_still_yields_five_posts(stage: Stage, group: str) -> None:
    stage.stop(group)
    answer = stage.in_group(group)
    assert [post["id"] for post in answer.json()] == [post.id for post in IN_SEGMENT[:5]]
    assert answer.headers[DEGRADED] == "ranker_refused"
    assert answer.headers[MODEL] == "popular_in_segment"


def test_a_ranker_that_dies_leaves_the_user_the_last_slate_without_what_was_liked(stage: Stage) -> None:
    assert len(stage.in_group("test", limit=8).json()) == 8
    stage.test.status = 500
    stage.features.hidden[1] = [201]
    answer = stage.in_group("test")
    assert [post["id"] for post in answer.json()] == [200, 202, 203, 204, 205]
    assert answer.headers[MODEL] == "last_slate"
    assert answer.headers[DEGRADED] == "ranker_error"


def test_a_slow_ranker_is_not_waited_for() -> None:
    with gateway_stage(ranker_ms=250) as stage:
        stage.test.delay = 5.0
        started = time.monotonic()
        answer = stage.in_group("test")
        assert time.monotonic() - started < 2.5
        assert answer.headers[DEGRADED] == "ranker_timeout"
        assert len(answer.json()) == 5


def test_a_ranker_that_is_down_is_left_alone_after_a_while(stage: Stage) -> None:
    stage.test.status = 500
    reasons = [stage.in_group("test").headers[DEGRADED] for _ in range(20)]
    assert reasons[:FAILURES] == ["ranker_error"] * FAILURES
    assert "ranker_open" in reasons[FAILURES:]
    assert stage.test.calls < 12
    stage.test.status = 200
    time.sleep(1.2)
    assert DEGRADED not in stage.in_group("test").headers


def test_a_dead_feature_service_still_yields_five_posts_and_says_that_it_was_not_recorded(stage: Stage) -> None:
    stage.stop("features")
    answer = stage.recommend(200)
    assert [post["id"] for post in answer.json()["recommendations"]] == [post.id for post in POPULAR[:5]]
    assert answer.headers[DEGRADED] == "features_refused,unlogged"


def test_with_a_dead_feature_service_an_accepted_like_stays_hidden(stage: Stage) -> None:
    like = {"key": "k", "user_id": 200, "post_id": POPULAR[0].id, "action": "like"}
    sent = stage.http.post("/events", json={"events": [like]}, headers={"X-API-Key": KEY})
    assert sent.status_code == 202
    stage.stop("features")
    assert POPULAR[0].id not in [post["id"] for post in stage.recommend(200).json()["recommendations"]]


def test_an_exposure_that_the_log_refuses_is_flagged_and_recorded_as_shown_once_it_takes_it(stage: Stage) -> None:
    stage.features.exposure_status = 503
    answer = stage.recommend(200)
    assert answer.headers[DEGRADED] == "unlogged"
    stage.features.exposure_status = 202
    until(lambda: len(stage.features.exposures) == 1)
    late = stage.features.exposures[0]
    assert (late.key, late.degraded) == (answer.headers[REQUEST_ID], "unlogged")
    assert late.posts == [post["id"] for post in answer.json()["recommendations"]]


def test_what_was_recorded_too_late_for_its_answer_is_what_was_shown() -> None:
    """The append was made, and its answer came after the call was given up."""
    with gateway_stage(exposure_ms=250) as stage:
        stage.recommend(200)
        stage.features.exposure_delay = 1.0
        answer = stage.recommend(200)
        assert DEGRADED not in answer.headers
        stage.features.exposure_delay = 0.0
        until(lambda: len(stage.features.exposures) == 3)
        shown = [post["id"] for post in answer.json()["recommendations"]]
        first, again = stage.features.exposures[1:]
        assert first == again
        assert (first.key, first.posts, first.degraded) == (answer.headers[REQUEST_ID], shown, None)


def test_an_exposure_is_of_the_popular_posts_where_the_models_texts_cannot_be_had(stage: Stage) -> None:
    stage.features.texts_status = 503
    answer = stage.recommend(200)
    assert answer.headers[DEGRADED] == "texts"
    exposure = stage.features.exposures[-1]
    assert exposure.posts == [post["id"] for post in answer.json()["recommendations"]]
    assert (exposure.degraded, exposure.model) == ("texts", answer.headers[MODEL])


def test_one_text_that_cannot_be_had_costs_that_post_alone(stage: Stage) -> None:
    stage.features.without_text = {101, 201}
    answer = stage.recommend(200)
    first = 100 if answer.json()["exp_group"] == "control" else 200
    shown = [post["id"] for post in answer.json()["recommendations"]]
    assert shown == [first, first + 2, first + 3, first + 4]
    assert (answer.headers[DEGRADED], answer.headers[SHORT]) == ("texts", "1")
    exposure = stage.features.exposures[-1]
    assert (exposure.posts, exposure.scores) == (shown, [-float(post) for post in shown])
    assert (exposure.degraded, exposure.model) == ("texts", answer.headers[MODEL].split("@")[0])


def test_a_text_is_asked_for_once_and_again_when_texts_have_changed(stage: Stage) -> None:
    def first_text() -> str:
        return str(stage.in_group("test").json()[0]["text"])

    assert [first_text(), first_text()] == ["text 200"] * 2
    assert stage.features.calls.count("posts") == 1
    stage.features.edition, stage.features.texts_version = "new text", "1.1"
    stage.await_poll()
    assert first_text() == "new text 200"


def test_a_post_that_is_published_through_this_gateway_has_its_new_text_at_once(stage: Stage) -> None:
    stage.in_group("test")
    stage.features.edition = "new text"
    content = {"text": "new text 200", "topic": "movie"}
    assert stage.http.put("/post/200", json=content, headers={"X-API-Key": KEY}).status_code == 202
    assert [post["text"] for post in stage.in_group("test").json()[:2]] == ["new text 200", "text 201"]


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
        ({"id": 1, "time": "1969-12-31T23:59:59"}, "time"),
        ({"id": 1, "time": "2106-01-01"}, "time"),
        ({"id": 1, "time": "0001-01-01T00:00:00+14:00"}, "time"),
        ({"id": 1, "time": 1_638_352_800}, "time"),
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
    now = datetime.now(UTC)
    groups = Counter(stage.features.experiment.assign(user, now).group for user in range(10_000))
    chi_square = sum((count - 5_000) ** 2 / 5_000 for count in groups.values())
    assert chi_square < 10.83  # p = 0.001, one degree of freedom


def test_an_answer_that_is_no_ranking_is_seen_as_a_bug_and_the_user_served(stage: Stage) -> None:
    stage.test.garbled = True
    answer = stage.in_group("test")
    assert answer.headers[DEGRADED] == "ranker_bug"
    assert len(answer.json()) == 5


@pytest.mark.parametrize("row", [b"", b"abc", b"\x01\x00\x00\x00\x00\x00\x00\x00"])
def test_bytes_that_are_no_row_never_reach_a_ranker(stage: Stage, row: bytes) -> None:
    stage.features.row = row
    answer = stage.in_group("test")
    assert answer.headers[DEGRADED] == "features_bug"
    assert len(answer.json()) == 5
    assert stage.test.calls == 0


def test_a_calls_own_deadline_and_the_requests_id_travel(stage: Stage) -> None:
    before = time.time()
    answer = stage.recommend(200)
    asked = stage.features.asked[-1]
    assert asked[REQUEST_ID.lower()] == answer.headers[REQUEST_ID]
    budget = stage.settings.features_ms / 1000
    assert before + budget - 0.01 < int(asked[DEADLINE.lower()]) / 1000 < time.time() + budget


def test_the_key_of_an_exposure_is_never_the_callers(stage: Stage) -> None:
    answer = stage.http.get("/post/recommendations/", params={"id": 200}, headers={REQUEST_ID: "mine"})
    assert answer.headers[REQUEST_ID] == stage.features.exposures[-1].key != "mine"


def test_histories_that_cannot_be_read_leave_recommendations_alone(stage: Stage) -> None:
    """As with Postgres down: feature-service answers 503 to them and goes on giving rows."""
    stage.features.history_status = 503
    for _ in range(8):
        assert stage.http.get("/user/1/feed").status_code == 503
    assert DEGRADED not in stage.recommend(200).headers


def test_a_gateway_without_a_ranker_is_ready_and_says_what_is_missing(stage: Stage) -> None:
    stage.stop("test")
    for _ in range(6):
        stage.in_group("test")
    said = stage.http.get("/readyz")
    assert said.status_code == 200
    assert said.json()["warnings"] == {
        "test": "ranker-test does not answer: its group gets last slates and popular posts"
    }


def test_a_gateway_that_knows_nothing_yet_says_so_instead_of_answering_nothing() -> None:
    nowhere = "http://127.0.0.1:1"
    settings = Settings(features_url=nowhere, control_url=nowhere, test_url=nowhere, api_keys=KEY)
    with served(create(settings)) as url, httpx.Client(base_url=url, timeout=5) as http:
        assert http.get("/readyz").status_code == 503
        answer = http.get("/post/recommendations/", params={"id": 1})
        assert (answer.status_code, answer.json()["error"]) == (503, "unavailable")
        assert int(answer.headers["Retry-After"]) >= 1


def test_too_many_requests_at_once_are_shed_and_the_rest_answered() -> None:
    with gateway_stage(Features(delay=0.3), max_concurrent=3) as stage, ThreadPoolExecutor(12) as pool:
        answers = list(
            pool.map(lambda user: stage.http.get("/control/post/recommendations/", params={"id": user}), range(12))
        )
        health = stage.http.get("/livez").status_code
    statuses = Counter(answer.status_code for answer in answers)
    assert statuses[200] >= 3
    assert statuses[503] >= 1
    assert statuses.total() == statuses[200] + statuses[503]
    assert all(answer.headers["Retry-After"] == "1" for answer in answers if answer.status_code == 503)
    assert health == 200


def test_a_body_of_undeclared_length_that_is_too_large_is_refused(stage: Stage) -> None:
    chunks = (b"x" * 2**16 for _ in range(17))
    answer = stage.http.put("/post/1", content=chunks, headers={"X-API-Key": KEY, "Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["error"]) == (413, "too_large")
    assert stage.features.seen == []


def test_the_description_says_what_goes_wrong_and_which_headers_come(stage: Stage) -> None:
    paths = stage.http.get("/openapi.json").json()["paths"]
    slate = paths["/post/recommendations/"]["get"]["responses"]
    assert {MODEL, DEGRADED, REQUEST_ID, COLD_START, SHORT} <= set(slate["200"]["headers"])
    assert "Retry-After" in slate["503"]["headers"]
    problem = {"$ref": "#/components/schemas/Problem"}
    for path, calls in paths.items():
        for call in calls.values():
            wrong = {status: said for status, said in call["responses"].items() if int(status) >= 400}
            assert all(said["content"]["application/json"]["schema"] == problem for said in wrong.values()), path
    assert {"401", "413", "422", "503"} <= set(paths["/events"]["post"]["responses"])
