"""What the gateway keeps up to date in the background: the running experiments, the popular posts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog
from chassis.deadline import Deadline
from contracts.experiments import Running
from contracts.wire import PopularPosts
from pydantic import ValidationError

from gateway.memory import Memory
from gateway.running import Experiments
from gateway.upstream import Reply, Upstream, UpstreamError

RUNNING_SECONDS = 1.0
POPULAR_SECONDS = 30.0
RETRY_SECONDS = 1.0
CALL_SECONDS = 5.0

NOT_MODIFIED = 304
log = structlog.get_logger()


class Refresh:
    def __init__(self, features: Upstream, memory: Memory, experiments: Experiments) -> None:
        self._features, self._memory, self._experiments = features, memory, experiments
        self._etag: str | None = None

    async def run(self) -> None:
        """Until cancelled. What was known last stays when feature-service is down."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._every(RUNNING_SECONDS, self._read_running))
            group.create_task(self._every(POPULAR_SECONDS, self._read_popular))

    async def _every(self, seconds: float, read: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await read()
                wait = seconds
            except (UpstreamError, ValidationError) as error:
                log.warning("not_refreshed", reason=str(error).splitlines()[0])
                wait = RETRY_SECONDS
            await asyncio.sleep(wait)

    async def _read_running(self) -> None:
        """Most answers are "as before": the bucket tables travel when something has changed."""
        reply = await self._get("/running", {"If-None-Match": self._etag} if self._etag else {})
        if reply.status != NOT_MODIFIED:
            self._experiments.saw(Running.model_validate_json(reply.content))
            self._etag = reply.etag

    async def _read_popular(self) -> None:
        self._memory.saw_popular(PopularPosts.model_validate_json((await self._get("/popular", {})).content))

    async def _get(self, path: str, headers: Mapping[str, str]) -> Reply:
        deadline = Deadline.after(CALL_SECONDS)
        return await self._features.call("GET", path, deadline=deadline, at_most=CALL_SECONDS, headers=headers)
