"""The platform's clock while traffic plays: it runs fast, and slower where the machine cannot keep up.

A change comes with a short rest: the clock that is written stands still where the old one will be once every service
has heard of the change, and then goes on at the new speed. A service that hears of it early waits for the others, none
goes back, and traffic itself goes by the old clock until all have heard: nothing it sends lies in anybody's future.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from contracts.clock import Clock

HEARD_SECONDS = 2.5
"""Services ask for the clock once a second, the gateway asks one of them."""
REST_SECONDS = 1.5
"""How long the clock then stands still; longer where something is late, so that it can catch up."""
CATCHING_UP = 2.0
"""Seconds of rest for each second of delay, past or expected until every service has heard."""
LATE_SECONDS = 1.0
"""How far behind the clock, in real time, is tolerated."""
BETWEEN_SECONDS = 5.0
"""At least this long from the end of one change to the next."""
SLOWER = 0.7
PATIENCE_SECONDS, MOST_PATIENCE_SECONDS = 20.0, 160.0
"""How long all must go well before a faster speed is tried again; doubles each time that was too fast."""

Now = Callable[[], datetime]


def _real() -> datetime:
    return datetime.now(UTC)


class Pace:
    """write: tells the platform; now: the real time."""

    def __init__(self, clock: Clock, write: Callable[[Clock], None], now: Now = _real) -> None:
        self._clock, self._write, self._real = clock, write, now
        self._before, self._heard = clock, now()
        self._wanted, self._patience = clock.speed, PATIENCE_SECONDS

    @property
    def speed(self) -> float:
        return self._clock.speed

    @property
    def begins(self) -> datetime:
        """Where the clock stands until it goes on."""
        return self._clock.then

    def now(self) -> datetime:
        """On the platform."""
        return self._at(self._real())

    def until(self, moment: datetime) -> float:
        """Real seconds until the platform's clock shows `moment`; below 0 if it has."""
        real = self._real()
        if moment <= self._at(self._heard):
            clock = self._before if real < self._heard else self._clock
            return (moment - clock.at(real)).total_seconds() / clock.speed
        starts = max((self._clock.since - real).total_seconds(), 0.0)
        return starts + (moment - self._clock.at(real)).total_seconds() / self.speed

    def run(self, speed: float, *, from_hour: bool = False) -> None:
        """At the given speed. from_hour: not before the next full hour. Raises what `write` raises."""
        self._wanted = speed
        self._change(speed, from_hour=from_hour)

    def _change(self, speed: float, rest: float = REST_SECONDS, *, from_hour: bool = False) -> None:
        heard = self._real() + timedelta(seconds=HEARD_SECONDS)
        stands = self._at(heard)
        if from_hour:
            stands = stands.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
        new = Clock(since=heard + timedelta(seconds=rest), then=stands, speed=speed)
        self._write(new)
        self._before, self._heard, self._clock = self._clock, heard, new

    def is_late(self, due: datetime) -> bool:
        """due: when something should have happened that happens now."""
        return self.until(due) < -LATE_SECONDS

    def slow(self, due: datetime) -> bool:
        """due: of what happens now. False where there was no time yet to see what the last change brought, or where it
        runs at real time already."""
        if self.speed <= 1 or self._since() < BETWEEN_SECONDS:
            return False
        self._patience = min(2 * self._patience, MOST_PATIENCE_SECONDS)
        catching_up = CATCHING_UP * (HEARD_SECONDS - self.until(due)) if self.is_late(due) else 0.0
        self._change(max(self.speed * SLOWER, 1.0), REST_SECONDS + catching_up)
        return True

    def speed_up(self) -> bool:
        """Towards the wanted speed, once all has gone well for long enough. False where it is too early."""
        if self.speed >= self._wanted or self._since() < self._patience:
            return False
        self._change(min(self.speed / SLOWER, self._wanted))
        return True

    def _since(self) -> float:
        """Real seconds for which the clock has run at its present speed."""
        return (self._real() - self._clock.since).total_seconds()

    def rest(self) -> float:
        """Real seconds until the clock goes on."""
        return max((self._clock.since - self._real()).total_seconds(), 0.0)

    def _at(self, real: datetime) -> datetime:
        return (self._before if real < self._heard else self._clock).at(real)
