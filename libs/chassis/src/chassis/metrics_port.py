"""Health and metrics on a port of their own: who watches a service need not reach what it does."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import uvicorn
from starlette.types import ASGIApp

from chassis.connections import BoundedConnection


class _Beside(uvicorn.Server):
    """In the service's own loop: a loop that is stuck answers nobody. Signals stay the service's."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def side_config(app: ASGIApp) -> uvicorn.Config:
    """Of a small server beside a service's own work."""
    return uvicorn.Config(
        app,
        loop="asyncio",
        http=BoundedConnection,
        ws="none",
        log_config=None,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=1,
    )


@asynccontextmanager
async def served_at(address: str, app: ASGIApp) -> AsyncIterator[None]:
    """address: `host:port`. Raises OSError when it is taken."""
    host, _, port = address.rpartition(":")
    server = _Beside(side_config(app))
    with socket.create_server((host, int(port))) as listener:
        serving = asyncio.create_task(server.serve([listener]))
        try:
            yield
        finally:
            server.should_exit = True
            await serving
