"""The frame of a service: errors in one shape, health, metrics, docs, and a lifespan that owns the resources."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from types import MappingProxyType
from typing import Any

from fastapi import APIRouter, FastAPI

from chassis.errors import render_errors
from chassis.health import Check, health_routes
from chassis.metrics import SERVICE, RequestMetrics, metrics_endpoint
from chassis.request_ids import RequestIds

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[Mapping[str, Any]]]
"""Yields the typed state: a dict whose entries appear on `request.state`."""


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
) -> FastAPI:
    """public: callers are not our own services, and their requests are named here."""
    app = FastAPI(
        title=title, version=version, description=description, lifespan=lifespan, redoc_url=None, docs_url="/docs"
    )
    SERVICE.labels(title, version).set(1)
    render_errors(app)
    app.add_middleware(RequestMetrics)
    app.add_middleware(RequestIds, public=public)
    app.add_route("/metrics", metrics_endpoint, include_in_schema=False)
    app.include_router(health_routes(checks, warnings))
    for router in routers:
        app.include_router(router)
    return app
