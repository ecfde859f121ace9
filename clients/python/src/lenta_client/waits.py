"""How long to wait before a call is tried again."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from lenta_client.errors import LentaError

FIRST_SECONDS = 0.1
LONGEST_SECONDS = 30.0
SPREAD = 0.25
"""So much is added by chance, so that clients which were turned away together do not come back together."""


class Waits:
    """Between the attempts of one call: as long as the gateway asks for, and twice as long each time (capped
    exponential backoff with jitter; https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/)."""

    def __init__(
        self,
        patience: float,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """patience: in seconds, from now to the start of the last attempt."""
        self._clock, self._chance = clock, chance
        self._end, self._next = clock() + patience, FIRST_SECONDS

    def after(self, error: LentaError) -> float:
        """Seconds until the next attempt. Raises the error itself where patience ends before it."""
        wait = max(self._next, error.retry_after or 0.0) * (1 + SPREAD * self._chance())
        self._next = min(2 * self._next, LONGEST_SECONDS)
        if self._clock() + wait > self._end:
            raise error
        return wait
