"""Turning a request away by one write, before it has a task or any app hears of it.

A refusal costs a hundredth of an answer, but callers who ask again at once, and are refused again, would take the whole
process. So whoever has been refused on a connection within the last second hears so again a little later, and at most
at the pace at which others are answered: ten refusals for an answer. That bounds what refusing costs, by however many
connections they come, and soon frees a proxy's, by which many ask who insist on nothing.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from contracts.headers import REQUEST_ID
from starlette.types import ASGIApp, Scope

from chassis.metrics import REQUESTS
from chassis.request_ids import NO_SNIFFING

DOOR = "door"
"""Under this name in the state that a service's lifespan yields, where it has one."""
RETRY_SECONDS = 1.0
"""As `Retry-After` says: who waits as long does not insist."""
INSISTING_SECONDS, LONGEST_SECONDS = 0.1, 0.25
"""So long at least, and at most, a refusal is kept back: the longer, the more connections a proxy needs, and the fewer
requests a tight loop makes."""
FOR_AN_ANSWER = 10
"""So many refusals to those who insist: some tenth of what the answer itself costs."""
MOST_CREDIT = 100
"""Refusals that may be said beyond that, after nobody was refused for a while."""
TICK_SECONDS = 0.01
"""Between two looks at who waits, while anybody does."""

Enter = Callable[[Scope, ASGIApp], ASGIApp | None]
"""What is to be called for a request instead of the app; None to turn it away."""
Headers = list[tuple[bytes, bytes]]
Say = Callable[[bytes], None]


class Waiting(NamedTuple):
    since: float
    say: Say


class Door:
    def __init__(self, enter: Enter, status: bytes, headers: Headers, body: bytes) -> None:
        """status, headers, body: of a refusal. status: such as `503 Service Unavailable`."""
        self._enter = enter
        lines = [b"HTTP/1.1 " + status, *(name + b": " + value for name, value in [*headers, NO_SNIFFING])]
        self._before, self._after = b"\r\n".join([*lines, REQUEST_ID.lower().encode() + b": "]), b"\r\n\r\n" + body
        self._refused = REQUESTS.labels("GET", "unmatched", status[:3].decode())
        self._credit = MOST_CREDIT
        self._waiting = deque[Waiting]()
        """Oldest first."""
        self._ticks = False

    def enter(self, scope: Scope, app: ASGIApp) -> ASGIApp | None:
        """Of what could be refused without more ado: a body has to be read first, and a page of another origin needs
        to be told that it may know why."""
        if scope["method"] != "GET" or any(name == b"origin" for name, _ in scope["headers"]):
            return app
        return self._enter(scope, app)

    def refuse(self, say: Say, refused_at: float) -> None:
        """Calls `say` with a whole answer, now or soon. refused_at: by the loop's clock, last on this connection."""
        loop = asyncio.get_running_loop()
        waiting = Waiting(loop.time(), say)
        if waiting.since - refused_at >= RETRY_SECONDS:
            self._say(waiting, waiting.since)
            return
        self._waiting.append(waiting)
        if not self._ticks:
            self._ticks = True
            loop.call_later(TICK_SECONDS, self._say_due)

    def answered(self) -> None:
        """To be called for each request that was let in."""
        self._credit = min(self._credit + FOR_AN_ANSWER, MOST_CREDIT)

    def _say_due(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        while self._waiting and self._is_due(now - self._waiting[0].since):
            self._credit = max(self._credit - 1, 0)
            self._say(self._waiting.popleft(), now)
        self._ticks = bool(self._waiting)
        if self._ticks:
            loop.call_later(TICK_SECONDS, self._say_due)

    def _is_due(self, waited: float) -> bool:
        return waited >= INSISTING_SECONDS and (self._credit > 0 or waited >= LONGEST_SECONDS)

    def _say(self, waiting: Waiting, now: float) -> None:
        self._refused.observe(now - waiting.since)
        waiting.say(self._before + uuid.uuid4().hex.encode() + self._after)
