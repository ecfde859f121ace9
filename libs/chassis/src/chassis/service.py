"""The frame of a service: errors in one shape, health, metrics, docs, and a lifespan that owns the resources."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from types import MappingProxyType
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp

from chassis.bare_routes import BareRoutes, bare_routes
from chassis.bodies import Admits, Bodies, anybody
from chassis.connections import allow_files
from chassis.errors import render_errors
from chassis.health import Check, health_routes
from chassis.inner_door import InnerDoor
from chassis.keys import listed
from chassis.metrics import SERVICE, RequestMetrics, metrics_endpoint
from chassis.metrics_port import served_at
from chassis.request_ids import RequestIds

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[Mapping[str, Any]]]
"""Yields the typed state: a dict whose entries appear on `request.state`."""


class Service(FastAPI):
    """What the chassis puts before an app stands before whatever else is added to it: a request that is refused for
    any reason has an id and is counted."""

    def __init__(self, *, public: bool, admits: Admits, internal_key: str | None, **settings: Any) -> None:
        super().__init__(
            redirect_slashes=False,  # a redirect would carry whatever Host was said
            telemetry={"tracing": False, "metrics": False},  # asks the environment at each request; we have our own
            **settings,
        )
        self._public, self._admits, self._internal_key = public, admits, internal_key

    def build_middleware_stack(self) -> ASGIApp:
        app: ASGIApp = Bodies(super().build_middleware_stack(), self._admits)
        if self._internal_key is not None:
            app = InnerDoor(app, self._internal_key)
        return RequestIds(RequestMetrics(app), public=self._public)


def create_service(
    title: str,
    *,
    version: str,
    lifespan: Lifespan,
    routers: list[APIRouter],
    checks: Mapping[str, Check],
    warnings: Mapping[str, Check] = MappingProxyType({}),
    description: str = "",
    public: bool = False,
    admits: Admits = anybody,
    internal_key: str | None = None,
    metrics_address: str = "",
    hosts: str = "*",
) -> FastAPI:
    """public: callers are not our own services, and their requests are named here. admits: whose bodies are read.

    internal_key: of a service that only our own call, comma-separated; '' lets in its own machine alone.
    hosts: the names under which it may be called, comma-separated: a page that calls it by another is a forgery.
    metrics_address: `host:port` for metrics, and health once more; on the service's own port where it is ''.
    """
    health = health_routes(checks, warnings)
    beside = _watched_at(metrics_address, lifespan, health) if metrics_address else None
    app = Service(
        title=title, version=version, description=description, lifespan=_collected_less(beside or lifespan), redoc_url=None, docs_url=None,
        public=public, admits=admits, internal_key=internal_key,
    )  # fmt: skip
    SERVICE.labels(title, version).set(1)
    allow_files()
    render_errors(app)
    app.add_middleware(BareRoutes, routes=[*bare_routes(route for router in routers for route in router.routes)])
    if hosts != "*":
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=listed(hosts), www_redirect=False)
    if not metrics_address:
        app.add_route("/metrics", metrics_endpoint, include_in_schema=False)
    app.include_router(health)
    for router in routers:
        app.include_router(router)
    return app


def _collected_less(lifespan: Lifespan) -> Lifespan:
    """What a service has once it has started stays, so that the garbage collector need not look through it again: that
    took 30 to 60 ms, in which nobody was answered, every few thousand requests."""

    @asynccontextmanager
    async def collected_less(app: FastAPI) -> AsyncIterator[Mapping[str, Any]]:
        async with lifespan(app) as state:
            gc.freeze()
            try:
                yield state
            finally:
                gc.unfreeze()

    return collected_less


def _watched_at(address: str, lifespan: Lifespan, health: APIRouter) -> Lifespan:
    """The service's lifespan, with a second, small app on its state for as long as it lasts."""

    @asynccontextmanager
    async def watched(app: FastAPI) -> AsyncIterator[Mapping[str, Any]]:
        async with lifespan(app) as state:
            small = FastAPI(openapi_url=None, lifespan=lambda _: nullcontext(state))
            small.add_route("/metrics", metrics_endpoint)
            small.include_router(health)
            async with served_at(address, small):
                yield state

    return watched
