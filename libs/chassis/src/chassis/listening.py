"""Connections that come together are accepted together.

libuv accepts one connection in a turn of its loop, so that the last of 256 callers who come at once waits for 256 turns
before anybody reads what it asks; under load a turn is milliseconds. A socket that is listened to several times gives
as many in a turn.
"""

from __future__ import annotations

import asyncio
from socket import socket
from typing import Any

import uvloop

LOOP = "chassis.listening:EventLoop"
"""As uvicorn's `loop` takes it."""
BACKLOG = 100
"""asyncio's default."""
AT_ONCE = 8
"""For a connection that comes alone all but one try in vain: a microsecond each."""


class EventLoop(uvloop.Loop):
    """uvloop's, but for the servers that it makes."""

    async def create_server(self, *args: Any, **options: Any) -> asyncio.Server:
        """As asyncio has it."""
        protocol_factory, backlog = args[0], options.get("backlog", BACKLOG)
        servers: list[Any] = [await super().create_server(*args, **options)]
        for listener in [listener.dup() for listener in servers[0].sockets for _ in range(AT_ONCE - 1)]:
            servers.append(await super().create_server(protocol_factory, sock=listener, backlog=backlog))
        return _Servers(servers)


class _Servers(asyncio.Server):
    """Of one address, closed as one. The first of them is seen."""

    def __init__(self, servers: list[asyncio.Server]) -> None:
        self._servers = servers

    @property
    def sockets(self) -> tuple[socket, ...]:
        return tuple(self._servers[0].sockets)

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self._servers[0].get_loop()

    def is_serving(self) -> bool:
        return self._servers[0].is_serving()

    def close(self) -> None:
        for server in self._servers:
            server.close()

    async def wait_closed(self) -> None:
        for server in self._servers:
            await server.wait_closed()
