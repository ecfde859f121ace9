"""Who may read the pages, where that is not everybody who reaches them: HTTP Basic (RFC 7617), any name, a key."""

from __future__ import annotations

import base64
import binascii

from chassis.keys import Keys
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

OPEN = {"/livez", "/readyz", "/metrics"}


class PagesBehindKey:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, keys: Keys) -> None:
        self._app, self._keys = app, keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in OPEN or _password(scope) in self._keys:
            await self._app(scope, receive, send)
        else:
            headers = {"WWW-Authenticate": 'Basic realm="Lenta", charset="UTF-8"', "Cache-Control": "no-store"}
            await PlainTextResponse("A key is needed: any name, and the key as the password.", 401, headers)(
                scope, receive, send
            )


def _password(scope: Scope) -> str | None:
    """None where none was given, or nothing that can be read."""
    given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
    scheme, _, coded = given.partition(b" ")
    try:
        name_and_password = base64.b64decode(coded, validate=True).decode() if scheme.lower() == b"basic" else ""
    except (binascii.Error, UnicodeDecodeError):
        return None
    return name_and_password.partition(":")[2] or None
