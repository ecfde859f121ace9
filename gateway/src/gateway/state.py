"""What the composition root leaves on a request, and the dependencies by which routes reach it.

They are coroutines: FastAPI runs a plain function in a thread. Each costs a request some 15 µs all the same, so the
hot path, which needs nearly everything, calls `state_of` itself.
"""

from __future__ import annotations

from typing import Annotated, TypedDict, cast

from chassis.door import Door
from fastapi import Depends
from starlette.requests import Request

from gateway.access import Access
from gateway.assignments import AssignmentReporter
from gateway.fallback import Fallback
from gateway.recommend import Recommend
from gateway.shadows import Shadows
from gateway.split import Split
from gateway.upstreams import Upstreams


class State(TypedDict):
    """deadline_seconds: from a request's arrival to its answer."""

    recommend: Recommend
    split: Split
    assignments: AssignmentReporter
    shadows: Shadows
    fallback: Fallback
    upstreams: Upstreams
    access: Access
    deadline_seconds: float
    door: Door


class RequestState(State):
    """And what the chassis adds to it."""

    request_id: str


def state_of(request: Request) -> RequestState:
    return cast(RequestState, request.state)  # which is read by key too


async def get_state(request: Request) -> RequestState:
    return state_of(request)


StateDep = Annotated[RequestState, Depends(get_state)]


async def get_fallback(state: StateDep) -> Fallback:
    return state["fallback"]


async def get_upstreams(state: StateDep) -> Upstreams:
    return state["upstreams"]


FallbackDep = Annotated[Fallback, Depends(get_fallback)]
UpstreamsDep = Annotated[Upstreams, Depends(get_upstreams)]
