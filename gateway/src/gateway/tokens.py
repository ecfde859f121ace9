"""Short-lived tokens by which a page asks for its own user alone. The team's backend signs them (RFC 7519, HS256)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jwt
from chassis.errors import Unauthorized
from chassis.keys import Listed

ALGORITHM = "HS256"
SECRET_BYTES = 32
"""At least, as long as what HS256 makes of them (RFC 7518, 3.2)."""
LONGEST_SECONDS = 24 * 3600
LEEWAY_SECONDS = 10
"""Between the backend's clock and ours."""


class Tokens:
    def __init__(self, secrets: str, file: Path | None = None) -> None:
        """Several, while they change: each of them may have signed. Raises OSError, or ValueError for a short one."""
        self._secrets = Listed(secrets, file, check=refuse_short)

    def user(self, token: str) -> str:
        """Whose it is: its `sub`. Raises Unauthorized that says what is wrong with it."""
        claims = self._claims(token)
        if claims["exp"] - time.time() > LONGEST_SECONDS + LEEWAY_SECONDS:
            raise Unauthorized(f"the token's exp is more than {LONGEST_SECONDS // 3600} hours ahead; sign shorter ones")
        return str(claims["sub"])

    def _claims(self, token: str) -> dict[str, Any]:
        refused = Unauthorized("no tokens are taken here: GATEWAY_TOKEN_SECRETS names no secret")
        for secret in self._secrets.refresh():
            try:
                return _decoded(token, secret)
            except jwt.InvalidSignatureError:
                refused = Unauthorized("the token in Authorization is signed with a secret that is not ours")
            except jwt.InvalidTokenError as error:
                raise Unauthorized(f"the token in Authorization is refused: {error}") from error
        raise refused


def _decoded(token: str, secret: str) -> dict[str, Any]:
    return jwt.decode(token, secret, algorithms=[ALGORITHM], options={"require": ["exp", "sub"]}, leeway=LEEWAY_SECONDS)


def refuse_short(secrets: Sequence[str]) -> None:
    """Raises ValueError."""
    if any(len(secret.encode()) < SECRET_BYTES for secret in secrets):
        raise ValueError(f"a secret of fewer than {SECRET_BYTES} bytes; make one: openssl rand -hex 32")
