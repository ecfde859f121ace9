"""The gateway's doors: who reads, how often, and keys that change while it runs."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import httpx
import pytest
from chassis.keys import LOOK_SECONDS

from tests.support.platforms.gateway_stage import ADMIN, KEY, Stage, gateway_stage

READING = [
    "/post/recommendations/?id=200",
    "/test/post/recommendations/?id=200",
    "/test/post/explanations/?id=200",
    "/user/1/feed",
]


def test_reading_needs_a_key_where_it_is_told_so() -> None:
    with gateway_stage(reading_needs_key=True) as stage:
        for path in READING:
            assert stage.http.get(path).status_code == 401, path
            for key in (KEY, ADMIN):
                assert stage.http.get(path, headers={"X-API-Key": key}).status_code == 200, path
        assert stage.http.get("/readyz").status_code == 200


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


def _status(stage: Stage, headers: dict[str, str], path: str = READING[0]) -> int:
    answer: httpx.Response = stage.http.get(path, headers=headers)
    return answer.status_code
