"""The platform's clock while traffic plays: it runs fast, and slower where the machine cannot keep up.

A change is announced with a moment's rest. The clock jumps to where it will stand once every service has heard of it, at most a
second later, stands still, and goes on at the new speed: so no service's time ever lies ahead of what another will
see, and none goes back.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from contracts.clock import Clock

HEARD_SECONDS = 2.5
"""Services ask for the clock once a second, the gateway asks one of them."""
REST_SECONDS = 1.5
"""And then it stands still for as long: what is late catches up."""
LATE_SECONDS = 0.5
"""Real time behind the clock that is borne with."""
BETWEEN_SECONDS = 5.0
"""Two changes at least."""
SLOWER = 0.7

Now = Callable[[], datetime]


def _real() -> datetime:
    return datetime.now(UTC)


class Pace:
    """write: tells the platform; now: the real time."""

    def __init__(self, clock: Clock, write: Callable[[Clock], None], now: Now = _real) -> None:
        self._clock, self._write, self._real = clock, write, now
        self._changed: datetime | None = None

    @property
    def speed(self) -> float:
        return self._clock.speed

    @property
    def begins(self) -> datetime:
        """Where the clock stands until it goes on."""
        return self._clock.then

    def now(self) -> datetime:
        """On the platform."""
        return self._clock.at(self._real())

    def until(self, moment: datetime) -> float:
        """Real seconds until the platform's clock shows `moment`; below 0 if it has."""
        real = self._real()
        away = (moment - self._clock.at(real)).total_seconds() / self.speed
        return away if away <= 0 else away + max((self._clock.since - real).total_seconds(), 0.0)

    def run(self, speed: float) -> None:
        """Raises what `write` raises."""
        real = self._real()
        heard = real + timedelta(seconds=HEARD_SECONDS)
        stands = self._clock.at(heard)
        self._clock = Clock(since=heard + timedelta(seconds=REST_SECONDS), then=stands, speed=speed)
        self._write(self._clock)
        self._changed = real

    def keeps_up(self, due: datetime) -> bool:
        """due: when something should have happened that happens now. False: too late, and the clock has been slowed for it."""
        if self.until(due) > -LATE_SECONDS or self.speed <= 1:
            return True
        real = self._real()
        if self._changed is not None and real < self._clock.since + timedelta(seconds=BETWEEN_SECONDS):
            return True
        self.run(max(self.speed * SLOWER, 1.0))
        return False
