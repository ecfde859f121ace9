"""Ingest's health over HTTP, as every service has it: `/livez`, `/readyz` with what it waits for, `/metrics`."""

from __future__ import annotations

import socket
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

import uvicorn
from chassis.metrics_port import side_config
from chassis.service import create_service
from fastapi import FastAPI
from starlette.requests import Request


@dataclass
class Health:
    """Of the last round over the shards: what it waited for. beside: by name, what is wrong with a thread beside it."""

    waits_for: str | None = "the first round"
    beside: dict[str, str] = field(default_factory=dict)


@contextmanager
def serve_health(health: Health, host: str, port: int) -> Iterator[int]:
    """From a thread; yields the port (a free one for 0). Raises OSError when it is in use.

    Signals stay ingest's: outside of the main thread uvicorn installs no handlers.
    """
    server = uvicorn.Server(side_config(_app(health)))
    with socket.create_server((host, port)) as listener:
        serving = threading.Thread(target=server.run, args=([listener],), name="health", daemon=True)
        serving.start()
        try:
            yield int(listener.getsockname()[1])
        finally:
            server.should_exit = True
            serving.join()


def _app(health: Health) -> FastAPI:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[Mapping[str, Any]]:
        yield {}

    async def waits(_: Request) -> str | None:
        return health.waits_for and f"waits for {health.waits_for}"

    async def beside(_: Request) -> str | None:
        return "; ".join(f"{name} {what}" for name, what in sorted(health.beside.items())) or None

    release = version("lenta-feature-service")
    return create_service(
        "ingest",
        version=release,
        lifespan=lifespan,
        routers=[],
        checks={"ingest": waits},
        warnings={"beside": beside},
    )
