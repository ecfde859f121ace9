"""Who may write: whoever has one of the API keys. Who may change experiments: whoever has one of the admin keys."""

from __future__ import annotations

import hmac
from hashlib import sha256

from chassis.errors import Forbidden, Unauthorized
from contracts.headers import API_KEY
from fastapi import Security
from fastapi.security import APIKeyHeader
from starlette.requests import Request

_header = APIKeyHeader(name=API_KEY, auto_error=False)


class Keys:
    """Keeps hashes only, and compares in constant time."""

    def __init__(self, keys: str) -> None:
        """keys: comma-separated."""
        self._hashes = [sha256(key.strip().encode()).digest() for key in keys.split(",") if key.strip()]

    def __bool__(self) -> bool:
        return bool(self._hashes)

    def __contains__(self, key: object) -> bool:
        given = sha256(str(key).encode()).digest()
        return sum(hmac.compare_digest(given, held) for held in self._hashes) > 0  # all of them: no early exit


def require_key(request: Request, key: str | None = Security(_header)) -> None:
    """An API key, or an admin key. Raises Unauthorized."""
    if key is None or (key not in _keys(request) and key not in _admin_keys(request)):
        raise Unauthorized(f"this call needs a valid {API_KEY} header")


def require_admin_key(request: Request, key: str | None = Security(_header)) -> None:
    """Raises Unauthorized, or Forbidden for an API key and where nobody administers."""
    if not (admin_keys := _admin_keys(request)):
        raise Forbidden("administration is closed: GATEWAY_ADMIN_KEYS names no key")
    if key is not None and key in admin_keys:
        return
    if key is not None and key in _keys(request):
        raise Forbidden("an API key does not administer: this call needs one of the keys in GATEWAY_ADMIN_KEYS")
    raise Unauthorized(f"this call needs an admin key in the {API_KEY} header, one of GATEWAY_ADMIN_KEYS")


def _keys(request: Request) -> Keys:
    keys: Keys = request.state.keys
    return keys


def _admin_keys(request: Request) -> Keys:
    keys: Keys = request.state.admin_keys
    return keys
