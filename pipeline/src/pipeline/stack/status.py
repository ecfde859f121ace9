"""Which parts of the platform are running, and in what state."""

from __future__ import annotations

import time
from dataclasses import dataclass

import httpx
from chassis.inner_door import internal_headers

from pipeline import environment
from pipeline.home import Home
from pipeline.stack.embedded import POSTGRES, REDIS
from pipeline.stack.memory import pss_bytes
from pipeline.stack.ports import DEFAULTS
from pipeline.stack.processes import Process, Processes
from pipeline.stack.readiness import ANSWER_SECONDS, reason_not_ready
from pipeline.stack.servers import HOST

RANKERS = ("ranker-control", "ranker-test")


@dataclass(frozen=True, slots=True)
class ServiceState:
    name: str
    reason: str | None
    """Why it is not ready; None when it is."""
    pid: int | None = None
    port: int | None = None
    uptime_seconds: float | None = None
    pss_bytes: int | None = None
    model: str | None = None
    """The version that a ranker serves."""


def states(home: Home, now: float | None = None) -> list[ServiceState]:
    """Of every part, servers first; the user's own servers are left out. now: epoch seconds."""
    processes = Processes.read(home)
    moment = time.time() if now is None else now
    servers = [name for name in (POSTGRES, REDIS) if name in processes.running]
    headers = internal_headers(environment.setting("LENTA_INTERNAL_KEY", home) or "")
    with httpx.Client(timeout=ANSWER_SECONDS, headers=headers) as client:
        return [_state(name, processes.running.get(name), client, moment) for name in (*servers, *DEFAULTS)]


def _state(name: str, process: Process | None, client: httpx.Client, now: float) -> ServiceState:
    if process is None:
        return ServiceState(name, "not started")
    live = process.live()
    if live is None:
        return ServiceState(name, f"has ended, see {process.log}", port=process.port)
    return ServiceState(
        name,
        reason_not_ready(client, process.port) if name in DEFAULTS else None,
        process.pid,
        process.port,
        now - process.started,
        pss_bytes(live),
        _model(client, process.port) if name in RANKERS else None,
    )


def _model(client: httpx.Client, port: int) -> str | None:
    try:
        return str(client.get(f"http://{HOST}:{port}/model").raise_for_status().json()["version"])
    except (httpx.HTTPError, ValueError):
        return None
