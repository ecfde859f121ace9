"""Who may edit: a short session in this process' memory.

The admin key itself never leaves it for a page, an address or a log.

The browser holds a random session id in an HttpOnly, SameSite=Strict cookie; every form carries the session's second
secret against forgery.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from time import monotonic
from typing import Annotated, cast

from fastapi import Depends
from starlette.requests import Request

COOKIE = "lenta_editor"
LIFETIME_SECONDS = 30 * 60
MOST_DRAFTS = 8
MOST_SESSIONS = 1_000
"""The oldest goes first."""


@dataclass(frozen=True, slots=True)
class EditorSession:
    key: str = field(repr=False)
    """The admin key."""
    csrf: str = field(repr=False)
    ends: float
    drafts: dict[str, dict[str, str]] = field(default_factory=dict, repr=False)
    """Forms as they were typed, by their address: whoever goes back finds them as they were."""

    def keep(self, form: Mapping[str, str]) -> str:
        """The draft's id. The oldest of `MOST_DRAFTS` goes."""
        while len(self.drafts) >= MOST_DRAFTS:
            del self.drafts[next(iter(self.drafts))]
        draft = secrets.token_urlsafe(9)
        self.drafts[draft] = {name: value for name, value in form.items() if name != "csrf"}
        return draft

    def owns(self, token: str) -> bool:
        return hmac.compare_digest(self.csrf.encode(), token.encode())


class Sessions:
    """clock: monotonic, in seconds."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._open: dict[bytes, EditorSession] = {}

    def open(self, admin_key: str) -> str:
        """The id of a new session of LIFETIME_SECONDS."""
        self._forget()
        while len(self._open) >= MOST_SESSIONS:
            del self._open[next(iter(self._open))]
        session_id = secrets.token_urlsafe(32)
        self._open[_hashed(session_id)] = EditorSession(
            admin_key, secrets.token_urlsafe(32), self._clock() + LIFETIME_SECONDS
        )
        return session_id

    def find(self, session_id: str | None) -> EditorSession | None:
        """None for an unknown id and for a session that is over."""
        self._forget()
        return self._open.get(_hashed(session_id)) if session_id else None

    def close(self, session_id: str | None) -> None:
        if session_id:
            self._open.pop(_hashed(session_id), None)

    def _forget(self) -> None:
        now = self._clock()
        for key in [key for key, session in self._open.items() if session.ends <= now]:
            del self._open[key]


async def get_sessions(request: Request) -> Sessions:
    return cast(Sessions, request.state.sessions)


SessionsDep = Annotated[Sessions, Depends(get_sessions)]


def _hashed(session_id: str) -> bytes:
    return sha256(session_id.encode()).digest()
