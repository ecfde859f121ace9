"""Turns away what is too much before any work is done on it, each kind of work apart: reading calls at the door, before
they have a task (`chassis.door`), and what the door lets in, once its body is here."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Literal

from chassis.door import Door
from contracts.wire import Problem
from prometheus_client import Counter, Gauge
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.concurrency import AdaptiveLimit
from gateway.paths import inner

SHED = Counter("gateway_shed_total", "Requests refused because too many of their kind were under way.", ["kind"])
LIMIT = Gauge("gateway_concurrency_limit", "Requests of a kind that may be under way now.", ["kind"])
ALWAYS = ("/livez", "/readyz", "/metrics")
COUNTED = "lenta.counted"
"""In the scope of a request that is among those under way."""

Kind = Literal["recommendations", "events", "administration", "reads"]
KINDS: tuple[Kind, ...] = ("recommendations", "events", "administration", "reads")
"""None waits behind another, and none is turned away for another."""
RECOMMENDATIONS, ADMINISTRATION = "/post/recommendations/", ("/experiments", "/exposures", "/rules")


class Limits:
    """Of one process."""

    def __init__(self, max_concurrent: int) -> None:
        """max_concurrent: of one kind, however quick they are."""
        self._limits = {kind: AdaptiveLimit(max_concurrent) for kind in KINDS}
        self._shed = {kind: SHED.labels(kind) for kind in KINDS}
        self.door = Door(self.enter, b"503 Service Unavailable", BUSY_HEADERS, BUSY)
        for kind, limit in self._limits.items():
            LIMIT.labels(kind).set_function(partial(getattr, limit, "limit"))

    def enter(self, scope: Scope, app: ASGIApp) -> ASGIApp | None:
        """The app, with the request among those under way until it has been answered; None where they are too many."""
        path = inner(scope["path"])
        if path in ALWAYS or COUNTED in scope:
            return app
        kind = kind_of(scope["method"], path)
        limit = self._limits[kind]
        if not limit.admits:
            self._shed[kind].inc()
            return None
        scope[COUNTED] = True
        return _counted(app, limit, self.door.answered)


class WithinLimits:
    """ASGI middleware: for what has not been counted at the door."""

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self._app, self._limits = app, limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        entered = self._limits.enter(scope, self._app) if scope["type"] == "http" else self._app
        await (entered or _refused)(scope, receive, send)


def _counted(app: ASGIApp, limit: AdaptiveLimit, answered: Callable[[], None]) -> ASGIApp:
    started, alone = time.perf_counter(), limit.begin()

    async def counted(scope: Scope, receive: Receive, send: Send) -> None:
        status = 500

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await app(scope, receive, watched)
        finally:
            limit.end(time.perf_counter() - started if status < 400 else None, alone=alone)
            answered()

    return counted


async def _refused(_: Scope, __: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 503, "headers": [*BUSY_HEADERS]})
    await send({"type": "http.response.body", "body": BUSY})


def kind_of(method: str, path: str) -> Kind:
    if path.endswith(RECOMMENDATIONS):
        return "recommendations"
    if path.startswith(ADMINISTRATION):
        return "administration"
    return "reads" if method == "GET" else "events"


BUSY = Problem(error="unavailable", message="too many requests; try again").model_dump_json(exclude_none=True).encode()
BUSY_HEADERS = Headers({"content-type": "application/json", "content-length": str(len(BUSY)), "retry-after": "1"}).raw
"""Each refusal gets a list of its own, since whatever stands further out adds to it."""
