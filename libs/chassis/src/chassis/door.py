"""Turning a request away by one write, before it has a task or any app hears of it.

A refusal is immediate. Whoever asks again on the same connection without waiting, and is refused again, hears so only
after a pause: a client that repeats itself in a tight loop would else take more of the process than all who are served.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable

from contracts.headers import REQUEST_ID
from starlette.types import ASGIApp, Scope

from chassis.metrics import REQUESTS
from chassis.request_ids import NO_SNIFFING

DOOR = "door"
"""Under this name in the state that a service's lifespan yields, where it has one."""
PAUSE_SECONDS = 1.0
"""Between two refusals on one connection, as `Retry-After` says; the shorter, the more wait for theirs."""
MOST_WAITING = 500

Enter = Callable[[Scope, ASGIApp], ASGIApp | None]
"""What is to be called for a request instead of the app; None to turn it away."""
Headers = list[tuple[bytes, bytes]]


class Door:
    def __init__(self, enter: Enter, status: bytes, headers: Headers, body: bytes) -> None:
        """status, headers, body: of a refusal. status: such as `503 Service Unavailable`."""
        self._enter = enter
        lines = [b"HTTP/1.1 " + status, *(name + b": " + value for name, value in [*headers, NO_SNIFFING])]
        self._before, self._after = b"\r\n".join([*lines, REQUEST_ID.lower().encode() + b": "]), b"\r\n\r\n" + body
        self._refused = REQUESTS.labels("GET", "unmatched", status[:3].decode())
        self._waiting = 0
        """Refusals that are not said yet."""

    def enter(self, scope: Scope, app: ASGIApp) -> ASGIApp | None:
        """Of what could be refused without more ado: a body has to be read first, and a page of another origin needs
        to be told that it may know why."""
        if scope["method"] != "GET" or any(name == b"origin" for name, _ in scope["headers"]):
            return app
        return self._enter(scope, app)

    def pause(self, refused_at: float, now: float) -> float:
        """Seconds until a refusal may be said on a connection that was refused then, if ever: what waits is counted
        until `refusal` makes it."""
        pause = PAUSE_SECONDS * (1 - self._waiting / MOST_WAITING)
        self._waiting += 1
        return min(max(refused_at + pause - now, 0.0), max(pause, 0.0))

    def refusal(self, waited: float) -> bytes:
        """A whole answer."""
        self._waiting -= 1
        self._refused.observe(waited)
        return self._before + uuid.uuid4().hex.encode() + self._after
