"""A request's body is here, whole and in time, before the request counts for anything.

Whoever sends a body slowly holds a connection and a piece of memory that is bounded for all together, never a place
among the requests under way. Whoever may not send one at all is heard without it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chassis.connections import WHOLE
from chassis.errors import ServiceError, TooLarge, TooLate, Unavailable, refusal

MAX_BODY_BYTES = 2**20
MAX_HELD_BYTES = 32 * 2**20
"""Of all bodies that are on their way."""
BODY_SECONDS = 5.0
READS = {"GET", "HEAD", "OPTIONS", "TRACE"}

Admits = Callable[[Scope], bool]


def anybody(_: Scope) -> bool:
    return True


class Gone(Exception):
    """The caller left before its body was here."""


class Bodies:
    """ASGI middleware. admits: by its head, whether a request's body is read at all."""

    def __init__(self, app: ASGIApp, admits: Admits = anybody) -> None:
        self._app, self._admits = app, admits
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in READS or self._is_here(scope):
            await self._app(scope, receive, send)
            return
        try:
            body = await self._whole(scope, receive) if self._admits(scope) else b""
        except ServiceError as error:
            await refusal(scope, error)(scope, receive, send)
        except Gone:
            return
        else:
            await self._app(scope, _replayed(body, receive), send)

    def _is_here(self, scope: Scope) -> bool:
        """As most bodies are, those of our own services above all: they came with their head."""
        return WHOLE in scope and 0 < _declared(scope) <= MAX_BODY_BYTES and self._admits(scope)

    async def _whole(self, scope: Scope, receive: Receive) -> bytes:
        """Raises TooLarge, TooLate, Unavailable or Gone."""
        if _declared(scope) > MAX_BODY_BYTES:
            raise TooLarge(f"a body of more than {MAX_BODY_BYTES} bytes; send smaller batches")
        body = bytearray()
        try:
            async with asyncio.timeout(BODY_SECONDS):
                while await self._more(body, receive):
                    pass
        except TimeoutError as error:
            raise TooLate(f"the body did not arrive within {BODY_SECONDS:.0f} s") from error
        finally:
            self._held -= len(body)
        return bytes(body)

    async def _more(self, body: bytearray, receive: Receive) -> bool:
        """Takes the next piece; whether there is more to come."""
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        piece = message.get("body", b"")
        body += piece
        self._held += len(piece)
        if len(body) > MAX_BODY_BYTES:  # of undeclared length
            raise TooLarge(f"a body of more than {MAX_BODY_BYTES} bytes; send smaller batches")
        if self._held > MAX_HELD_BYTES:
            raise Unavailable("too many bodies at once; try again")
        return bool(message.get("more_body", False))


def _declared(scope: Scope) -> int:
    """0 where the length is not declared."""
    return next((int(value) for name, value in scope["headers"] if name == b"content-length" and value.isdigit()), 0)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """The body, once; then what the connection says."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
