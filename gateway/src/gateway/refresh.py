"""What the gateway keeps up to date in the background: the running experiment, the popular posts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from chassis.deadline import Deadline
from contracts.assignment import Experiment
from contracts.wire import PopularPosts
from pydantic import TypeAdapter, ValidationError

from gateway.memory import Memory
from gateway.upstream import Upstream, UpstreamError

EXPERIMENT_SECONDS = 1.0
POPULAR_SECONDS = 30.0
RETRY_SECONDS = 1.0
CALL_SECONDS = 5.0

_experiments = TypeAdapter(list[Experiment])
log = structlog.get_logger()


class Running:
    """The experiment by which users are split; an even split until feature-service has named it."""

    def __init__(self) -> None:
        self.experiment = Experiment.start("models", {"control": 0.5, "test": 0.5})


class Refresh:
    def __init__(self, features: Upstream, memory: Memory, running: Running) -> None:
        self._features, self._memory, self._running = features, memory, running
        self._last: bytes = b""

    async def run(self) -> None:
        """Until cancelled. What was known last stays when feature-service is down."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._every(EXPERIMENT_SECONDS, self._read_experiment))
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

    async def _read_experiment(self) -> None:
        body = await self._get("/experiments")
        if body == self._last:
            return
        self._last = body
        if found := _experiments.validate_json(body):
            self._running.experiment = found[0]

    async def _read_popular(self) -> None:
        self._memory.saw_popular(PopularPosts.model_validate_json(await self._get("/popular")))

    async def _get(self, path: str) -> bytes:
        response = await self._features.call("GET", path, deadline=Deadline.after(CALL_SECONDS), at_most=CALL_SECONDS)
        return response.content
