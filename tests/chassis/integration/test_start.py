"""A service that cannot read its settings ends with one line that names the variable, under uvicorn and gunicorn."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

WHOLE = {
    "GATEWAY_FEATURES_URL": "http://127.0.0.1:1",
    "GATEWAY_CONTROL_URL": "http://127.0.0.1:1",
    "GATEWAY_TEST_URL": "http://127.0.0.1:1",
    "GATEWAY_API_KEYS": "key",
}
PREFIXES = ("GATEWAY_", "PORT", "HOST")
UVICORN = ("uvicorn", "gateway.app:create", "--factory", "--port", "0")
GUNICORN = ("gunicorn", "--config", "python:chassis.gunicorn", "--bind", "127.0.0.1:0", "gateway.app:create()")


def start(command: tuple[str, ...], **variables: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(PREFIXES)}
    return subprocess.run(
        [sys.executable, "-m", *command], env={**inherited, **variables}, capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize(
    ("fault", "named"),
    [
        ({"GATEWAY_TEST_URL": None}, "GATEWAY_TEST_URL: Field required"),
        ({"GATEWAY_DEADLINE_MS": "soon"}, "GATEWAY_DEADLINE_MS"),
        ({"GATEWAY_LOG_LEVEL": "LOUD"}, "GATEWAY_LOG_LEVEL"),
        ({"GATEWAY_DEADLINE": "300"}, "GATEWAY_DEADLINE: no such setting"),
    ],
)
def test_uvicorn_ends_with_status_two_and_one_line(fault: dict[str, str | None], named: str) -> None:
    done = start(UVICORN, **{name: value for name, value in {**WHOLE, **fault}.items() if value is not None})
    assert done.returncode == 2
    assert done.stderr.startswith("cannot start: ")
    assert named in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_gunicorn_ends_too_instead_of_trying_for_ever_and_speaks_json() -> None:
    done = start(GUNICORN)
    assert done.returncode == 4
    assert done.stderr.startswith("cannot start: GATEWAY_FEATURES_URL: Field required")
    assert "App failed to load" in " ".join(json.loads(line)["event"] for line in done.stdout.splitlines())
