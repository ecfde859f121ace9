"""The platform's one clock. Usually real time; simulated traffic lets it run faster, from another moment on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import Field

from contracts.wire import Message, Time


class Clock(Message):
    """At the real time `since` it was `then` on the platform, and from there it runs `speed` times as fast."""

    since: Time
    then: Time
    speed: Annotated[float, Field(gt=0, le=1e6)] = 1.0

    def at(self, real: datetime) -> datetime:
        """The platform's time at a real time. Before `since` it stands still."""
        return self.then + max(real - self.since, timedelta()) * self.speed

    def is_simulated(self, real: datetime) -> bool:
        """Whether its time is not that of the world."""
        return self.speed != 1 or abs(self.at(real) - real) > timedelta(minutes=1)

    def now(self) -> datetime:
        return self.at(datetime.now(UTC))


_EPOCH = datetime.fromtimestamp(0, UTC)
REAL = Clock(since=_EPOCH, then=_EPOCH)
