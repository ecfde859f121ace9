"""What stands between the calls and their callers: paths, browsers of other origins, compression, the description."""

from __future__ import annotations

from typing import Any

from contracts.headers import API_KEY, COLD_START, DEGRADED, MODEL, NEXT_CURSOR, REQUEST_ID, SHORT
from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware

from gateway.limits import Limits, WithinLimits
from gateway.paths import VERSION, Paths
from gateway.rates import Rates
from gateway.routes.examples import add_examples
from gateway.settings import Settings

LARGE_BYTES = 4096
FASTEST = 1
"""Of gzip's levels: 17 µs for ten posts, and 5 % more bytes than the slowest. It works on the event loop."""
PREFLIGHT_SECONDS = 600


def put_before(app: FastAPI, settings: Settings, limits: Limits) -> None:
    """From the inside out. A refusal is for pages of other origins too, and a preflight needs no key."""
    app.add_middleware(GZipMiddleware, minimum_size=LARGE_BYTES, compresslevel=FASTEST)
    app.add_middleware(WithinLimits, limits=limits)
    app.add_middleware(Rates, per_second=settings.calls_per_second)
    if settings.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.origins,
            allow_methods=["GET", "POST", "PUT"],
            allow_headers=[API_KEY, "Authorization", "Content-Type", "If-None-Match"],
            expose_headers=[REQUEST_ID, MODEL, DEGRADED, COLD_START, SHORT, NEXT_CURSOR, "ETag", "Retry-After"],
            max_age=PREFLIGHT_SECONDS,
        )
    app.add_middleware(Paths)
    _describe(app)


def _describe(app: FastAPI) -> None:
    """FastAPI makes the description once, when it is asked for."""
    app.servers = [{"url": VERSION}, {"url": "/", "description": "The same calls, as they were before."}]
    plain = app.openapi

    def with_examples() -> dict[str, Any]:
        if app.openapi_schema is None:
            add_examples(plain())
        return plain()

    app.openapi = with_examples  # type: ignore[method-assign]
