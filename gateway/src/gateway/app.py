"""The only public door."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from importlib.metadata import version

from chassis.door import Door
from chassis.logs import configure_logs
from chassis.service import create_service
from fastapi import FastAPI

from gateway import readiness
from gateway.access import Access, shows_something_valid
from gateway.assignments import AssignmentReporter, RecentlyReported
from gateway.description import describe
from gateway.exposures import WaitingExposures
from gateway.fallback import Fallback
from gateway.limits import Limits
from gateway.outside import put_before
from gateway.recommend import recommend
from gateway.refresh import Refresh
from gateway.routes import events, experiments, explanations, history, recommendations, rules
from gateway.settings import Settings
from gateway.shadows import Shadows
from gateway.split import Split
from gateway.state import State
from gateway.upstreams import open_upstreams

MEGABYTE = 2**20
REPORTED_PART = 6
"""One part in so many of the memory is for whose assignment was reported: 8 of 48 MB, a million users."""


def create(settings: Settings | None = None) -> FastAPI:
    settings = settings or Settings.read_or_exit()
    configure_logs("gateway", settings.log_level, settings.log_file)
    limits = Limits(settings.max_concurrent)
    app = create_service(
        "Lenta",
        version=version("lenta-gateway"),
        description="Five posts that a user will most likely like, and the split between two models.",
        lifespan=lambda _: _running(settings, limits.door),
        routers=[
            recommendations.router,
            recommendations.previews,
            explanations.router,
            history.router,
            events.router,
            experiments.router,
            rules.router,
        ],
        checks=readiness.CHECKS,
        warnings=readiness.warnings(settings.rankers),
        public=True,
        admits=shows_something_valid,
        metrics_address=settings.metrics_address,
        hosts=settings.hosts,
    )
    describe(app)
    put_before(app, settings, limits)
    return app


@asynccontextmanager
async def _running(settings: Settings, door: Door) -> AsyncIterator[State]:
    capacity = settings.memory_mb * MEGABYTE
    split, fallback = Split(), Fallback(capacity - capacity // REPORTED_PART)
    async with AsyncExitStack() as stack:
        upstreams = await stack.enter_async_context(open_upstreams(settings))
        assignments = AssignmentReporter(upstreams.records, RecentlyReported(capacity // REPORTED_PART))
        waiting = WaitingExposures(upstreams.records)
        shadows = Shadows(upstreams.rankers, upstreams.records)
        stack.push_async_callback(assignments.close)
        stack.push_async_callback(waiting.close)
        stack.push_async_callback(shadows.close)
        refresh = Refresh(upstreams.features, fallback, split)
        await refresh.begin()
        for work in (refresh.run(), assignments.run(), waiting.run()):
            await stack.enter_async_context(_beside(work))
        yield State(
            recommend=partial(
                recommend,
                rows=upstreams.features.within(settings.features_ms / 1000),
                exposures=upstreams.features.within(settings.exposure_ms / 1000),
                rankers=upstreams.rankers,
                fallback=fallback,
                later=waiting.keep,
            ),
            split=split,
            assignments=assignments,
            shadows=shadows,
            fallback=fallback,
            upstreams=upstreams,
            access=Access(settings),
            deadline_seconds=settings.deadline_ms / 1000,
            door=door,
        )


@asynccontextmanager
async def _beside(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Runs for as long as the body does, and has ended once the body is left."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
