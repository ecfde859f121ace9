"""What one connection may do to the process that it has reached, before anybody knows whose it is.

uvicorn takes heads of any size, waits for them for ever, and queues every request of a pipeline. Here a head has a
limit in bytes, headers and time, a body in time (`chassis.bodies` bounds its size), an answer must be taken off our
hands, and a process that has all the connections it wants parts with the one that has waited longest.

No request that arrives whole costs a timer.
"""

from __future__ import annotations

import asyncio
import resource
from functools import partial
from heapq import nsmallest
from typing import Literal, cast

from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from chassis.door import DOOR, Door

IMPLEMENTATION = "chassis.connections:BoundedConnection"
"""As uvicorn's `http` takes it."""

MAX_HEAD_BYTES = 64 * 2**10
MAX_HEADERS = 100
MAX_PIPELINED = 16
MAX_CONNECTIONS = 1_000
ROOM = 0.05
"""Of them are parted with at once, where they are too many: to find out who waits takes a look at all."""
SPARE_FILES = 1_000
"""For connections to others, stores and files."""

Stage = Literal["head", "body", "answer"]
SECONDS: dict[Stage, float] = {"head": 10.0, "body": 10.0}
"""From a stage's first byte, or from the connection itself, to its last. Answers take the time they take."""
WRITE_SECONDS = 30.0
"""For a caller to read what fills our buffers."""

WHOLE = "lenta.whole"
"""In a request's scope where it has arrived, body and all."""
_on_header = HttpToolsProtocol.on_header
_REFUSALS = {
    431: b"HTTP/1.1 431 Request Header Fields Too Large",
    503: b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1",
}


class OutOfBounds(Exception):
    """Raised inside the parser, which stops at once and is asked for nothing more."""


class BoundedConnection(HttpToolsProtocol):
    """uvicorn's own protocol within the limits above."""

    _stage: Stage = "head"
    _step = 0
    """Counts changes of the stage."""
    _watched_step = -1
    _since = 0.0
    _head_bytes = 0
    _unfinished_bytes = 0
    """Of the head so far: finished parts, and chunks in which it did not end."""
    _too_large = False
    _too_late: asyncio.TimerHandle | None = None
    _stalled: asyncio.TimerHandle | None = None
    _refused_at = float("-inf")

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch()
        if len(self.connections) > MAX_CONNECTIONS:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        _cancel(self._too_late)
        _cancel(self._stalled)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._stage == "head":
            self._unfinished_bytes += len(data)
            if self._unfinished_bytes > MAX_HEAD_BYTES:
                self._refuse(431)
        elif self.waits and self.timeout_keep_alive_task is None:  # line ends between two requests
            self._enter("head")
        self._watch()

    def on_message_begin(self) -> None:
        if len(self.pipeline) >= MAX_PIPELINED:
            raise OutOfBounds(f"more than {MAX_PIPELINED} requests before the first answer")
        super().on_message_begin()
        self._head_bytes = self._unfinished_bytes = 0
        self._enter("head")

    def on_url(self, url: bytes) -> None:
        self._head_bytes += len(url)
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Of the head, or of what follows a body in chunks. The most frequent call of all: nothing is spent on it."""
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > MAX_HEAD_BYTES or len(self.headers) >= MAX_HEADERS:
            self._too_large = True
            raise OutOfBounds(f"more than {MAX_HEADERS} headers or {MAX_HEAD_BYTES} bytes")
        _on_header(self, name, value)

    def on_headers_complete(self) -> None:
        if self._head_bytes > MAX_HEAD_BYTES:  # of an address alone
            self._too_large = True
            raise OutOfBounds(f"an address of more than {MAX_HEAD_BYTES} bytes")
        self._enter("body")
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._enter("answer")
        self.scope[WHOLE] = True  # type: ignore[literal-required]  # for `chassis.bodies`
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Called for whatever stopped the parser."""
        if self._too_large:
            self._refuse(431)
        else:
            super().send_400_response(msg)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled = self.loop.call_later(WRITE_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        _cancel(self._stalled)
        super().resume_writing()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGIApp) -> None:  # type: ignore[override]
        """uvicorn's own calls come here, once a request's head is there and those before it are answered."""
        door: Door | None = self.app_state.get(DOOR)
        entered = app if door is None else door.enter(cycle.scope, app)  # type: ignore[arg-type]  # a dict by type
        if entered is not None:
            super()._start_asgi_task(cycle, entered)  # type: ignore[arg-type]
        elif door is not None:
            door.refuse(partial(self._say_refusal, cycle), self._refused_at)

    def _say_refusal(self, cycle: RequestResponseCycle, answer: bytes) -> None:
        self._refused_at = self.loop.time()
        cycle.response_started = cycle.response_complete = True
        if self.transport.is_closing():
            return
        self.transport.write(answer)
        if not cycle.keep_alive:
            self.transport.close()
        cycle.on_response()

    @property
    def waits(self) -> bool:
        """Whether nothing of it is being answered."""
        return self.cycle is None or self.cycle.response_complete  # type: ignore[redundant-expr]  # before the first

    def _enter(self, stage: Stage) -> None:
        self._stage = stage
        self._step += 1

    def _watch(self) -> None:
        """Once per piece of data: what arrived whole is in no stage that has a limit."""
        if self._watched_step == self._step:
            return
        _cancel(self._too_late)
        self._watched_step, self._since = self._step, self.loop.time()
        seconds = SECONDS.get(self._stage)
        self._too_late = None if seconds is None else self.loop.call_later(seconds, self.transport.close)

    def _make_room(self) -> None:
        """By closing those connections that have waited longest, or this one where all are being answered."""
        others = cast("set[BoundedConnection]", self.connections - {self})
        waiting = [one for one in others if one.waits and not one.transport.is_closing()]
        for one in nsmallest(max(int(ROOM * MAX_CONNECTIONS), 1), waiting, key=lambda one: one._since):
            one.transport.close()
        if not waiting:
            self._refuse(503)

    def _refuse(self, status: int) -> None:
        self.transport.write(_REFUSALS[status] + b"\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        self.transport.close()


def allow_files() -> None:
    """Lets the process open as many files as so many connections need, where the machine does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_CONNECTIONS + SPARE_FILES
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _cancel(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
