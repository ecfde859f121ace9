"""The platform's clock, kept in Redis: every process takes "now" from it. Absent: real time.

Deadlines, leases and latencies stay in real time.
"""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import datetime

import redis.exceptions
from contracts.clock import REAL, Clock

from feature_service.keyspace.connection import AsyncClient, Client
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


def parse_clock(json: bytes | None) -> Clock:
    return Clock.model_validate_json(json) if json else REAL


class _Expiry:
    def __init__(self) -> None:
        self._until = 0.0

    def is_over(self) -> bool:
        """True for one caller a second: it reads the clock again, the others go by what was read last."""
        if (now := time.monotonic()) < self._until:
            return False
        self._until = now + CACHED_SECONDS
        return True


class PlatformClock:
    """For ingest, over a client that waits."""

    def __init__(self, client: Client) -> None:
        self._client, self._clock, self._expiry = client, REAL, _Expiry()

    @property
    def clock(self) -> Clock:
        """At most a second old. Raises redis.exceptions.RedisError."""
        if self._expiry.is_over():
            self._clock = read_clock(self._client)
        return self._clock

    def now(self) -> datetime:
        return self.clock.now()


class ServiceClock:
    """For the service. Where Redis does not answer, the clock runs on as it was."""

    def __init__(self, client: AsyncClient) -> None:
        self._client, self._clock, self._expiry = client, REAL, _Expiry()

    async def read(self) -> Clock:
        if self._expiry.is_over():
            with suppress(redis.exceptions.RedisError, OSError):
                self._clock = parse_clock(await self._client.get(CLOCK))
        return self._clock

    async def now(self) -> datetime:
        return (await self.read()).now()
