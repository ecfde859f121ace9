"""What the gateway keeps up to date in the background: running experiments, posts that went, popular posts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog
from contracts.experiments import RunningExperiments
from contracts.wire import PopularPosts

from gateway.fallback import Fallback
from gateway.row import whole_ids
from gateway.split import Split
from gateway.upstream import Upstream, UpstreamError

RUNNING_SECONDS = 1.0
POPULAR_SECONDS = 30.0
RETRY_SECONDS = 1.0
CALL_SECONDS = 5.0
BEGIN_SECONDS = 2.0

NOT_MODIFIED = 304
log = structlog.get_logger()


class Refresh:
    def __init__(self, features: Upstream, fallback: Fallback, split: Split) -> None:
        self._features, self._fallback, self._split = features.within(CALL_SECONDS), fallback, split
        self._etag: str | None = None

    async def begin(self) -> None:
        """Before the first request is taken: a worker that does not know the experiments splits nobody, one that does
        not know what is gone may show it, and one without popular posts has nothing to fall back on. What does not come
        in time comes later."""
        with suppress(TimeoutError):
            async with asyncio.timeout(BEGIN_SECONDS):
                await asyncio.gather(*map(self._did, (self._read_running, self._read_gone, self._read_popular)))

    async def run(self) -> None:
        """Until cancelled. While feature-service is down, what was known last stays."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._every(RUNNING_SECONDS, self._read_running))
            group.create_task(self._every(RUNNING_SECONDS, self._read_gone))
            group.create_task(self._every(POPULAR_SECONDS, self._read_popular))

    async def _every(self, seconds: float, read: Callable[[], Awaitable[None]]) -> None:
        while True:
            wait = seconds if await self._did(read) else RETRY_SECONDS
            await asyncio.sleep(wait)

    async def _did(self, read: Callable[[], Awaitable[None]]) -> bool:
        try:
            await read()
        except UpstreamError as error:
            log.warning("not_refreshed", reason=str(error).splitlines()[0])
            return False
        return True

    async def _read_running(self) -> None:
        """Most answers are 304: the bucket tables travel only when something has changed."""
        headers = {"If-None-Match": self._etag} if self._etag else {}
        reply = await self._features.call("GET", "/running", headers=headers)
        self._fallback.texts_version = reply.texts_version or ""
        if reply.status != NOT_MODIFIED:
            self._split.update(self._features.read(reply, RunningExperiments.model_validate_json))
            self._etag = reply.etag

    async def _read_gone(self) -> None:
        self._fallback.keep_gone(await self._features.ask("GET", "/gone", into=whole_ids))

    async def _read_popular(self) -> None:
        self._fallback.keep_popular(await self._features.ask("GET", "/popular", into=PopularPosts.model_validate_json))
