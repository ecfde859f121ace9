"""Prometheus metrics: a histogram of requests by route, and `/metrics`."""

from __future__ import annotations

import time

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, Gauge, Histogram, generate_latest
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

BUCKETS = (0.001, 0.002, 0.004, 0.008, 0.016, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 5.0)

METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
REQUESTS = Histogram(
    "http_request_duration_seconds", "Time to answer, by route.", ["method", "route", "status"], buckets=BUCKETS
)
SERVICE = Gauge("service_info", "1 for the service and its version that answer.", ["service", "version"])


class RequestMetrics:
    """ASGI middleware: plain, since a per-request task group would cost more than the request."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500
        started = time.perf_counter()

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watch)
        finally:
            route = getattr(scope.get("route"), "path", "unmatched")
            method = scope["method"] if scope["method"] in METHODS else "other"  # which a caller may make up
            REQUESTS.labels(method, route, str(status)).observe(time.perf_counter() - started)


async def metrics_endpoint(request: Request) -> Response:
    registry: CollectorRegistry = getattr(request.app.state, "registry", REGISTRY)
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
