"""How many calls one caller may make, by its key, its token or its address, and how many of both it may guess."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from time import monotonic

from chassis.errors import TooMany, Unauthorized, refusal
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.access import Access

CALLERS = 10_000
"""Remembered; the one heard of longest ago is forgotten first, and starts anew."""
GUESSES, GUESSES_PER_SECOND = 20, 0.5
"""Wrong keys and tokens of one address: at once, and in the long run."""
ALWAYS = {"/livez", "/readyz", "/metrics"}


class TokenBuckets:
    """One bucket a caller, which holds `burst` tokens and gains `per_second`. A call takes one.

    Turner, "New directions in communications (or which way to the information age?)", 1986, in its usual form.
    """

    def __init__(self, burst: float, per_second: float, clock: Callable[[], float] = monotonic) -> None:
        self._burst, self._per_second, self._clock = burst, per_second, clock
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """By caller: tokens, and when that was."""

    def take(self, caller: str) -> bool:
        """Whether there was one."""
        now = self._clock()
        level, since = self._levels.pop(caller, (self._burst, now))
        level = min(self._burst, level + (now - since) * self._per_second)
        self._levels[caller] = (level - 1 if level >= 1 else level, now)
        if len(self._levels) > CALLERS:
            self._levels.popitem(last=False)
        return level >= 1


class Rates:
    """ASGI middleware. Behind a proxy an address is the caller's where FORWARDED_ALLOW_IPS names the proxy."""

    def __init__(self, app: ASGIApp, per_second: int) -> None:
        """per_second: calls of one caller, 0 for as many as they like; twice as many at once."""
        self._app = app
        self._calls = TokenBuckets(2 * per_second, per_second) if per_second else None
        self._guesses = TokenBuckets(GUESSES, GUESSES_PER_SECOND)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in ALWAYS or self._may_call(scope):
            await self._app(scope, receive, send)
        else:
            await refusal(scope, TooMany("too many calls; ask again in a second"))(scope, receive, send)

    def _may_call(self, scope: Scope) -> bool:
        access: Access = scope["state"]["access"]
        address = (scope["client"] or ("", 0))[0]
        try:
            caller = access.caller(scope)
        except Unauthorized:
            return self._guesses.take(address)
        return self._calls is None or self._calls.take(address if caller is None else caller.name)
