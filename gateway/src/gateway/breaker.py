"""Stops calls to what is down: after some failures in a row nobody asks for a while, then one request tries.

A call that timed out is no failure by itself: it may have waited in a queue of ours. It is one where the service has
answered nobody for a while, as a process does that has been stopped.
"""

from __future__ import annotations

import time
from collections.abc import Callable

FAILURES = 5
REST_SECONDS = 1.0
SILENT_SECONDS = 1.0


class Breaker:
    def __init__(
        self, failures: int = FAILURES, rest: float = REST_SECONDS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limit, self._rest, self._clock = failures, rest, clock
        self._failures = 0
        self._closed_again_at = 0.0
        self._silent_since: float | None = None
        """When the first call was given up that nobody has answered since."""

    @property
    def is_open(self) -> bool:
        """Whether calls failed too often, and none has succeeded since."""
        return self._failures >= self._limit

    def allows(self) -> bool:
        """False while resting. After the rest one caller may try; the others wait for its outcome."""
        if not self.is_open:
            return True
        now = self._clock()
        if now < self._closed_again_at:
            return False
        self._closed_again_at = now + self._rest
        return True

    def succeeded(self) -> None:
        self._failures, self._silent_since = 0, None

    def failed(self) -> None:
        self._failures += 1
        if self.is_open:
            self._closed_again_at = self._clock() + self._rest

    def timed_out(self) -> None:
        now = self._clock()
        if self._silent_since is None:
            self._silent_since = now
        if self.is_open or now - self._silent_since >= SILENT_SECONDS:
            self.failed()
