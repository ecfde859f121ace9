"""The console's only source: the gateway's public calls, each with a time limit.

GatewayError
 |- GatewayUnavailable   no answer in time, no connection, or a 5xx: says so in words, and is no bug of ours
 |- UnreadableAnswer     an answer that the API does not promise: a bug, logged as one
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

import httpx
import structlog
from contracts.assignment import Group
from contracts.headers import COLD_START, DEGRADED, MODEL
from contracts.wire import FeedRow, Post, User
from pydantic import TypeAdapter, ValidationError

from console.words import duration

log = structlog.get_logger()

PREVIEWS_AT_ONCE = 2
HISTORY_ROWS = 100

T = TypeVar("T")
_USER, _POST = TypeAdapter(User), TypeAdapter(Post)
_POSTS, _ROWS = TypeAdapter(list[Post]), TypeAdapter(list[FeedRow])


class GatewayError(Exception):
    """Its text completes a sentence whose subject is what was asked: "did not answer in 1 s"."""


class GatewayUnavailable(GatewayError):
    pass


class UnreadableAnswer(GatewayError):
    pass


@dataclass(frozen=True, slots=True)
class Preview:
    """One model's posts in rank order."""

    posts: tuple[Post, ...]
    model: str
    version: str
    degraded: tuple[str, ...]
    """Why the answer is not the model's own; empty when it is."""
    cold_start: bool
    seconds: float
    """From the console's question to the whole answer."""


class Gateway:
    """`read_timeout`, `preview_timeout`: seconds for a call as a whole."""

    def __init__(self, client: httpx.AsyncClient, *, read_timeout: float, preview_timeout: float) -> None:
        self._client = client
        self._read_timeout, self._preview_timeout = read_timeout, preview_timeout
        self._previews = asyncio.Semaphore(PREVIEWS_AT_ONCE)

    async def user(self, user_id: int) -> User | None:
        """None for a user without a profile. Raises GatewayError, as all calls here do."""
        response = await self._get(f"/user/{user_id}", {}, self._read_timeout)
        return None if response.status_code == 404 else _read(response, _USER)

    async def post(self, post_id: int) -> Post | None:
        response = await self._get(f"/post/{post_id}", {}, self._read_timeout)
        return None if response.status_code == 404 else _read(response, _POST)

    async def history(self, user_id: int) -> list[FeedRow]:
        """The user's latest rows of the feed, newest first, at most HISTORY_ROWS."""
        response = await self._get(f"/user/{user_id}/feed", {"limit": HISTORY_ROWS}, self._read_timeout)
        return _read(response, _ROWS)

    async def preview(self, group: Group, user_id: int, k: int) -> Preview:
        """What the group's model would show; recorded nowhere. At most two are asked at once, over all pages."""
        async with self._slot():
            started = time.perf_counter()
            path = f"/{group}/post/recommendations/"
            response = await self._get(path, {"id": user_id, "limit": k}, self._preview_timeout)
            seconds = time.perf_counter() - started
        posts = _read(response, _POSTS)
        name, _, version = response.headers.get(MODEL, "").partition("@")
        return Preview(
            posts=tuple(posts),
            model=name,
            version=version,
            degraded=tuple(part.strip() for part in response.headers.get(DEGRADED, "").split(",") if part.strip()),
            cold_start=response.headers.get(COLD_START) == "1",
            seconds=seconds,
        )

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        """A place among the previews that run; waiting for it has a limit of its own."""
        try:
            async with asyncio.timeout(self._read_timeout):
                await self._previews.acquire()
        except TimeoutError as error:
            raise GatewayUnavailable("was not asked, because other previews are waiting") from error
        try:
            yield
        finally:
            self._previews.release()

    async def _get(self, path: str, params: Mapping[str, int], seconds: float) -> httpx.Response:
        try:
            async with asyncio.timeout(seconds):
                response = await self._client.get(path, params=dict(params))
        except (TimeoutError, httpx.TimeoutException) as error:
            raise GatewayUnavailable(f"did not answer in {duration(seconds)}") from error
        except httpx.TransportError as error:
            raise GatewayUnavailable("could not be reached") from error
        if response.status_code >= 500:
            raise GatewayUnavailable(f"answered {response.status_code}")
        return response


def _read(response: httpx.Response, shape: TypeAdapter[T]) -> T:
    try:
        if response.status_code != 200:
            raise ValueError(f"status {response.status_code}")
        return shape.validate_json(response.content)
    except (ValidationError, ValueError) as error:
        log.exception("unreadable_answer", path=response.request.url.path, status=response.status_code)
        raise UnreadableAnswer("gave an answer that the console cannot read") from error
