"""Asks for recommendations faster than they can be given, and sorts the answers.

Open loop: requests come at a rate whatever becomes of them, a Poisson process, each on a connection that is idle, as
behind a proxy; its time counts from the moment at which it was due, so that a stalled server hides nothing (no
coordinated omission). What has not been answered soon after the end has failed.
Closed loop: so many connections, each of which asks again as soon as it is answered, however often it is refused.

Raw sockets, since a client library would take as much of the machine as the server.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import cast

import numpy as np

MOST_CONNECTIONS = 900
"""What a proxy opens to one server (Envoy: at most 1,024), and less than it takes. Whatever finds none idle waits."""
GIVEN_UP_SECONDS = 2.0
"""An answer that comes later is none."""
OWN, FALLBACK, UNLOGGED, SHED, FAILED = range(5)
"""The user's own model; something instead of it, recorded or not; 503; anything else."""

Answered = Callable[[int, float], None]


@dataclass
class Outcome:
    """Of one round: when each answer came, in seconds after it was due, and of what kind it was."""

    duration: float
    seconds: list[float] = field(default_factory=list)
    kinds: list[int] = field(default_factory=list)
    processor_seconds: float = 0.0
    """That the asked took meanwhile."""
    client_seconds: float = 0.0
    """Of the processor, that asking took."""

    def answered(self, kind: int, seconds: float) -> None:
        self.kinds.append(kind)
        self.seconds.append(seconds)

    @property
    def processor_ms(self) -> float:
        """For one of the model's own answers."""
        return 1_000 * self.processor_seconds / max(self.kinds.count(OWN), 1)

    def rate(self, kind: int) -> float:
        """Answers a second."""
        return self.kinds.count(kind) / self.duration

    def share(self, *kinds: int) -> float:
        return sum(map(self.kinds.count, kinds)) / max(len(self.kinds), 1)

    def quantile(self, at: float) -> float:
        """Milliseconds of the accepted: all answers with posts."""
        times = [
            taken for kind, taken in zip(self.kinds, self.seconds, strict=True) if kind in (OWN, FALLBACK, UNLOGGED)
        ]
        return 1_000 * float(np.quantile(times, at)) if times else float("nan")


class Client(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self, when_idle: Callable[[Client], None]) -> None:
        self._when_idle, self._data = when_idle, b""
        self._transport: asyncio.Transport | None = None
        self._answered: Answered | None = None
        self._due = 0.0

    def ask(self, request: bytes, due: float, answered: Answered) -> None:
        """due: by the monotonic clock; the loop's own counts whole milliseconds."""
        assert self._transport is not None, "a connection that is not open"
        self._due, self._answered = due, answered
        self._transport.write(request)

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._data += data
        head = self._data.find(b"\r\n\r\n")
        if head < 0 or len(self._data) < head + 4 + _length(self._data[:head]):
            return
        answer, self._data = self._data[:head].lower(), b""
        self._end(_kind(answer))

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._end(FAILED)

    def close(self) -> None:
        self._answered = None
        if self._transport is not None:
            self._transport.close()

    def _end(self, kind: int) -> None:
        answered, self._answered = self._answered, None
        if answered is not None:
            answered(kind, time.monotonic() - self._due)
            if self._transport is not None:
                self._when_idle(self)


def _length(head: bytes) -> int:
    start = head.lower().find(b"content-length: ")
    return int(head[start + 16 :].split(b"\r\n", 1)[0]) if start >= 0 else 0


def _kind(head: bytes) -> int:
    status = head[9:12]
    if status == b"503":
        return SHED if b"\r\nretry-after: " in head else FAILED
    if status != b"200":
        return FAILED
    if b"\r\nx-degraded: " not in head:
        return OWN
    return UNLOGGED if b"unlogged" in head else FALLBACK


@dataclass
class Target:
    """users: of whom one is drawn for every request."""

    host: str
    port: int
    users: range
    rng: random.Random

    def request(self) -> bytes:
        user = self.rng.choice(self.users)
        return f"GET /post/recommendations/?id={user} HTTP/1.1\r\nHost: {self.host}\r\n\r\n".encode()


async def closed_loop(target: Target, connections: int, seconds: float) -> Outcome:
    loop, outcome = asyncio.get_running_loop(), Outcome(seconds)
    end = time.monotonic() + seconds
    clients = list[Client]()

    def again(client: Client) -> None:
        if time.monotonic() < end:
            client.ask(target.request(), time.monotonic(), outcome.answered)

    for _ in range(connections):
        _, client = await loop.create_connection(lambda: Client(again), target.host, target.port)
        clients.append(client)
        again(client)
    await asyncio.sleep(max(end - time.monotonic(), 0))
    for client in clients:
        client.close()
    return outcome


async def open_loop(target: Target, rate: float, seconds: float) -> Outcome:
    outcome = Outcome(seconds)
    pool = Pool(target, outcome)
    due, end = time.monotonic(), time.monotonic() + seconds
    while (due := due + target.rng.expovariate(rate)) < end:
        if (wait := due - time.monotonic()) > 0.0005:
            await asyncio.sleep(wait)
        pool.send(due)
    with suppress(TimeoutError):
        async with asyncio.timeout(GIVEN_UP_SECONDS):
            await pool.all_answered.wait()
    pool.close()
    return outcome


class Pool:
    """Connections, the one that was used last first; made when none is idle."""

    def __init__(self, target: Target, outcome: Outcome) -> None:
        self._target, self._outcome = target, outcome
        self._idle, self._clients, self._waiting = list[Client](), set[Client](), deque[float]()
        self._opening = set[asyncio.Task[None]]()
        self._unanswered = 0
        self.all_answered = asyncio.Event()

    def send(self, due: float) -> None:
        self._unanswered += 1
        self.all_answered.clear()
        while self._idle:
            if (client := self._idle.pop()).is_open:
                self._ask(client, due)
                return
            self._clients.discard(client)
        self._waiting.append(due)
        if len(self._clients) + len(self._opening) < MOST_CONNECTIONS:
            task = asyncio.get_running_loop().create_task(self._connect())
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    def close(self) -> None:
        for task in self._opening:
            task.cancel()
        for client in self._clients:
            client.close()
        while self._unanswered:
            self._answered(FAILED, GIVEN_UP_SECONDS)

    async def _connect(self) -> None:
        try:
            _, client = await asyncio.get_running_loop().create_connection(
                lambda: Client(self._is_idle), self._target.host, self._target.port
            )
        except OSError:
            if self._waiting:
                self._answered(FAILED, time.monotonic() - self._waiting.popleft())
        else:
            self._clients.add(client)
            self._is_idle(client)

    def _is_idle(self, client: Client) -> None:
        if self._waiting:
            self._ask(client, self._waiting.popleft())
        else:
            self._idle.append(client)

    def _ask(self, client: Client, due: float) -> None:
        client.ask(self._target.request(), due, self._answered)

    def _answered(self, kind: int, seconds: float) -> None:
        self._outcome.answered(kind, seconds)
        self._unanswered -= 1
        if not self._unanswered:
            self.all_answered.set()
