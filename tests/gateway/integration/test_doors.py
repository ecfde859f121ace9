"""The gateway's doors: who reads, how often, and keys that change while it runs."""

from __future__ import annotations

import json
import re
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import httpx
import jwt
import pytest
from chassis.keys import LOOK_SECONDS

from tests.support.platforms.gateway_stage import ADMIN, KEY, Stage, gateway_stage

READING = [
    "/post/recommendations/?id=200",
    "/test/post/recommendations/?id=200",
    "/test/post/explanations/?id=200",
    "/user/1/feed",
]
SECRET = "secret" * 8
PROFILE = {"age": 30, "gender": 1, "country": "Russia", "city": "Samara", "exp_group": 1, "os": "iOS", "source": "ads"}
REASON = {"revision": 1, "reason": "to try"}


def token(user: str, secret: str = SECRET, seconds: int = 600) -> str:
    return jwt.encode({"sub": user, "exp": int(time.time()) + seconds}, secret)


def batch(*users: int) -> dict[str, object]:
    return {
        "events": [
            {"key": f"{number}-{user}", "user_id": user, "post_id": 1, "action": "view"}
            for number, user in enumerate(users)
        ]
    }


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with gateway_stage() as stage:
        yield stage


def test_reading_needs_a_key_where_it_is_told_so_and_where_others_reach_the_gateway() -> None:
    for closed in ({"reading_needs_key": True}, {"listen": "0.0.0.0"}):
        with gateway_stage(**closed) as stage:
            for path in READING:
                assert stage.http.get(path).status_code == 401, path
                for key in (KEY, ADMIN):
                    assert stage.http.get(path, headers={"X-API-Key": key}).status_code == 200, path
            assert stage.http.get("/readyz").status_code == 200


def test_beyond_loopback_reading_may_be_opened() -> None:
    with gateway_stage(listen="0.0.0.0", reading_needs_key=False) as stage:
        assert [stage.http.get(path).status_code for path in READING] == [200] * len(READING)
        assert stage.http.get("/experiments").status_code == 401


@pytest.mark.parametrize("scope", ["recommend", "events", "read"])
def test_a_key_opens_its_scopes_alone(scope: str) -> None:
    calls: dict[str, list[tuple[str, str, object]]] = {
        "recommend": [("GET", READING[0], None), ("GET", READING[1], None), ("GET", READING[2], None)],
        "events": [("POST", "/events", batch(200)), ("PUT", "/post/1", {"text": "A post.", "topic": "sport"})],
        "read": [("GET", "/user/1/feed", None), ("GET", "/post/1", None), ("GET", "/experiments", None)],
    }
    with gateway_stage(api_keys=f"{scope}=narrow", reading_needs_key=True) as stage:
        for other, asked in calls.items():
            for method, path, body in asked:
                answer = stage.http.request(method, path, headers={"X-API-Key": "narrow"}, json=body)
                assert answer.is_success is (other == scope), (path, answer.text)
                if other != scope:
                    assert (answer.status_code, answer.json()["error"]) == (403, "forbidden")
                    assert (
                        answer.json()["message"] == f"this key opens {scope}; for {other} GATEWAY_API_KEYS have others"
                    )


@pytest.mark.parametrize("closed", [True, False])
def test_a_users_token_opens_that_users_page_and_nothing_of_others(closed: bool) -> None:
    with gateway_stage(token_secrets=f"{'new' * 22},{SECRET}", reading_needs_key=closed) as stage:
        own = {"Authorization": f"Bearer {token('200')}"}
        for path in (
            "/post/recommendations/?id=200",
            "/test/post/recommendations/?id=200",
            "/user/200/feed",
            "/post/1",
        ):
            assert stage.http.get(path, headers=own).status_code == 200, path
        assert stage.http.post("/events", headers=own, json=batch(200, 200)).status_code == 202
        for path in ("/post/recommendations/?id=201", "/user/201", "/user/20/feed", "/post/1/feed", "/experiments"):
            assert stage.http.get(path, headers=own).status_code == 403, path
        refused = stage.http.post("/events", headers=own, json=batch(200, 201))
        assert (refused.status_code, refused.json()["error"]) == (403, "forbidden")
        assert stage.http.put("/user/200", headers=own, json=PROFILE).status_code == 403
        assert stage.http.put("/experiments/models", headers=own, json=REASON).status_code == 403
        assert [event["user_id"] for sent in stage.features.seen for event in json.loads(sent)["events"]] == [200, 200]


