"""A TCP proxy that hands on late what one side says, for as long as it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

from pipeline.stack.servers import HOST

PIECE = 2**16


class Proxy:
    """Between callers and one port of this machine. delay: seconds by which each piece of an answer comes late."""

    def __init__(self, listen: int, to: int) -> None:
        self.listen, self.to, self.delay = listen, to, 0.0

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Proxy]:
        server = await asyncio.start_server(self._connected, HOST, self.listen)
        try:
            yield self
        finally:
            server.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):  # either side may go at any time
            async with AsyncExitStack() as stack:
                stack.callback(writer.close)
                answers, asks = await asyncio.open_connection(HOST, self.to)
                stack.callback(asks.close)
                await self._both_ways(reader, asks, answers, writer)

    async def _both_ways(
        self,
        reader: asyncio.StreamReader,
        asks: asyncio.StreamWriter,
        answers: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        """Until one of them ends."""
        ways = [asyncio.create_task(_hand_on(reader, asks)), asyncio.create_task(self._hand_back(answers, writer))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _hand_back(self, answers: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await answers.read(PIECE):
            await asyncio.sleep(self.delay)
            writer.write(piece)
            await writer.drain()


async def _hand_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(PIECE):
        writer.write(piece)
        await writer.drain()
