"""The frame of a service: errors in one shape, health, metrics, docs, and a lifespan that owns the resources."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from types import MappingProxyType
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.types import ASGIApp

from chassis.bodies import Admits, Bodies, anybody
from chassis.connections import allow_files
from chassis.errors import render_errors
from chassis.health import Check, health_routes
from chassis.inner_door import InnerDoor
from chassis.metrics import SERVICE, RequestMetrics, metrics_endpoint
from chassis.request_ids import RequestIds

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[Mapping[str, Any]]]
"""Yields the typed state: a dict whose entries appear on `request.state`."""


class Service(FastAPI):
    """What the chassis puts before an app stands before whatever else is added to it: a request that is refused for
    any reason has an id and is counted."""

    def __init__(self, *, public: bool, admits: Admits, internal_key: str | None, **settings: Any) -> None:
        super().__init__(**settings)
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
) -> FastAPI:
    """public: callers are not our own services, and their requests are named here. admits: whose bodies are read.

    internal_key: of a service that only our own call, comma-separated; '' lets in its own machine alone.
    """
    app = Service(
        title=title, version=version, description=description, lifespan=lifespan, redoc_url=None, docs_url="/docs",
        public=public, admits=admits, internal_key=internal_key,
    )  # fmt: skip
    SERVICE.labels(title, version).set(1)
    allow_files()
    render_errors(app)
    app.add_route("/metrics", metrics_endpoint, include_in_schema=False)
    app.include_router(health_routes(checks, warnings))
    for router in routers:
        app.include_router(router)
    return app
