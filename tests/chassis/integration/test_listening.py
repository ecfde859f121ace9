"""Callers who come together are accepted together, and none once the server is closed."""

from __future__ import annotations

import asyncio
import socket
from contextlib import ExitStack

import pytest
from chassis.listening import AT_ONCE, EventLoop

CALLERS = 64


async def _turns(callers: int) -> int:
    """Of the loop, until all that connected before the first of them are accepted."""
    accepted, turns = set[asyncio.BaseTransport](), 0

    class Accepted(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            accepted.add(transport)

    server = await asyncio.get_running_loop().create_server(Accepted, "127.0.0.1", 0, backlog=2 * callers)
    address = server.sockets[0].getsockname()
    with ExitStack() as stack:
        for _ in range(callers):
            stack.enter_context(socket.create_connection(address))
        while len(accepted) < callers and turns < 10 * callers:
            await asyncio.sleep(0)
            turns += 1
        for transport in accepted:
            transport.close()
        server.close()
        await server.wait_closed()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)
    return turns


def test_a_crowd_is_accepted_in_few_turns_of_the_loop() -> None:
    with asyncio.Runner(loop_factory=EventLoop) as runner:
        assert runner.run(_turns(CALLERS)) <= CALLERS / AT_ONCE + 5


def test_a_single_caller_is_accepted_too() -> None:
    with asyncio.Runner(loop_factory=EventLoop) as runner:
        assert runner.run(_turns(1)) < 5
