"""HTTP/1.1 between our own services, for the hot path: a request is one write, an answer is read by httptools.

A general client, aiohttp's among the quickest, spends several times the processor's time on a call, and a
recommendation makes three. This one knows what our services say to each other and no more: no redirects, cookies,
compression or streams.

HopError
 |- NotConnected   nobody listens, so that nothing was sent
 |- Broken         the connection ended, or what came was no HTTP
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import MappingProxyType, TracebackType
from typing import Self, cast
from urllib.parse import quote, urlencode, urlsplit

import httptools

MAX_AGE_SECONDS = 30.0
"""Of a connection: replicas that came later get their share, and an old one can leave."""


class HopError(Exception):
    pass


class NotConnected(HopError):
    pass


class Broken(HopError):
    """fresh: whether it was the first request on its connection."""

    def __init__(self, message: str, *, fresh: bool) -> None:
        super().__init__(message)
        self.fresh = fresh


class Answer:
    """headers: by name in lower case."""

    __slots__ = ("content", "headers", "status")

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.content = b""


class Hop:
    """One service. A caller who is cancelled, as by a timeout, closes the connection that it waited on."""

    def __init__(self, base_url: str, headers: Mapping[str, str] = MappingProxyType({})) -> None:
        """base_url: `http://host:port`. headers: of every request."""
        parts = urlsplit(base_url)
        if parts.scheme != "http" or parts.hostname is None:
            raise ValueError(f"{base_url}: our services are reached by http://host:port")
        self._host, self._port = parts.hostname, parts.port or 80
        self._always = f"Host: {parts.netloc}\r\n{_lines(headers)}"
        self._prefix = parts.path.rstrip("/")
        self._idle: list[_Connection] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._idle:
            self._idle.pop().close()
        await asyncio.sleep(0)  # in which they close

    async def request(
        self,
        method: str,
        path: str,
        *,
        content: bytes | None = None,
        params: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """path: decoded. Raises HopError.

        An idle connection that the other side closes at this moment is replaced once: our calls may be repeated.
        """
        data = self._packed(method, path, content, params, headers or {})
        while (connection := self._from_idle()) is not None:
            try:
                return await self._ask(connection, data)
            except Broken as error:
                if error.fresh:
                    raise
        return await self._ask(await self._connected(), data)

    def _packed(
        self,
        method: str,
        path: str,
        content: bytes | None,
        params: Mapping[str, str | int] | None,
        headers: Mapping[str, str],
    ) -> bytes:
        query = f"?{urlencode(params)}" if params else ""
        body = "" if content is None else f"Content-Length: {len(content)}\r\n"
        if content is not None and "Content-Type" not in headers:
            body += "Content-Type: application/octet-stream\r\n"
        head = f"{method} {self._prefix}{quote(path)}{query} HTTP/1.1\r\n{self._always}{_lines(headers)}{body}\r\n"
        return head.encode("latin-1") + (content or b"")

    async def _ask(self, connection: _Connection, data: bytes) -> Answer:
        try:
            answer = await connection.ask(data)
        except BaseException:
            connection.close()
            raise
        if connection.is_usable:
            self._idle.append(connection)
        else:
            connection.close()
        return answer

    def _from_idle(self) -> _Connection | None:
        while self._idle:
            if (connection := self._idle.pop()).is_usable:
                return connection
            connection.close()
        return None

    async def _connected(self) -> _Connection:
        try:
            _, connection = await asyncio.get_running_loop().create_connection(_Connection, self._host, self._port)
        except OSError as error:
            raise NotConnected(str(error)) from error
        return connection


class _Connection(asyncio.Protocol):
    """One request at a time."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._old_at = self._loop.time() + MAX_AGE_SECONDS
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[Answer] | None = None
        self._fresh, self._reusable = True, True

    @property
    def is_usable(self) -> bool:
        return self._transport is not None and self._reusable and self._loop.time() < self._old_at

    async def ask(self, data: bytes) -> Answer:
        if self._transport is None:
            raise Broken("the connection has been closed", fresh=self._fresh)
        self._parser = httptools.HttpResponseParser(self)
        self._answer, self._pieces = Answer(), list[bytes]()
        self._waiter = self._loop.create_future()
        self._transport.write(data)
        answer = await self._waiter
        self._fresh = False
        return answer

    def close(self) -> None:
        self._reusable, self._waiter = False, None
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._waiter is None:  # nobody asked
            self.close()
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(f"no HTTP: {error}")
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._fail("the connection was closed")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._answer.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, piece: bytes) -> None:
        self._pieces.append(piece)

    def on_message_complete(self) -> None:
        answer, waiter = self._answer, self._waiter
        answer.status, answer.content = self._parser.get_status_code(), b"".join(self._pieces)
        self._reusable, self._waiter = self._parser.should_keep_alive(), None
        if waiter is not None and not waiter.done():
            waiter.set_result(answer)

    def _fail(self, message: str) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_exception(Broken(message, fresh=self._fresh))


def _lines(headers: Mapping[str, str]) -> str:
    return "".join([f"{name}: {_one_line(value)}\r\n" for name, value in headers.items()])


def _one_line(value: str) -> str:
    """Raises ValueError for a header that would be two."""
    if "\r" in value or "\n" in value:
        raise ValueError("a header holds a line end")
    return value
