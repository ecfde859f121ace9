"""The only public door."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from importlib.metadata import version
from typing import TypedDict

import structlog
from chassis.clients import http_session
from chassis.logs import configure_logs
from chassis.service import create_service
from contracts.assignment import Group
from fastapi import FastAPI
from starlette.requests import Request

from gateway import administration, answering, explaining, reading, writing
from gateway.access import Keys
from gateway.assignments import Assignments, Told
from gateway.limits import Limits
from gateway.memory import Memory
from gateway.rankers import Rankers
from gateway.recommend import Recommender
from gateway.refresh import Refresh
from gateway.running import Experiments
from gateway.settings import Settings
from gateway.shadows import Shadows
from gateway.upstream import Upstream

log = structlog.get_logger()

MEGABYTE = 2**20
TOLD_PART = 6
"""The part of the memory for whose assignment was told: 8 of 48 MB, a million users."""


class State(TypedDict):
    """features, histories, writes, administration: four ways to feature-service that fail apart from each other."""

    recommender: Recommender
    experiments: Experiments
    assignments: Assignments
    shadows: Shadows
    features: Upstream
    histories: Upstream
    writes: Upstream
    administration: Upstream
    rankers: dict[Group, Upstream]
    explainers: dict[Group, Upstream]
    memory: Memory
    keys: Keys
    admin_keys: Keys
    deadline_seconds: float


def create(settings: Settings | None = None) -> FastAPI:
    settings = settings or Settings.read_or_exit()
    configure_logs("gateway", settings.log_level)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[State]:
        async with AsyncExitStack() as stack:
            to_features, to_control, to_test = [
                await stack.enter_async_context(http_session(url))
                for url in (settings.features_url, settings.control_url, settings.test_url)
            ]
            features = Upstream("feature-service", to_features)
            upstreams: dict[Group, Upstream] = {
                "control": Upstream("ranker-control", to_control),
                "test": Upstream("ranker-test", to_test),
            }
            capacity = settings.memory_mb * MEGABYTE
            memory, experiments = Memory(capacity - capacity // TOLD_PART), Experiments()
            records, rankers = Upstream("records", to_features), Rankers(upstreams, settings.ranker_ms / 1000)
            assignments, shadows = Assignments(records, Told(capacity // TOLD_PART)), Shadows(rankers, records)
            stack.push_async_callback(assignments.close)
            stack.push_async_callback(shadows.close)
            for work in (Refresh(features, memory, experiments).run(), assignments.run()):
                await stack.enter_async_context(_beside(work))
            yield State(
                recommender=Recommender(
                    features, rankers, memory, settings.features_ms / 1000, settings.exposure_ms / 1000
                ),
                experiments=experiments,
                assignments=assignments,
                shadows=shadows,
                features=features,
                histories=Upstream("histories", to_features),
                writes=Upstream("writes", to_features),
                administration=Upstream("administration", to_features),
                rankers=upstreams,
                explainers={
                    "control": Upstream("explain-control", to_control),
                    "test": Upstream("explain-test", to_test),
                },
                memory=memory,
                keys=Keys(settings.api_keys),
                admin_keys=Keys(settings.admin_keys),
                deadline_seconds=settings.deadline_ms / 1000,
            )

    app = create_service(
        "Lenta",
        version=version("lenta-gateway"),
        description="Five posts that a user will most likely like, and the split between two models.",
        lifespan=lifespan,
        routers=[answering.router, explaining.router, reading.router, writing.router, administration.router],
        checks={"fallback": _can_fall_back, "experiments": _knows_experiments},
        warnings={"features": _features_trouble, "control": _control_trouble, "test": _test_trouble},
        public=True,
    )
    app.add_middleware(Limits, max_concurrent=settings.max_concurrent)
    return app


@asynccontextmanager
async def _beside(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Runs while the body does, and has ended when it is left."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _can_fall_back(request: Request) -> str | None:
    """Ready when it could answer whatever else is down."""
    memory: Memory = request.state.memory
    return None if memory.popular is not None else "feature-service has not answered yet: nothing to fall back on"


async def _knows_experiments(request: Request) -> str | None:
    """And when it splits users as all other gateways do."""
    experiments: Experiments = request.state.experiments
    return None if experiments.known else "feature-service has not named the running experiments yet"


async def _features_trouble(request: Request) -> str | None:
    features: Upstream = request.state.features
    return f"{features.trouble}: last slates and popular posts are given" if features.trouble else None


async def _control_trouble(request: Request) -> str | None:
    return _ranker_trouble(request, "control")


async def _test_trouble(request: Request) -> str | None:
    return _ranker_trouble(request, "test")


def _ranker_trouble(request: Request, group: Group) -> str | None:
    trouble = request.state.rankers[group].trouble
    return f"{trouble}: its group gets last slates and popular posts" if trouble else None
