"""Who may call what: by a key, which has scopes, or as the user of a token.

A request shows a key in `X-API-Key`, or a user's token in `Authorization: Bearer`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from hashlib import sha256

from chassis.errors import Forbidden, ServiceError, Unauthorized
from chassis.keys import Keys
from contracts.headers import API_KEY
from fastapi import Security
from fastapi.security import APIKeyHeader
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import Scope

from gateway.scopes import CALLER, EVERYTHING, Need
from gateway.settings import Settings
from gateway.tokens import Tokens

BEARER = "Bearer "
OF_REQUEST = "caller"
"""In the state of a request, once anybody has asked who calls."""
_header = APIKeyHeader(name=API_KEY, auto_error=False)


@dataclass(frozen=True, slots=True)
class Caller:
    """name: to count its calls by. may: its scopes. user: of a token, whose it is; None for a key."""

    name: str
    may: frozenset[str]
    user: str | None = None


class Access:
    """Kept in the gateway's state, for whoever asks about a request."""

    def __init__(self, settings: Settings) -> None:
        """Raises OSError for a file that cannot be read; what is in it the settings have looked at."""
        self._keys = Keys(settings.api_keys, settings.api_keys_file, scopes=CALLER, default=CALLER)
        self._admin_keys = Keys(settings.admin_keys, settings.admin_keys_file, scopes=EVERYTHING, default=EVERYTHING)
        self._tokens = Tokens(settings.token_secrets, settings.token_secrets_file)
        self._open: Collection[str] = () if settings.is_closed else ("recommend", "read")

    def caller(self, scope: Scope) -> Caller | None:
        """None for a request that shows nothing. Raises Unauthorized for a key or a token that is not valid.

        Looked at once a request, though its body, its rate and its route all ask.
        """
        state = scope["state"]
        if OF_REQUEST not in state:
            state[OF_REQUEST] = self._shown(Headers(scope=scope))
        caller: Caller | None = state[OF_REQUEST]
        return caller

    def _shown(self, headers: Headers) -> Caller | None:
        token = _token(headers)
        if token is not None:
            user = self._tokens.user(token)
            return Caller(f"user {user}", CALLER, user)
        key = headers.get(API_KEY)
        if key is None:
            return None
        may = self._keys.scopes_of(key) | self._admin_keys.scopes_of(key)
        if not may:
            raise Unauthorized(f"the key in {API_KEY} is none of GATEWAY_API_KEYS or GATEWAY_ADMIN_KEYS")
        return Caller(sha256(key.encode()).hexdigest(), may)

    def admit(self, scope: Scope, need: Need, users: Collection[object] | None = None, *, may_be_open: bool) -> None:
        """users: whom alone the call is about; a token opens it where they are its own; None: all users.

        may_be_open: whether the settings may open it to those who show no key. Raises Unauthorized or Forbidden.
        """
        if may_be_open and need in self._open and _token(Headers(scope=scope)) is None:
            return
        if need == "administer" and not self._admin_keys:
            raise Forbidden("administration is closed: GATEWAY_ADMIN_KEYS names no key")
        caller = self.caller(scope)
        variable = "GATEWAY_ADMIN_KEYS" if need == "administer" else "GATEWAY_API_KEYS"
        if caller is None:
            raise Unauthorized(f"this call needs one of {variable} in the {API_KEY} header")
        if need not in caller.may:
            raise Forbidden(f"this key opens {', '.join(sorted(caller.may))}; for {need} {variable} have others")
        if caller.user is not None and (users is None or any(str(user) != caller.user for user in users)):
            raise Forbidden("a user's token opens what that user's page asks for and sends, nothing of others")


def admit(request: Request, need: Need, users: Collection[object] | None = None) -> None:
    """For a route that tells whom it is about, or that the settings may open. Raises Unauthorized or Forbidden."""
    access: Access = request.state.access
    access.admit(request.scope, need, users, may_be_open=True)


def needs(need: Need, users: Collection[object] | None = None) -> Callable[..., Awaitable[None]]:
    """A dependency of routes that nothing opens to everybody. users: as of `Access.admit`."""

    async def dependency(request: Request, _: str | None = Security(_header)) -> None:
        access: Access = request.state.access
        access.admit(request.scope, need, users, may_be_open=False)

    return dependency


def _token(headers: Headers) -> str | None:
    shown = headers.get("Authorization", "")
    return shown.removeprefix(BEARER).strip() if shown.startswith(BEARER) else None


def shows_something_valid(scope: Scope) -> bool:
    """Asked before a body is read; what a route needs it says itself."""
    access: Access = scope["state"]["access"]
    try:
        return access.caller(scope) is not None
    except ServiceError:
        return False
