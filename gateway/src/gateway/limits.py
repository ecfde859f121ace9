"""Turns away what is too much before any work is done on it, each kind of work apart, and bodies too large."""

from __future__ import annotations

import time
from functools import partial
from typing import Literal

from contracts.wire import Problem
from prometheus_client import Counter, Gauge
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.concurrency import AdaptiveLimit

MAX_BODY_BYTES = 2**20
SHED = Counter("gateway_shed_total", "Requests refused because too many of their kind were under way.", ["kind"])
LIMIT = Gauge("gateway_concurrency_limit", "Requests of a kind that may be under way now.", ["kind"])
ALWAYS = ("/livez", "/readyz", "/metrics")
TOO_LARGE = f"a body of more than {MAX_BODY_BYTES} bytes; send smaller batches"

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
            await send(BUSY_START)
            await send(BUSY_BODY)

    async def _admitted(self, limit: AdaptiveLimit, scope: Scope, receive: Receive, send: Send) -> None:
        started, status = time.perf_counter(), 500

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        limit.begin()
        try:
            await self._bounded(scope, receive, watched)
        finally:
            limit.end(time.perf_counter() - started if status < 400 else None)

    async def _bounded(self, scope: Scope, receive: Receive, send: Send) -> None:
        if _declared(scope) > MAX_BODY_BYTES:
            await _refusal(413, "too_large", TOO_LARGE)(scope, receive, send)
            return
        read = 0

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > MAX_BODY_BYTES:  # a body of undeclared length; whatever reads it lets this exception through
                raise HTTPException(413, TOO_LARGE)
            return message

        await self._app(scope, counted, send)


def kind_of(method: str, path: str) -> Kind:
    if path.endswith(RECOMMENDATIONS):
        return "recommendations"
    if path.startswith(ADMINISTRATION):
        return "administration"
    return "reads" if method == "GET" else "events"


def _declared(scope: Scope) -> int:
    """0 where the length is not declared."""
    return next((int(value) for name, value in scope["headers"] if name == b"content-length" and value.isdigit()), 0)


def _refusal(status: int, error: str, message: str, headers: dict[str, str] | None = None) -> Response:
    body = Problem(error=error, message=message).model_dump_json(exclude_none=True)
    return Response(body, status, headers, media_type="application/json")


_busy = _refusal(503, "unavailable", "too many requests; try again", {"Retry-After": "1"})
BUSY_START: Message = {"type": "http.response.start", "status": 503, "headers": _busy.raw_headers}
BUSY_BODY: Message = {"type": "http.response.body", "body": _busy.body}
