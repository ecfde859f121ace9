"""The service put together: its connections, its routes, and what it takes to be ready."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version

import redis.exceptions
import structlog
from chassis.errors import Unavailable
from chassis.logs import configure_logs
from chassis.service import create_service
from fastapi import FastAPI
from starlette.requests import Request

from feature_service.database.engine import connect
from feature_service.keyspace.clock import ServiceClock
from feature_service.keyspace.connection import (
    AsyncClient,
    WrongRedisSettings,
    connect_redis,
    connect_redis_async,
    wrong_settings,
)
from feature_service.serving import experiment_routes, routes, rule_routes
from feature_service.serving.history import History
from feature_service.serving.registry import Registry
from feature_service.serving.state import State, get_store
from feature_service.serving.store import Store
from feature_service.settings import Settings

log = structlog.get_logger()


def create(settings: Settings | None = None) -> FastAPI:
    settings = settings or Settings.read_or_exit()
    configure_logs("feature-service", settings.log_level, settings.log_file)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[State]:
        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(connect_redis_async(settings.redis_url))
            await _require_settings(client)
            engine = connect(settings.postgres_url, pool_size=4, statement_seconds=2)
            stack.callback(engine.dispose)
            administration = connect(settings.postgres_url, pool_size=4, statement_seconds=30)
            stack.callback(administration.dispose)
            publisher = stack.enter_context(connect_redis(settings.redis_url, seconds=2))
            clock = ServiceClock(client)
            yield State(
                store=Store(client, clock, settings.shards, settings.max_topics),
                history=History(engine),
                clock=clock,
                registry=Registry(administration, publisher),
            )

    return create_service(
        "Lenta feature-service",
        version=version("lenta-feature-service"),
        lifespan=lifespan,
        routers=[routes.router, experiment_routes.router, experiment_routes.nights, rule_routes.router],
        checks={"redis": _redis_ready},
        internal_key=settings.internal_key,
        metrics_address=settings.metrics_address,
    )


async def _require_settings(client: AsyncClient) -> None:
    """Raises WrongRedisSettings. A server that does not answer yet makes the service unready, and stops nothing."""
    try:
        have = await client.config_get("*")
    except (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError):
        log.warning("redis_not_there_yet")
        return
    if fault := wrong_settings(have):
        raise WrongRedisSettings(fault)


async def _redis_ready(request: Request) -> str | None:
    try:
        await (await get_store(request)).value("catalogue_version")
    except Unavailable as error:
        return error.message
    return None
