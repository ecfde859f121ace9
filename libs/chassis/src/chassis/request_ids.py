"""One id from the door to the last log line: `X-Request-ID` of every answer, `request_id` of every log event."""

from __future__ import annotations

import re
import uuid

import structlog
from contracts.headers import REQUEST_ID
from starlette.types import ASGIApp, Message, Receive, Scope, Send

READABLE = re.compile(rb"[\w.-]{1,64}")
NO_SNIFFING = (b"x-content-type-options", b"nosniff")
"""An answer is what it says, whatever it looks like."""
_HEADER = REQUEST_ID.lower().encode()


class RequestIds:
    """ASGI middleware. The id stands in `request.state.request_id`.

    public: the caller may be anybody, so that an id that came counts for nothing and one is made here.
    """

    def __init__(self, app: ASGIApp, *, public: bool) -> None:
        self._app, self._public = app, public

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = (None if self._public else _given(scope)) or uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        structlog.contextvars.bind_contextvars(request_id=request_id)  # of this request's task: nothing to unbind

        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (_HEADER, request_id.encode()), NO_SNIFFING]
            await send(message)

        await self._app(scope, receive, named)


def _given(scope: Scope) -> str | None:
    given = next((value for name, value in scope["headers"] if name == _HEADER), b"")
    return given.decode() if READABLE.fullmatch(given) else None
