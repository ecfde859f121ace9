"""The platform's clock, as it lies in Redis: everybody takes "now" from it. Absent: real time.

Deadlines, leases and latencies stay in real time.
"""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import datetime

import redis.exceptions
from contracts.clock import REAL, Clock

from feature_service.keyspace.connection import Client
from feature_service.keyspace.keys import CLOCK

CACHED_SECONDS = 1.0


def read_clock(client: Client) -> Clock:
    return parse_clock(client.get(CLOCK))


def set_clock(client: Client, clock: Clock | None) -> None:
    """Every process goes by it within two seconds. None: back to real time."""
    if clock is None:
        client.delete(CLOCK)
    else:
        client.set(CLOCK, clock.model_dump_json())


def parse_clock(found: bytes | None) -> Clock:
    return Clock.model_validate_json(found) if found else REAL


class _Cached:
    def __init__(self, client: Client) -> None:
        self._client, self._clock, self._until = client, REAL, 0.0

    def _is_old(self) -> bool:
        """Says so to one asker a second; the others go by what was known."""
        if (now := time.monotonic()) < self._until:
            return False
        self._until = now + CACHED_SECONDS
        return True


class PlatformClock(_Cached):
    """For ingest, over a client that waits."""

    @property
    def clock(self) -> Clock:
        """At most a second old. Raises redis.exceptions.RedisError."""
        if self._is_old():
            self._clock = read_clock(self._client)
        return self._clock

    def now(self) -> datetime:
        return self.clock.now()


class ServiceClock(_Cached):
    """For the service. Where Redis does not answer, the clock runs on as it was."""

    async def read(self) -> Clock:
        if self._is_old():
            with suppress(redis.exceptions.RedisError, OSError):
                self._clock = parse_clock(await self._client.get(CLOCK))
        return self._clock

    async def now(self) -> datetime:
        return (await self.read()).now()
