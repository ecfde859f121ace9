"""One call has one path inside, however it is written outside."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

VERSION = "/v1"
SLASHED = ("/post/recommendations", "/post/explanations")


class Paths:
    """ASGI middleware: takes `/v1` off, and adds the slash without which a call would ask for a post of that name."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope["path"] = inner(scope["path"])
        await self._app(scope, receive, send)


def inner(path: str) -> str:
    if path.startswith(f"{VERSION}/"):
        path = path[len(VERSION) :]
    return f"{path}/" if path.endswith(SLASHED) else path
