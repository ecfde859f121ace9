"""What the composition root leaves on a request, and how routes reach it."""

from __future__ import annotations

from typing import Annotated, TypedDict, cast

from fastapi import Depends
from starlette.requests import Request

from ranking.explanations import Explainer
from ranking.model_loader import ServedModel
from ranking.queue import ScoringQueue


class State(TypedDict):
    served: ServedModel
    queue: ScoringQueue
    explainer: Explainer


def state_of(request: Request) -> State:
    """For a bare route, on the way of every recommendation."""
    return cast(State, request.state)  # which is read by key too


async def get_state(request: Request) -> State:
    return state_of(request)


StateDep = Annotated[State, Depends(get_state)]
