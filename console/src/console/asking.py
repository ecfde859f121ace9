"""What a route reads out of its request, and the state that the composition root left there."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, TypedDict, cast

from fastapi import Depends
from starlette.requests import Request

from console.editor.sessions import Sessions
from console.gateway import Gateway
from console.settings import ConsoleSettings
from console.system.watch import Watch


class State(TypedDict):
    gateway: Gateway
    settings: ConsoleSettings
    watch: Watch
    sessions: Sessions


def get_gateway(request: Request) -> Gateway:
    return cast(Gateway, request.state.gateway)


def get_settings(request: Request) -> ConsoleSettings:
    return cast(ConsoleSettings, request.state.settings)


def get_watch(request: Request) -> Watch:
    return cast(Watch, request.state.watch)


def get_sessions(request: Request) -> Sessions:
    return cast(Sessions, request.state.sessions)


def get_now() -> datetime:
    return datetime.now(UTC)


Source = Annotated[Gateway, Depends(get_gateway)]
Settings = Annotated[ConsoleSettings, Depends(get_settings)]
Watched = Annotated[Watch, Depends(get_watch)]
Signed = Annotated[Sessions, Depends(get_sessions)]
Now = Annotated[datetime, Depends(get_now)]
