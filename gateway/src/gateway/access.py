"""Who may write: whoever has one of the API keys. Who may change experiments: whoever has one of the admin keys."""

from __future__ import annotations

from chassis.errors import Forbidden, Unauthorized, refusal
from contracts.headers import API_KEY
from fastapi import Security
from fastapi.security import APIKeyHeader
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.state import StateDep

OPEN = ("/livez", "/readyz", "/metrics", "/docs", "/openapi.json")
_KEY = API_KEY.lower().encode()
_header = APIKeyHeader(name=API_KEY, auto_error=False)


def has_key(scope: Scope) -> bool:
    """Any key. Asked before a body is read; what a route needs it says itself."""
    key = next((value.decode("latin-1") for name, value in scope["headers"] if name == _KEY), None)
    return key is not None and (key in scope["state"]["keys"] or key in scope["state"]["admin_keys"])


class BehindKey:
    """ASGI middleware: whatever is asked needs a key, but for health and the description of the calls."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(OPEN) or has_key(scope):
            await self._app(scope, receive, send)
        else:
            await refusal(scope, Unauthorized(f"every call needs a valid {API_KEY} header"))(scope, receive, send)


async def require_key(state: StateDep, key: str | None = Security(_header)) -> None:
    """An API key, or an admin key. Raises Unauthorized."""
    if key is None or (key not in state["keys"] and key not in state["admin_keys"]):
        raise Unauthorized(f"this call needs a valid {API_KEY} header")


async def require_admin_key(state: StateDep, key: str | None = Security(_header)) -> None:
    """Raises Unauthorized, or Forbidden for an API key and where nobody administers."""
    if not state["admin_keys"]:
        raise Forbidden("administration is closed: GATEWAY_ADMIN_KEYS names no key")
    if key is not None and key in state["admin_keys"]:
        return
    if key is not None and key in state["keys"]:
        raise Forbidden("an API key does not administer: this call needs one of the keys in GATEWAY_ADMIN_KEYS")
    raise Unauthorized(f"this call needs an admin key in the {API_KEY} header, one of GATEWAY_ADMIN_KEYS")
