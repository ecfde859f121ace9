"""The service: bytes in, bytes out on the hot path; Postgres only for histories."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version
from typing import Annotated, Any, Literal, TypedDict

import anyio.to_thread
import redis.exceptions
import structlog
from chassis.errors import InvalidParameter, NotFound, Unavailable, invalid_parameter_from
from chassis.logs import configure_logs
from chassis.service import create_service
from contracts.headers import CATALOGUE_VERSION
from contracts.wire import (
    USER_ID_MAX,
    Accepted,
    Assignments,
    EventBatch,
    Exposure,
    FeedPage,
    PostContent,
    PostId,
    PostIds,
    Shadowed,
    User,
    UserId,
    UserProfile,
)
from fastapi import APIRouter, FastAPI, Path, Query
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from feature_service.database.engine import connect
from feature_service.keyspace.clock import ServiceClock
from feature_service.keyspace.connection import WrongRedisSettings, connect_redis, connect_redis_async, wrong_settings
from feature_service.serving.experiment_routes import router as administration_router
from feature_service.serving.history import History
from feature_service.serving.registry import Registry
from feature_service.serving.store import Store
from feature_service.settings import Settings

log = structlog.get_logger()
router = APIRouter()

BYTES = "application/octet-stream"
JSON = "application/json"


class State(TypedDict):
    store: Store
    history: History
    clock: ServiceClock
    registry: Registry


async def _require_settings(client: Any) -> None:
    """Raises WrongRedisSettings. A server that does not answer yet is for readiness to tell."""
    try:
        have = await client.config_get("*")
    except (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError):
        log.warning("redis_not_there_yet")
        return
    if fault := wrong_settings(have):
        raise WrongRedisSettings(fault)


def create(settings: Settings | None = None) -> FastAPI:
    settings = settings or Settings.read_or_exit()
    configure_logs("feature-service", settings.log_level)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[State]:
        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(connect_redis_async(settings.redis_url))
            await _require_settings(client)
            engine = connect(settings.postgres_url, pool_size=4, statement_seconds=2)
            stack.callback(engine.dispose)
            administration = connect(settings.postgres_url, pool_size=4, statement_seconds=30)
            stack.callback(administration.dispose)
            publisher = stack.enter_context(connect_redis(settings.redis_url, seconds=2))
            yield State(
                store=Store(client, settings.shards),
                history=History(engine),
                clock=ServiceClock(client),
                registry=Registry(administration, publisher),
            )

    return create_service(
        "Lenta feature-service",
        version=version("lenta-feature-service"),
        lifespan=lifespan,
        routers=[router, administration_router],
        checks={"redis": _redis_ready},
    )


async def _redis_ready(request: Request) -> str | None:
    try:
        await _store(request).value("catalogue_version")
    except Unavailable as error:
        return error.message
    return None


def _store(request: Request) -> Store:
    store: Store = request.state.store
    return store


async def row(request: Request) -> Response:
    """On the way of every recommendation: a bare route, its one parameter read by hand."""
    number = request.path_params["user_id"]
    if not (len(number) <= 10 and number.isascii() and number.isdigit() and int(number) <= USER_ID_MAX):
        raise InvalidParameter(f"user_id: a whole number from 0 to {USER_ID_MAX}", field="user_id")
    return Response(await _store(request).row(int(number)), media_type=BYTES)


async def exposures(request: Request) -> Response:
    """Appends the exposure and answers its posts' texts: one hop for both. Bare, as `row` is."""
    try:
        exposure = Exposure.model_validate_json(await request.body())
    except ValidationError as error:
        raise invalid_parameter_from(error, "body") from error
    store = _store(request)
    # Not a TaskGroup: it would wrap Unavailable into a group, which no error handler knows.
    _, texts = await asyncio.gather(store.append_exposure(exposure), store.texts(exposure.posts))
    return _posts(texts)


async def catalogue(request: Request) -> Response:
    """The snapshot; 304 for the one that the caller has."""
    version = (await _store(request).value("catalogue_version")).decode()
    headers = {CATALOGUE_VERSION: version, "ETag": f'"{version}"'}
    if request.headers.get("If-None-Match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    return Response(await _store(request).value("catalogue"), media_type=BYTES, headers=headers)


async def running(request: Request) -> Response:
    """What every gateway polls each second; 304 for what it has."""
    body, etag = await _store(request).running()
    if request.headers.get("If-None-Match") == etag:
        return Response(status_code=304, headers={"ETag": etag})
    return Response(body, media_type=JSON, headers={"ETag": etag})


router.add_route("/users/{user_id}/row", row)
router.add_route("/exposures", exposures, ["POST"])
router.add_route("/catalogue", catalogue)
router.add_route("/running", running)


@router.get("/popular", response_class=Response)
async def popular(request: Request) -> Response:
    return Response(await _store(request).value("popular"), media_type=JSON)


@router.post("/posts", response_class=Response)
async def posts(request: Request, wanted: PostIds) -> Response:
    return _posts(await _store(request).texts(wanted.ids))


@router.post("/assignments", status_code=202)
async def assignments(request: Request, batch: Assignments) -> Accepted:
    await _store(request).append_assignments(batch)
    return Accepted(accepted=len(batch.assigned))


@router.post("/shadows", status_code=202)
async def shadows(request: Request, shadow: Shadowed) -> Accepted:
    await _store(request).append_shadow(shadow)
    return Accepted(accepted=1)


@router.post("/events", status_code=202)
async def events(request: Request, batch: EventBatch) -> Accepted:
    await _store(request).append_events(batch, await request.state.clock.read())
    return Accepted(accepted=len(batch.events))


@router.get("/exposures/{key}")
async def get_exposure(request: Request, key: Annotated[str, Path(max_length=64)]) -> Exposure:
    """As it is in Postgres, a fraction of a second after it was recorded."""
    return await anyio.to_thread.run_sync(request.state.history.exposure, key)


@router.put("/users/{user_id}", status_code=202)
async def put_user(request: Request, user_id: UserId, profile: UserProfile) -> Accepted:
    await _store(request).append_user(user_id, profile)
    return Accepted(accepted=1)


@router.put("/posts/{post_id}", status_code=202)
async def put_post(request: Request, post_id: PostId, content: PostContent) -> Accepted:
    await _store(request).append_post(post_id, content)
    return Accepted(accepted=1)


@router.get("/posts/{post_id}", response_class=Response)
async def get_post(request: Request, post_id: PostId) -> Response:
    found = await _store(request).texts([post_id])
    if not found:
        raise NotFound(f"there is no post {post_id}")
    return Response(found[0], media_type=JSON)


@router.get("/users/{user_id}")
async def get_user(request: Request, user_id: UserId) -> User:
    return await anyio.to_thread.run_sync(request.state.history.user, user_id)


@router.get("/{whose}/{number}/feed")
async def feed(
    request: Request,
    whose: Literal["users", "posts"],
    number: Annotated[int, Path(ge=0, le=2**31 - 1)],
    limit: Annotated[int, Query(ge=1, le=1000)] = 10,
    cursor: Annotated[str | None, Query(max_length=100)] = None,
) -> FeedPage:
    singular: Literal["user", "post"] = "user" if whose == "users" else "post"
    history: History = request.state.history
    return await anyio.to_thread.run_sync(history.feed, singular, number, limit, cursor)


def _posts(entries: list[bytes]) -> Response:
    return Response(b'{"posts":[' + b",".join(entries) + b"]}", media_type=JSON)
