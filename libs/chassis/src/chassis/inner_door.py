"""Who may call a service that the world does not call: the platform's other services.

They share a secret. A browser on the same machine cannot send it, nor announce JSON to another origin unasked, whatever
page it shows; a pod that took a neighbour's name does not know it.
"""

from __future__ import annotations

import hmac
from functools import lru_cache
from ipaddress import ip_address

from contracts.headers import INTERNAL_KEY
from starlette.types import ASGIApp, Receive, Scope, Send

from chassis.bodies import READS
from chassis.errors import ServiceError, Unauthorized, UnsupportedMediaType, refusal
from chassis.keys import listed

OPEN = {"/livez", "/readyz", "/metrics"}
MEDIA_TYPES = {b"application/json", b"application/octet-stream"}
_HEADER = INTERNAL_KEY.lower().encode()


class InnerDoor:
    """ASGI middleware. Without a key it lets in callers of its own machine alone."""

    def __init__(self, app: ASGIApp, keys: str) -> None:
        self._app, self._keys = app, [key.encode() for key in listed(keys)]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        error = self._fault(scope) if scope["type"] == "http" and scope["path"] not in OPEN else None
        await (self._app if error is None else refusal(scope, error))(scope, receive, send)

    def _fault(self, scope: Scope) -> ServiceError | None:
        headers = dict(scope["headers"])
        if not self._keys and not _is_local(scope):
            return Unauthorized("this service was told no INTERNAL_KEY and answers its own machine alone")
        if self._keys and not self._knows(headers.get(_HEADER, b"")):
            return Unauthorized(f"calls between services need the {INTERNAL_KEY} header")
        if scope["method"] not in READS and _media_type(headers.get(b"content-type", b"")) not in MEDIA_TYPES:
            return UnsupportedMediaType("Content-Type: application/json, or application/octet-stream for a row")
        return None

    def _knows(self, given: bytes) -> bool:
        """In constant time for keys of one length."""
        return any(hmac.compare_digest(given, key) for key in self._keys)


def internal_headers(keys: str) -> dict[str, str]:
    """What a caller sends: the first of its keys, so that a new one can be put behind it, before it, and then alone."""
    first = next(iter(listed(keys)), None)
    return {} if first is None else {INTERNAL_KEY: first}


def _is_local(scope: Scope) -> bool:
    client = scope.get("client")
    return client is None or _is_loopback(client[0])


@lru_cache(maxsize=1_000)
def _is_loopback(host: str) -> bool:
    """Reading an address takes 7 µs, and the same few callers come all the time."""
    return ip_address(host).is_loopback


def _media_type(content_type: bytes) -> bytes:
    return content_type.partition(b";")[0].strip().lower()
