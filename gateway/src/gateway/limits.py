"""Turns away what is too much before any work is done on it, each kind of work apart.

A refusal is immediate. Whoever asks again on the same connection without waiting, and is refused again, hears so only
after a pause: a client that repeats itself in a tight loop would else take more of the process than all who are served.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from functools import partial
from typing import Literal

from contracts.wire import Problem
from prometheus_client import Counter, Gauge
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.concurrency import AdaptiveLimit

SHED = Counter("gateway_shed_total", "Requests refused because too many of their kind were under way.", ["kind"])
LIMIT = Gauge("gateway_concurrency_limit", "Requests of a kind that may be under way now.", ["kind"])
ALWAYS = ("/livez", "/readyz", "/metrics")
PAUSE_SECONDS = 1.0
"""Between two refusals on one connection, as `Retry-After` says; the shorter, the more wait for theirs."""
MOST_WAITING = 500
REMEMBERED = 4_096
"""Connections of late refusals."""

Kind = Literal["recommendations", "events", "administration", "reads"]
KINDS: tuple[Kind, ...] = ("recommendations", "events", "administration", "reads")
"""None waits behind another, and none is turned away for another."""
RECOMMENDATIONS, ADMINISTRATION = "/post/recommendations/", ("/experiments", "/exposures")


class Limits:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, max_concurrent: int) -> None:
        """max_concurrent: of one kind, however quick they are."""
        self._app = app
        self._limits = {kind: AdaptiveLimit(max_concurrent) for kind in KINDS}
        self._waiting = 0
        """Refusals that are not said yet."""
        self._refused_at = OrderedDict[tuple[str, int], float]()
        self._shed = {kind: SHED.labels(kind) for kind in KINDS}
        for kind, limit in self._limits.items():
            LIMIT.labels(kind).set_function(partial(getattr, limit, "limit"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in ALWAYS:
            await self._app(scope, receive, send)
            return
        kind = kind_of(scope["method"], scope["path"])
        limit = self._limits[kind]
        if limit.admits:
            await self._admitted(limit, scope, receive, send)
        else:
            self._shed[kind].inc()
            await self._refused(scope, send)

    async def _admitted(self, limit: AdaptiveLimit, scope: Scope, receive: Receive, send: Send) -> None:
        started, status = time.perf_counter(), 500

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        alone = limit.begin()
        try:
            await self._app(scope, receive, watched)
        finally:
            limit.end(time.perf_counter() - started if status < 400 else None, alone=alone)

    async def _refused(self, scope: Scope, send: Send) -> None:
        if (wait := self._pause(scope["client"], time.monotonic())) > 0:
            self._waiting += 1
            try:
                await asyncio.sleep(wait)
            finally:
                self._waiting -= 1
        await send({"type": "http.response.start", "status": 503, "headers": [*BUSY_HEADERS]})
        await send({"type": "http.response.body", "body": BUSY})

    def _pause(self, connection: tuple[str, int] | None, now: float) -> float:
        """Seconds until a refusal may be said: at most a pause, also where many come by one address of a proxy's."""
        if connection is None:
            return 0.0
        last, pause = self._refused_at.pop(connection, 0.0), PAUSE_SECONDS * (1 - self._waiting / MOST_WAITING)
        wait = min(max(last + pause - now, 0.0), pause)
        self._refused_at[connection] = now + wait
        if len(self._refused_at) > REMEMBERED:
            self._refused_at.popitem(last=False)
        return wait


def kind_of(method: str, path: str) -> Kind:
    if path.endswith(RECOMMENDATIONS):
        return "recommendations"
    if path.startswith(ADMINISTRATION):
        return "administration"
    return "reads" if method == "GET" else "events"


BUSY = Problem(error="unavailable", message="too many requests; try again").model_dump_json(exclude_none=True).encode()
BUSY_HEADERS = Headers({"content-type": "application/json", "content-length": str(len(BUSY)), "retry-after": "1"}).raw
"""Each refusal gets a list of its own, since whatever stands further out adds to it."""
