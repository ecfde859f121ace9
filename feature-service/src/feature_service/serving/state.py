"""What the lifespan opens, and how a route asks for it. Asynchronous, so that no request waits for a worker thread."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, TypedDict, cast

from contracts.clock import Clock
from fastapi import Depends
from starlette.requests import Request

from feature_service.keyspace.clock import ServiceClock
from feature_service.serving.history import History
from feature_service.serving.registry import Registry
from feature_service.serving.store import Store


class State(TypedDict):
    store: Store
    history: History
    clock: ServiceClock
    registry: Registry


async def get_store(request: Request) -> Store:
    return cast(Store, request.state.store)


async def get_history(request: Request) -> History:
    return cast(History, request.state.history)


async def get_registry(request: Request) -> Registry:
    return cast(Registry, request.state.registry)


async def get_clock(request: Request) -> Clock:
    """The platform's, at most a second old."""
    return await cast(ServiceClock, request.state.clock).read()


async def get_now(request: Request) -> datetime:
    """By the platform's clock."""
    return (await get_clock(request)).now()


StoreDep = Annotated[Store, Depends(get_store)]
HistoryDep = Annotated[History, Depends(get_history)]
RegistryDep = Annotated[Registry, Depends(get_registry)]
Now = Annotated[datetime, Depends(get_now)]
