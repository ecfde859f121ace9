"""The console's composition root: `uvicorn --factory console.app:create`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version
from typing import TypedDict

import httpx
from chassis.clients import http_client
from chassis.keys import Keys
from chassis.logs import configure_logs
from chassis.service import create_service
from fastapi import FastAPI
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from console import routes
from console.demo import routes as demo
from console.editor import routes as editor
from console.editor.sessions import Sessions
from console.experiment import routes as experiment
from console.frame import STATIC, PageHeaders, static_path
from console.gateway import Gateway
from console.reading import PagesBehindKey
from console.rules import routes as rules
from console.settings import ConsoleSettings
from console.system import routes as system
from console.system.watch import Watch

ROUTERS = [routes.router, demo.router, editor.router, experiment.router, rules.router, system.router, routes.absent]
"""The editor comes before the pages whose addresses could match its own; what matches nothing comes last."""


class State(TypedDict):
    """Routes reach it by the dependencies of `console.state`, and of the room that alone needs a part of it."""

    gateway: Gateway
    settings: ConsoleSettings
    watch: Watch
    sessions: Sessions


def create(settings: ConsoleSettings | None = None) -> FastAPI:
    """Ready as soon as it answers: a page that says what cannot be read is better than none."""
    settings = settings or ConsoleSettings.read_or_exit()
    configure_logs("console", settings.log_level, settings.log_file)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[State]:
        watch = Watch(settings.services, poll_seconds=settings.poll_seconds)
        async with (
            http_client(settings.gateway_url, timeout=settings.read_timeout_seconds) as client,
            httpx.AsyncClient() as to_services,
        ):
            gateway = Gateway(
                client,
                read_timeout=settings.read_timeout_seconds,
                preview_timeout=settings.preview_timeout_seconds,
                api_key=settings.api_key,
            )
            polling = asyncio.create_task(watch.run(to_services))
            yield State(gateway=gateway, settings=settings, watch=watch, sessions=Sessions())
            polling.cancel()
            with suppress(asyncio.CancelledError):
                await polling

    app = create_service(
        "Lenta console",
        version=version("lenta-console"),
        lifespan=lifespan,
        routers=ROUTERS,
        checks={},
        metrics_address=settings.metrics_address,
        hosts=settings.hosts,
    )
    app.router.routes.insert(0, Mount(static_path(), StaticFiles(directory=STATIC), name="static"))
    app.add_middleware(PageHeaders, over_tls=settings.secure_cookies)
    if settings.has_keys:
        app.add_middleware(PagesBehindKey, keys=Keys(settings.reading_keys, settings.reading_keys_file))
    app.add_middleware(GZipMiddleware, minimum_size=500, compresslevel=6)
    return app
