"""How many requests of one kind may be under way at once: what the machine gives now, by measured delay.

Additive increase, multiplicative decrease (Chiu and Jain, "Analysis of the increase and decrease algorithms for
congestion avoidance in computer networks", 1989), with delay instead of loss as its sign, as TCP Vegas has
it (Brakmo and Peterson, 1995): requests that take several times what they take when nearly alone stand in a queue
somewhere. Under a load that never ceases nobody is alone, so that now and again the limit makes some so, as BBR does
(Cardwell et al., "BBR: congestion-based congestion control", 2016). Bursts are let through, and a queue that stands is
not, as in CoDel (RFC 8289).
"""

from __future__ import annotations

import time
from collections.abc import Callable

FIRST, LEAST = 16, 4
TOLERANCE = 3.0
"""So many times the delay of a request alone is no congestion: arrivals at two thirds of the capacity take that."""
SLACK_SECONDS = 0.003
"""Nor is this much more: what timers and garbage collection add to the shortest request."""
DECREASE = 0.5
"""At most to so much of the limit at once."""
ALONE = 2
"""What begins and ends with at most so many under way, itself included, says what a request takes without a queue."""
ALONE_WEIGHT = 0.1
STALE_SECONDS, UNKNOWN_SECONDS = 10.0, 1.0
"""So long after somebody was nearly alone it is tried anew what that takes; sooner where it is not known yet."""
PROBES, PROBE_SECONDS = 8, 0.5
"""By so many requests; shorter than so long, during which all others are refused."""
WINDOW_SECONDS, WINDOW_REQUESTS = 0.05, 10
BURST, BURST_SECONDS = 2, 0.1
"""So many times the limit are let in for so long after it was last half free."""


class AdaptiveLimit:
    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        """most: whatever the delay."""
        self.limit = float(min(FIRST, most))
        self.under_way = 0
        self._most, self._clock = most, clock
        self._alone: float | None = None
        """Seconds that a request takes with nearly nobody else under way, as a running mean."""
        self._stale_at, self._probing_until, self._probes = clock() + UNKNOWN_SECONDS, float("-inf"), 0
        self._half_free_at = self._window_from = clock()
        self._seconds, self._requests, self._reached = 0.0, 0, False

    @property
    def admits(self) -> bool:
        """Whether one more may begin."""
        now = self._clock()
        if now < self._probing_until:
            return self.under_way < ALONE
        if self.under_way < ALONE:
            self._stale_at = now + (UNKNOWN_SECONDS if self._alone is None else STALE_SECONDS)
        if self.under_way <= self.limit / 2:
            self._half_free_at = now
            return True
        if now >= self._stale_at:
            self._probe(now)
            return False
        if self.under_way < int(self.limit):
            return True
        self._reached = True
        return self.under_way < min(BURST * self.limit, self._most) and now - self._half_free_at < BURST_SECONDS

    def begin(self) -> bool:
        """Whether it is nearly alone, for `end`."""
        self.under_way += 1
        return self.under_way <= ALONE

    def end(self, seconds: float | None, *, alone: bool = False) -> None:
        """seconds: that it took; None where that says nothing, since it was refused or failed."""
        if alone and self.under_way <= ALONE:
            self._was_alone(seconds)
        if seconds is not None:
            self._observe(seconds)
        self.under_way -= 1

    def _probe(self, now: float) -> None:
        self._probing_until, self._probes = now + PROBE_SECONDS, PROBES
        self._stale_at = now + STALE_SECONDS

    def _was_alone(self, seconds: float | None) -> None:
        self._probes -= 1
        if self._probes == 0:
            self._probing_until = float("-inf")
        if seconds is not None:
            self._alone = seconds if self._alone is None else self._alone + ALONE_WEIGHT * (seconds - self._alone)

    def _observe(self, seconds: float) -> None:
        now = self._clock()
        if now - seconds < self._window_from:  # it began under the limit of before
            return
        self._seconds, self._requests = self._seconds + seconds, self._requests + 1
        if self._requests >= WINDOW_REQUESTS and now - self._window_from >= WINDOW_SECONDS:
            self._adapt(self._seconds / self._requests)
            self._window_from, self._seconds, self._requests, self._reached = now, 0.0, 0, False

    def _adapt(self, mean: float) -> None:
        alone = mean if self._alone is None else self._alone
        bearable = max(TOLERANCE * alone, alone + SLACK_SECONDS)
        if mean > bearable:
            self.limit = max(max(bearable / mean, DECREASE) * self.limit, min(LEAST, self._most))
        elif self._reached:
            self.limit = min(self.limit + 1, self._most)
