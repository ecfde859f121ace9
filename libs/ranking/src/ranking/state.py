"""What the composition root leaves on a request, and how routes reach it."""

from __future__ import annotations

from typing import Annotated, TypedDict, cast

from fastapi import Depends
from starlette.requests import Request

from ranking.explaining import Explaining
from ranking.loading import Loaded
from ranking.queue import Queue


class State(TypedDict):
    loaded: Loaded
    queue: Queue
    explaining: Explaining


def state_of(request: Request) -> State:
    """For a bare route, on the way of every recommendation."""
    return cast(State, request.state)  # which is read by key too


async def get_state(request: Request) -> State:
    return state_of(request)


StateDep = Annotated[State, Depends(get_state)]
