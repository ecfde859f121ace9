"""What every page may need of the composition root's state. What one room alone needs is defined there."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, cast

from fastapi import Depends
from starlette.requests import Request

from console.gateway import Gateway
from console.settings import ConsoleSettings


async def get_gateway(request: Request) -> Gateway:
    return cast(Gateway, request.state.gateway)


async def get_settings(request: Request) -> ConsoleSettings:
    return cast(ConsoleSettings, request.state.settings)


async def get_now() -> datetime:
    return datetime.now(UTC)


GatewayDep = Annotated[Gateway, Depends(get_gateway)]
SettingsDep = Annotated[ConsoleSettings, Depends(get_settings)]
NowDep = Annotated[datetime, Depends(get_now)]