def test_a_token_that_is_not_valid_says_why_and_opens_nothing() -> None:
    with gateway_stage(token_secrets=SECRET, reading_needs_key=False) as stage:
        for bad, why in ((token("200", secret="x" * 32), "not ours"), (token("200", seconds=-60), "expired")):
            for method, path, body in (("GET", READING[0], None), ("POST", "/events", batch(200))):
                answer = stage.http.request(method, path, headers={"Authorization": f"Bearer {bad}"}, json=body)
                assert answer.status_code == 401
                assert why in answer.json()["message"]
        assert _status(stage, {"Authorization": "Basic b25l"}) == 200


@pytest.mark.parametrize("headers", [{}, {"X-API-Key": KEY}])
def test_a_caller_beyond_its_rate_is_told_to_wait_and_others_are_not(headers: dict[str, str]) -> None:
    with gateway_stage(calls_per_second=5) as stage:
        statuses = Counter(_status(stage, headers) for _ in range(40))
        assert statuses[200] >= 10
        assert statuses[429] >= 15
        assert _status(stage, {"X-API-Key": ADMIN}) == 200
        assert stage.http.get("/readyz").status_code == 200
        answer = stage.http.get(READING[0], headers=headers)
        assert (answer.status_code, answer.headers["Retry-After"], answer.json()["error"]) == (429, "1", "too_many")


def test_keys_are_guessed_slowly_and_those_who_know_one_notice_nothing() -> None:
    with gateway_stage() as stage:
        statuses = Counter(_status(stage, {"X-API-Key": f"guess {number}"}, "/experiments") for number in range(60))
        assert set(statuses) == {401, 429}
        assert statuses[401] < 40
        assert _status(stage, {"X-API-Key": KEY}, "/experiments") == 200
        assert _status(stage, {}) == 200


def test_keys_change_without_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("old")
    with gateway_stage(api_keys_file=file) as stage:
        assert _status(stage, {"X-API-Key": "old"}, "/experiments") == 200
        file.write_text("new")
        time.sleep(LOOK_SECONDS + 0.1)
        assert _status(stage, {"X-API-Key": "new"}, "/experiments") == 200
        assert _status(stage, {"X-API-Key": "old"}, "/experiments") == 401


def test_the_description_is_shown_without_any_other_host() -> None:
    with gateway_stage(reading_needs_key=True) as stage:
        page = stage.http.get("/docs")
        assert page.status_code == 200
        assert "://" not in page.text
        named = re.findall(r'(?:src|href)="([^"]+)"', page.text)
        assert len(named) >= 3
        for path in named:
            assert stage.http.get(path).status_code == 200, path
        (script,) = re.findall(r"<script>(.*?)</script>", page.text, re.DOTALL)
        known = b64encode(sha256(script.encode()).digest()).decode()
        assert f"script-src 'self' 'sha256-{known}'" in page.headers["Content-Security-Policy"]
        assert stage.http.get("/openapi.json").json()["paths"]["/events"]


def test_every_answer_is_what_it_says(stage: Stage) -> None:
    for path in ("/docs", "/metrics", "/readyz", "/nowhere", READING[0]):
        answer = stage.http.get(path)
        assert answer.headers["X-Content-Type-Options"] == "nosniff", path
        assert answer.headers["X-Request-ID"]


def test_methods_that_a_caller_makes_up_are_counted_as_one(stage: Stage) -> None:
    for method in ("PROPFIND", "LOCK", "SEARCH"):
        assert stage.http.request(method, "/livez").status_code == 405
    said = stage.http.get("/metrics").text
    assert 'method="other",route="' in said
    assert "PROPFIND" not in said


def _status(stage: Stage, headers: dict[str, str], path: str = READING[0]) -> int:
    answer: httpx.Response = stage.http.get(path, headers=headers)
    return answer.status_code
