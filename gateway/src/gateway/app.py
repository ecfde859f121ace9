"""The only public door."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Annotated, TypedDict

import structlog
from chassis.clients import http_client
from chassis.deadline import Deadline
from chassis.logs import configure_logs
from chassis.service import create_service
from contracts.assignment import Group
from contracts.headers import COLD_START, DEGRADED, MODEL, REQUEST_ID, SHORT
from contracts.wire import Post, Recommendations, Time, UserId
from fastapi import APIRouter, FastAPI, Query
from pydantic import TypeAdapter
from starlette.requests import Request
from starlette.responses import Response

from gateway import reading
from gateway.access import ApiKeys
from gateway.limits import Limits
from gateway.memory import Memory
from gateway.recommend import Answer, Ask, Budget, Recommender, assigned
from gateway.refresh import Refresh, Running
from gateway.settings import Settings
from gateway.upstream import Upstream

log = structlog.get_logger()
router = APIRouter(tags=["recommendations"])

_posts = TypeAdapter(list[Post])
At = Annotated[
    Time | None,
    Query(alias="time", description="When it is asked for, ISO 8601, UTC where no zone is given; now if missing."),
]
Id = Annotated[UserId, Query(alias="id", description="The user's id.", examples=[200])]
Limit = Annotated[int, Query(ge=1, le=100, description="How many posts.")]


class State(TypedDict):
    recommender: Recommender
    running: Running
    features: Upstream
    memory: Memory
    keys: ApiKeys
    deadline_seconds: float


def create(settings: Settings | None = None) -> FastAPI:
    settings = settings or Settings.read()
    configure_logs("gateway", settings.log_level)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[State]:
        async with AsyncExitStack() as stack:
            urls = {
                "feature-service": settings.features_url,
                "control": settings.control_url,
                "test": settings.test_url,
            }
            upstreams = {
                name: Upstream(name, await stack.enter_async_context(http_client(url, timeout=5.0)))
                for name, url in urls.items()
            }
            features = upstreams["feature-service"]
            rankers: dict[Group, Upstream] = {"control": upstreams["control"], "test": upstreams["test"]}
            memory, running = Memory(settings.remembered_users, settings.remembered_texts), Running()
            budget = Budget(settings.features_ms / 1000, settings.ranker_ms / 1000)
            task = asyncio.create_task(Refresh(features, memory, running).run())
            stack.callback(task.cancel)
            yield State(
                recommender=Recommender(features, rankers, memory, budget),
                running=running,
                features=features,
                memory=memory,
                keys=ApiKeys(settings.api_keys),
                deadline_seconds=settings.deadline_ms / 1000,
            )

    app = create_service(
        "Lenta",
        version=version("lenta-gateway"),
        description="Five posts that a user will most likely like, and the split between two models.",
        lifespan=lifespan,
        routers=[router, reading.router],
        checks={"fallback": _ready},
    )
    app.add_middleware(Limits, max_concurrent=settings.max_concurrent)
    return app


async def _ready(request: Request) -> str | None:
    """Ready when it could answer whatever else is down."""
    memory: Memory = request.state.memory
    return None if memory.popular is not None else "feature-service has not answered yet: nothing to fall back on"


@router.get("/post/recommendations/", response_model=Recommendations)
async def recommendations(request: Request, id: Id, time: At = None, limit: Limit = 5) -> Response:
    """The posts of the model of the user's group, best first. For an enrolled user the answer is an exposure."""
    running: Running = request.state.running
    assignment, experiment = assigned(running.experiment, id)
    arrived = datetime.now(UTC)
    deadline = Deadline.after(request.state.deadline_seconds)
    ask = Ask(id, assignment.group, limit, time or arrived, arrived, deadline, experiment)
    answer = await _recommender(request).recommend(ask)
    body = Recommendations(exp_group=answer.group, recommendations=answer.posts)
    return Response(body.model_dump_json(), headers=_headers(answer, limit), media_type="application/json")


@router.get("/{group}/post/recommendations/", response_model=list[Post])
async def recommendations_of(request: Request, group: Group, id: Id, time: At = None, limit: Limit = 5) -> Response:
    """The posts of one model, whatever the user's group. A preview: not an exposure."""
    arrived = datetime.now(UTC)
    ask = Ask(id, group, limit, time or arrived, arrived, Deadline.after(request.state.deadline_seconds))
    answer = await _recommender(request).recommend(ask)
    return Response(_posts.dump_json(answer.posts), headers=_headers(answer, limit), media_type="application/json")


def _recommender(request: Request) -> Recommender:
    recommender: Recommender = request.state.recommender
    return recommender


def _headers(answer: Answer, limit: int) -> dict[str, str]:
    headers = {REQUEST_ID: answer.key, MODEL: f"{answer.model}@{answer.version}" if answer.version else answer.model}
    if answer.degraded:
        headers[DEGRADED] = ",".join(answer.degraded)
    if answer.cold_start:
        headers[COLD_START] = "1"
    if len(answer.posts) < limit:
        headers[SHORT] = "1"
    return headers
