"""Who may write: whoever has one of the API keys. Who may change experiments: whoever has one of the admin keys."""

from __future__ import annotations

from chassis.errors import Forbidden, Unauthorized
from contracts.headers import API_KEY
from fastapi import Security
from fastapi.security import APIKeyHeader
from starlette.types import Scope

from gateway.state import StateDep

_KEY = API_KEY.lower().encode()
_header = APIKeyHeader(name=API_KEY, auto_error=False)


def sends_bodies(scope: Scope) -> bool:
    """Whoever has any key. Asked before a body is read; what a route needs it says itself."""
    key = next((value.decode("latin-1") for name, value in scope["headers"] if name == _KEY), None)
    return key is not None and (key in scope["state"]["keys"] or key in scope["state"]["admin_keys"])


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
