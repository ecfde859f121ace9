"""Connections to Redis, and the settings without which the platform's promises don't hold."""

from __future__ import annotations

from collections.abc import Awaitable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Protocol, Self, cast

import redis
import redis.asyncio

Value = str | int | float | bytes

REQUIRED = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}


class Pipeline(Protocol):
    """Commands that are sent together; `execute` answers each of them."""

    def get(self, name: str) -> Self: ...

    def set(self, name: str, value: Value) -> Self: ...

    def setnx(self, name: str, value: Value) -> Self: ...

    def append(self, key: str, value: bytes) -> Self: ...

    def lrange(self, name: str, start: int, end: int) -> Self: ...

    def rpush(self, name: str, *values: Value) -> Self: ...

    def sadd(self, name: str, *values: Value) -> Self: ...

    def hsetnx(self, name: str, key: str | int, value: Value) -> Self: ...

    def hincrby(self, name: str, key: str, amount: int) -> Self: ...

    def eval(self, script: str, numkeys: int, *keys_and_args: Value) -> Self: ...

    def execute(self) -> list[Any]: ...


class Client(Protocol):
    """The commands that commands, ingest and warm give. redis-py annotates every answer as a union over all its modes;
    a client of ours waits, and answers bytes."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def pipeline(self, transaction: bool = True) -> AbstractContextManager[Pipeline]: ...

    def eval(self, script: str, numkeys: int, *keys_and_args: Value) -> Any:
        """What the script answers: integers, bytes, None, and lists of them."""

    def config_get(self, pattern: str) -> dict[bytes | str, bytes | str]: ...

    def get(self, name: str) -> bytes | None: ...

    def mget(self, keys: Sequence[str]) -> list[bytes | None]: ...

    def set(self, name: str, value: Value) -> object: ...

    def delete(self, *names: str) -> int: ...

    def unlink(self, *names: str | bytes) -> int: ...

    def exists(self, *names: str) -> int: ...

    def scan_iter(self, match: str, count: int | None = None) -> Iterator[bytes]: ...

    def hget(self, name: str, key: str) -> bytes | None: ...

    def hmget(self, name: str, keys: Sequence[str | int]) -> list[bytes | None]: ...

    def hgetall(self, name: str) -> dict[bytes, bytes]: ...

    def hkeys(self, name: str) -> list[bytes]: ...

    def hlen(self, name: str) -> int: ...

    def hset(
        self,
        name: str,
        key: str | None = None,
        value: bytes | None = None,
        mapping: Mapping[str, bytes] | None = None,
    ) -> int: ...

    def hdel(self, name: str, *keys: str) -> int: ...

    def zrangebyscore(self, name: str, min: float | str, max: float | str) -> list[bytes]: ...

    def zrem(self, name: str, *values: Value) -> int: ...

    def srem(self, name: str, *values: Value) -> int: ...

    def xinfo_stream(self, name: str) -> dict[str, Any]: ...

    def xlen(self, name: str) -> int: ...

    def xtrim(self, name: str, *, minid: str, approximate: bool) -> int: ...


class AsyncScript(Protocol):
    def __call__(self, *, args: Sequence[object]) -> Awaitable[Any]: ...


class AsyncClient(Protocol):
    """The commands that the service gives; answers are bytes."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def register_script(self, script: str) -> AsyncScript: ...

    def config_get(self, pattern: str) -> Awaitable[dict[bytes | str, bytes | str]]: ...

    def get(self, name: str) -> Awaitable[bytes | None]: ...

    def mget(self, keys: Sequence[str]) -> Awaitable[list[bytes | None]]: ...


class WrongRedisSettings(RuntimeError):
    """Redis would lose acknowledged events or evict features. The message names each setting and its right value."""


def connect_redis(redis_url: str, seconds: float = 30) -> Client:
    """For commands and ingest. seconds: that a call may take."""
    return cast(Client, redis.Redis.from_url(redis_url, socket_timeout=seconds, socket_connect_timeout=2))


def connect_redis_async(redis_url: str) -> AsyncClient:
    """For the service: nothing waits longer than a request may."""
    client = redis.asyncio.Redis.from_url(
        redis_url, socket_timeout=1.0, socket_connect_timeout=0.5, max_connections=100, health_check_interval=15
    )
    return cast(AsyncClient, client)


def wrong_settings(have: dict[bytes | str, bytes | str]) -> str | None:
    """What is wrong with a server's settings, or None. have: the answer to CONFIG GET."""
    settings = {_text(name): _text(value) for name, value in have.items()}
    wrong = [
        f"{name} is {settings.get(name, 'unknown')}, must be {right}"
        for name, right in REQUIRED.items()
        if settings.get(name) != right
    ]
    return f"Redis has the wrong settings: {'; '.join(wrong)} (see infra/redis/redis.conf)" if wrong else None


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
