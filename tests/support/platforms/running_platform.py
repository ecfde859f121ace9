"""The whole platform, brought up by `lenta up` as a user does it, and what a test asks of it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import httpx
from chassis.inner_door import internal_headers
from contracts.headers import API_KEY
from contracts.records import UserRow
from pipeline.home import Home
from pipeline.stack.ports import DEFAULTS, variable
from pipeline.stack.processes import Process, Processes
from pipeline.stack.servers import HOST, free_port

from pipeline import environment

LENTA = Path(sys.executable).with_name("lenta")
OURS = ("LENTA_", "GATEWAY_", "FEATURES_", "RANKER_", "CONSOLE_")
PATIENCE = {
    "GATEWAY_DEADLINE_MS": "3000",
    "GATEWAY_FEATURES_MS": "1000",
    "GATEWAY_EXPOSURE_MS": "1000",
    "GATEWAY_RANKER_MS": "1500",
    "CONSOLE_PREVIEW_TIMEOUT_SECONDS": "4",
}
"""These tests ask what is answered, not how soon: a busy machine must not make an answer a fallback."""


@dataclass(frozen=True)
class RunningPlatform:
    home: Home
    ports: dict[str, int] = field(default_factory=lambda: {name: free_port() for name in DEFAULTS})
    http: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=5))

    @property
    def environ(self) -> dict[str, str]:
        """Of a shell in which somebody works with this platform."""
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(OURS) and name not in {"DATA", "UNTIL"}
        }
        ports = {variable(name): str(port) for name, port in self.ports.items()}
        return {**inherited, **PATIENCE, **ports, "LENTA_HOME": str(self.home.root)}

    def lenta(self, *arguments: str, check: bool = True, **variables: str) -> subprocess.CompletedProcess[str]:
        """Runs the command as a user does. check: a failure fails the test with what the command said."""
        done = subprocess.run(
            [LENTA, *arguments], env={**self.environ, **variables}, capture_output=True, text=True, timeout=280
        )
        said = done.stdout + done.stderr
        assert done.returncode == 0 or not check, f"lenta {' '.join(arguments)}: {said}"
        return done

    @property
    def settings(self) -> dict[str, str]:
        return environment.read(self.home)

    def url(self, service: str = "gateway") -> str:
        return f"http://{HOST}:{self.ports[service]}"

    def process(self, name: str) -> Process:
        process = Processes.read(self.home).alive(name)
        assert process is not None, f"{name} does not run"
        return process

    def get(self, path: str, **parameters: object) -> httpx.Response:
        return self.http.get(f"{self.url()}{path}", params={name: str(value) for name, value in parameters.items()})

    def recommend(self, user_id: int, limit: int = 5) -> httpx.Response:
        answer = self.get("/post/recommendations/", id=user_id, limit=limit)
        assert answer.status_code == httpx.codes.OK, answer.text
        return answer

    def recommended_ids(self, user_id: int, limit: int = 5) -> list[int]:
        return [post["id"] for post in self.recommend(user_id, limit).json()["recommendations"]]

    def send(self, user_id: int, post_id: int, action: str, key: str | None = None) -> None:
        event = {"key": key or uuid4().hex, "user_id": user_id, "post_id": post_id, "action": action}
        answer = self.http.post(f"{self.url()}/events", json={"events": [event]}, headers=self.authorised)
        assert answer.status_code == httpx.codes.ACCEPTED, answer.text

    @property
    def authorised(self) -> dict[str, str]:
        return {API_KEY: self.settings["LENTA_API_KEY"]}

    def put(self, path: str, body: dict[str, object]) -> None:
        answer = self.http.put(f"{self.url()}{path}", json=body, headers=self.authorised)
        assert answer.status_code == httpx.codes.ACCEPTED, answer.text

    def row(self, user_id: int) -> UserRow:
        return UserRow.unpack(self.inside(f"/users/{user_id}/row").raise_for_status().content)

    def inside(self, path: str) -> httpx.Response:
        """What feature-service says to the platform's own services."""
        headers = internal_headers(self.settings["LENTA_INTERNAL_KEY"])
        return self.http.get(f"{self.url('feature-service')}{path}", headers=headers)


def within(seconds: float, holds: Callable[[], bool]) -> float:
    """How long it took until `holds`; fails when that takes longer than `seconds`."""
    started = time.monotonic()
    while not holds():
        assert time.monotonic() - started < seconds, f"not within {seconds} s"
        time.sleep(0.05)
    return time.monotonic() - started


@contextmanager
def brought_up(home: Home, *arguments: str) -> Iterator[RunningPlatform]:
    platform = RunningPlatform(home)
    try:
        platform.lenta("up", *arguments)
        yield platform
    finally:
        platform.http.close()
        platform.lenta("down", "--clean")
