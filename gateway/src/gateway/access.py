"""Who may write: whoever has one of the API keys."""

from __future__ import annotations

import hmac
from hashlib import sha256

from chassis.errors import Unauthorized
from contracts.headers import API_KEY
from fastapi import Security
from fastapi.security import APIKeyHeader
from starlette.requests import Request

_header = APIKeyHeader(name=API_KEY, auto_error=False)


class ApiKeys:
    """Keeps hashes only, and compares in constant time."""

    def __init__(self, keys: str) -> None:
        """keys: comma-separated."""
        self._hashes = [sha256(key.strip().encode()).digest() for key in keys.split(",") if key.strip()]

    def __contains__(self, key: object) -> bool:
        given = sha256(str(key).encode()).digest()
        return sum(hmac.compare_digest(given, held) for held in self._hashes) > 0  # all of them: no early exit


def require_key(request: Request, key: str | None = Security(_header)) -> None:
    """Raises Unauthorized."""
    keys: ApiKeys = request.state.keys
    if key is None or key not in keys:
        raise Unauthorized(f"this call needs a valid {API_KEY} header")
