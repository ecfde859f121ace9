"""Connections to Redis, and the settings without which the platform's promises don't hold."""

from __future__ import annotations

from typing import Any

import redis
import redis.asyncio

Client = Any
"""redis-py annotates every answer as a union over all its modes; a client of ours always answers bytes."""

REQUIRED = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}


class WrongRedisSettings(RuntimeError):
    """Redis would lose acknowledged events or evict features. The message names each setting and its right value."""


def connect_redis(redis_url: str, seconds: float = 30) -> Client:
    """For commands and ingest. seconds: that a call may take."""
    return redis.Redis.from_url(redis_url, socket_timeout=seconds, socket_connect_timeout=2)


def connect_redis_async(redis_url: str) -> Client:
    """For the service: nothing waits longer than a request may."""
    return redis.asyncio.Redis.from_url(
        redis_url, socket_timeout=1.0, socket_connect_timeout=0.5, max_connections=100, health_check_interval=15
    )


def wrong_settings(have: dict[bytes | str, bytes | str]) -> str | None:
    """What is wrong with a server's settings, or None. have: the answer to CONFIG GET."""
    found = {_text(name): _text(value) for name, value in have.items()}
    wrong = [
        f"{name} is {found.get(name, 'unknown')}, must be {right}"
        for name, right in REQUIRED.items()
        if found.get(name) != right
    ]
    return f"Redis has the wrong settings: {'; '.join(wrong)} (see infra/redis/redis.conf)" if wrong else None


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
