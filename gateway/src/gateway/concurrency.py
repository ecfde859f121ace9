"""How many requests of one kind may be under way at once: what the machine gives now, by measured delay.

Additive increase, multiplicative decrease (Chiu and Jain, "Analysis of the increase and decrease algorithms for
congestion avoidance in computer networks", 1989), with delay instead of loss as its sign, as TCP Vegas has
it (Brakmo and Peterson, 1995): requests that take several times what they take when nearly alone stand in a queue
somewhere. Bursts are let through, and a queue that stands is not, as in CoDel (RFC 8289).
"""

from __future__ import annotations

import time
from collections.abc import Callable

FIRST, LEAST = 16, 4
TOLERANCE = 3.0
"""So many times the delay of a request alone is no congestion: arrivals at two thirds of the capacity take that."""
SLACK_SECONDS = 0.003
"""Nor is this much more: what timers and garbage collection add to the shortest request."""
DECREASE = 0.9
ALONE = 2
"""What begins and ends with at most so many under way, itself included, says what a request takes without a queue."""
ALONE_WEIGHT = 0.05
WINDOW_SECONDS, WINDOW_REQUESTS = 0.1, 10
BURST, BURST_SECONDS = 4, 0.1
"""So many times the limit are let in for so long after it was last half free."""


class AdaptiveLimit:
    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        """most: whatever the delay."""
        self.limit = float(min(FIRST, most))
        self.under_way = 0
        self._most, self._clock = most, clock
        self._alone: float | None = None
        """Seconds that a request takes with nearly nobody else under way, as a running mean."""
        self._half_free_at = self._window_from = clock()
        self._seconds, self._requests, self._reached = 0.0, 0, False

    @property
    def admits(self) -> bool:
        """Whether one more may begin."""
        if self.under_way <= self.limit / 2:
            self._half_free_at = self._clock()
            return True
        if self.under_way < int(self.limit):
            return True
        self._reached = True
        burst = self.under_way < min(BURST * self.limit, self._most)
        return burst and self._clock() - self._half_free_at < BURST_SECONDS

    def begin(self) -> bool:
        """Whether it is nearly alone, for `end`."""
        self.under_way += 1
        return self.under_way <= ALONE

    def end(self, seconds: float | None, *, alone: bool = False) -> None:
        """seconds: that it took; None where that says nothing, since it was refused or failed."""
        if seconds is not None:
            self._observe(seconds, alone and self.under_way <= ALONE)
        self.under_way -= 1

    def _observe(self, seconds: float, alone: bool) -> None:
        if alone:
            self._alone = seconds if self._alone is None else self._alone + ALONE_WEIGHT * (seconds - self._alone)
        self._seconds, self._requests = self._seconds + seconds, self._requests + 1
        if self._requests >= WINDOW_REQUESTS and self._clock() - self._window_from >= WINDOW_SECONDS:
            self._adapt(self._seconds / self._requests)
            self._window_from, self._seconds, self._requests, self._reached = self._clock(), 0.0, 0, False

    def _adapt(self, mean: float) -> None:
        alone = mean if self._alone is None else self._alone
        if mean > max(TOLERANCE * alone, alone + SLACK_SECONDS):
            self.limit = max(DECREASE * self.limit, min(LEAST, self._most))
        elif self._reached:
            self.limit = min(self.limit + 1, self._most)
