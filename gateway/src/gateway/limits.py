"""Sheds load before any work is done on it: requests beyond the limit at once, bodies too large."""

from __future__ import annotations

from contracts.wire import Problem
from prometheus_client import Counter
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY_BYTES = 2**20
SHED = Counter("gateway_shed_total", "Requests refused because too many were under way.")
ALWAYS = ("/livez", "/readyz", "/metrics")
TOO_LARGE = f"a body of more than {MAX_BODY_BYTES} bytes; send smaller batches"


class Limits:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, max_concurrent: int) -> None:
        self._app, self._max = app, max_concurrent
        self._under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in ALWAYS:
            await self._app(scope, receive, send)
            return
        if self._under_way >= self._max:
            SHED.inc()
            busy = _refusal(503, "unavailable", "too many requests; try again", {"Retry-After": "1"})
            await busy(scope, receive, send)
            return
        self._under_way += 1
        try:
            await self._limited(scope, receive, send)
        finally:
            self._under_way -= 1

    async def _limited(self, scope: Scope, receive: Receive, send: Send) -> None:
        if _declared(scope) > MAX_BODY_BYTES:
            await _refusal(413, "too_large", TOO_LARGE, {})(scope, receive, send)
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


def _declared(scope: Scope) -> int:
    """0 where the length is not declared."""
    return next((int(value) for name, value in scope["headers"] if name == b"content-length" and value.isdigit()), 0)


def _refusal(status: int, error: str, message: str, headers: dict[str, str]) -> Response:
    body = Problem(error=error, message=message).model_dump_json(exclude_none=True)
    return Response(body, status, headers, media_type="application/json")
