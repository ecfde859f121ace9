"""The console's composition root: `uvicorn --factory console.app:create`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from chassis.clients import http_client
from chassis.logs import configure_logs
from chassis.service import create_service
from fastapi import FastAPI
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from console.frame import STATIC, PageHeaders, static_path
from console.gateway import Gateway
from console.routes import State, router
from console.settings import ConsoleSettings


def create(settings: ConsoleSettings | None = None) -> FastAPI:
    """Ready as soon as it answers: a page that says what cannot be read is worth more than none."""
    configure_logs("console")
    settings = settings or ConsoleSettings.read_or_exit()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[State]:
        async with http_client(settings.gateway_url, timeout=settings.read_timeout_seconds) as client:
            gateway = Gateway(
                client,
                read_timeout=settings.read_timeout_seconds,
                preview_timeout=settings.preview_timeout_seconds,
            )
            yield State(gateway=gateway, settings=settings)

    app = create_service(
        "Lenta console", version=version("lenta-console"), lifespan=lifespan, routers=[router], checks={}
    )
    app.router.routes.insert(0, Mount(static_path(), StaticFiles(directory=STATIC), name="static"))
    app.add_middleware(PageHeaders)
    app.add_middleware(GZipMiddleware, minimum_size=500, compresslevel=6)
    return app
