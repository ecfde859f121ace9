"""The gateway as it runs in its container, while callers without any right send slowly, endlessly, or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field

import httpx
import psutil
import pytest
from pipeline.stack.servers import free_port, stop_process

from tests.support.callers import HEAD, UNFINISHED_BODY, answer, connected, trickling
from tests.support.fakes.gateway import served
from tests.support.fakes.upstreams import Features, Ranker
from tests.support.platforms.gateway_stage import until

LIMIT_BYTES = 192 * 2**20
"""Of the gateway's container."""
MEGABYTE = 2**20
KEY = "a-key"


@dataclass
class Door:
    url: str
    process: psutil.Process
    http: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self.http = httpx.Client(base_url=self.url, timeout=10)

    def seconds(self, requests: int) -> list[float]:
        """How long each took of so many others' requests, all of which must be answered by the model."""
        return [self._one(user_id) for user_id in range(requests)]

    def _one(self, user_id: int) -> float:
        started = time.monotonic()
        answered = self.http.get("/post/recommendations/", params={"id": user_id})
        assert (answered.status_code, answered.headers.get("X-Degraded")) == (200, None), answered.text
        return time.monotonic() - started

    @property
    def bytes(self) -> int:
        family = [self.process, *self.process.children(recursive=True)]
        return sum(one.memory_full_info().pss for one in family)


@pytest.fixture(scope="module")
def door() -> Iterator[Door]:
    with ExitStack() as stack:
        urls = [
            stack.enter_context(served(fake.app())) for fake in (Features(), Ranker("control", 1), Ranker("test", 11))
        ]
        names = ("GATEWAY_FEATURES_URL", "GATEWAY_CONTROL_URL", "GATEWAY_TEST_URL")
        told = dict(zip(names, urls, strict=True)) | {"GATEWAY_API_KEYS": KEY, "GATEWAY_LISTEN": "127.0.0.1"}
        budgets = {"GATEWAY_DEADLINE_MS": "8000", "GATEWAY_FEATURES_MS": "4000", "GATEWAY_EXPOSURE_MS": "4000"}
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}
        port = free_port()
        command = ["gunicorn", "--config", "python:chassis.gunicorn", "--bind", f"127.0.0.1:{port}"]
        process = subprocess.Popen(
            [sys.executable, "-m", *command, "gateway.app:create()"],
            env={**inherited, **told, **budgets, "GATEWAY_RANKER_MS": "4000"},
        )
        stack.callback(process.wait, 20)
        stack.callback(stop_process, process.pid)
        door = Door(f"http://127.0.0.1:{port}", psutil.Process(process.pid))
        stack.callback(door.http.close)
        until(lambda: _is_ready(door))
        yield door


def _is_ready(door: Door) -> bool:
    with suppress(httpx.TransportError):
        return door.http.get("/readyz").status_code == 200
    return False


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(UNFINISHED_BODY + b"\r\n", id="bodies"),
        pytest.param(UNFINISHED_BODY + f"X-API-Key: {KEY}\r\n\r\n".encode(), id="bodies with a key"),
        pytest.param(HEAD + b"X-Odd: ", id="heads"),
        pytest.param(b"", id="silence"),
    ],
)
def test_others_are_answered_as_if_a_hundred_slow_callers_were_not_there(door: Door, first: bytes) -> None:
    with trickling(door.url, first, callers=150):
        time.sleep(0.3)
        took = door.seconds(60)
        assert door.http.get("/readyz").status_code == 200
    assert sorted(took)[30] < 0.3
    assert max(took) < 2
    assert door.bytes < LIMIT_BYTES


def test_without_a_key_a_body_is_not_waited_for(door: Door) -> None:
    with connected(door.url) as one:
        one.sendall(UNFINISHED_BODY + b"Connection: close\r\n\r\n")
        assert answer(one).startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize("line", [b"a:b\r\n", b"x" * 8_000 + b": y\r\n", b"x" * 16 * MEGABYTE])
def test_sixteen_megabytes_of_headers_are_refused_at_64_kilobytes(door: Door, line: bytes) -> None:
    before = door.bytes
    with connected(door.url) as one:
        with suppress(ConnectionError, TimeoutError):
            one.sendall(b"GET /livez HTTP/1.1\r\nHost: lenta\r\n" + line * (16 * MEGABYTE // len(line)))
        assert answer(one)[:12] in (b"HTTP/1.1 431", b"")  # a reset may overtake the answer
    assert door.bytes - before < 8 * MEGABYTE
    assert max(door.seconds(10)) < 2


def test_a_body_that_does_not_end_is_given_up_after_five_seconds(door: Door) -> None:
    started = time.monotonic()
    with trickling(door.url, UNFINISHED_BODY + f"X-API-Key: {KEY}\r\n\r\n".encode(), callers=1) as (one,):
        said = answer(one)
    assert said.startswith(b"HTTP/1.1 408 ")
    assert b'"error":"too_late"' in said
    assert 4 < time.monotonic() - started < 8
