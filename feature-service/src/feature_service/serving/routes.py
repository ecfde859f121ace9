"""The calls of gateway and ranker: bytes in, bytes out on the hot path; Postgres only for profiles and histories."""

from __future__ import annotations

from typing import Annotated, Literal

import anyio.to_thread
from chassis.errors import InvalidParameter, NotFound, invalid_parameter_from
from contracts.headers import CATALOGUE_VERSION, TEXTS_VERSION
from contracts.wire import (
    USER_ID_MAX,
    Accepted,
    Assignments,
    EventBatch,
    Exposure,
    FeedPage,
    PopularPosts,
    PostContent,
    PostId,
    PostIds,
    Shadowed,
    User,
    UserId,
    UserProfile,
)
from fastapi import APIRouter, Path, Query
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from feature_service.serving.state import HistoryDep, StoreDep, get_clock, get_store

router = APIRouter()

BYTES = "application/octet-stream"
JSON = "application/json"
ACCEPTED = Accepted(accepted=1).model_dump_json().encode()


async def row(request: Request) -> Response:
    """On the way of every recommendation: a bare route, its one parameter read by hand."""
    number = request.path_params["user_id"]
    if not (len(number) <= 10 and number.isascii() and number.isdigit() and int(number) <= USER_ID_MAX):
        raise InvalidParameter(f"user_id: a whole number from 0 to {USER_ID_MAX}", field="user_id")
    store = await get_store(request)
    return Response(await store.row(int(number)), media_type=BYTES)


async def exposures(request: Request) -> Response:
    """202 when the exposure is durable. Bare, as `row` is."""
    body = await request.body()
    try:
        exposure = Exposure.model_validate_json(body)
    except ValidationError as error:
        raise invalid_parameter_from(error, "body") from error
    store = await get_store(request)
    await store.append_exposure(exposure.user_id, body)
    return Response(ACCEPTED, 202, media_type=JSON)


async def catalogue(request: Request) -> Response:
    """The snapshot; 304 for the one that the caller has."""
    store = await get_store(request)
    version = (await store.value("catalogue_version")).decode()
    headers = {CATALOGUE_VERSION: version, "ETag": f'"{version}"'}
    if request.headers.get("If-None-Match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    return Response(await store.value("catalogue"), media_type=BYTES, headers=headers)


async def running(request: Request) -> Response:
    """What every gateway polls each second; 304 for what it has."""
    store = await get_store(request)
    body, etag, texts_version = await store.running()
    headers = {"ETag": etag, TEXTS_VERSION: texts_version}
    if request.headers.get("If-None-Match") == etag:
        return Response(status_code=304, headers=headers)
    return Response(body, media_type=JSON, headers=headers)


router.add_route("/users/{user_id}/row", row)
router.add_route("/exposures", exposures, ["POST"])
router.add_route("/catalogue", catalogue)
router.add_route("/running", running)


@router.get("/popular")
async def popular(store: StoreDep) -> PopularPosts:
    return await store.popular()


@router.get("/gone", response_class=Response)
async def gone(store: StoreDep) -> Response:
    """What every gateway polls each second: posts that went lately."""
    return Response(await store.gone(), media_type=BYTES)


@router.post("/posts", response_class=Response)
async def posts(store: StoreDep, wanted: PostIds) -> Response:
    return _posts(await store.texts(wanted.ids))


@router.post("/assignments", status_code=202)
async def assignments(store: StoreDep, batch: Assignments) -> Accepted:
    await store.append_assignments(batch)
    return Accepted(accepted=len(batch.assigned))


@router.post("/shadows", status_code=202)
async def shadows(store: StoreDep, shadow: Shadowed) -> Accepted:
    await store.append_shadow(shadow)
    return Accepted(accepted=1)


@router.post("/events", status_code=202)
async def events(request: Request, batch: EventBatch) -> Accepted:
    """Asks for its state itself: a dependency would cost a tenth of the route."""
    store = await get_store(request)
    await store.append_events(batch, await get_clock(request))
    return Accepted(accepted=len(batch.events))


@router.get("/exposures/{key}")
async def get_exposure(history: HistoryDep, key: Annotated[str, Path(max_length=64)]) -> Exposure:
    """As it is in Postgres, a fraction of a second after it was recorded."""
    return await anyio.to_thread.run_sync(history.exposure, key)


@router.put("/users/{user_id}", status_code=202)
async def put_user(store: StoreDep, user_id: UserId, profile: UserProfile) -> Accepted:
    await store.append_user(user_id, profile)
    return Accepted(accepted=1)


@router.delete("/users/{user_id}", status_code=202)
async def delete_user(store: StoreDep, user_id: UserId) -> Accepted:
    await store.forget_user(user_id)
    return Accepted(accepted=1)


@router.put("/posts/{post_id}", status_code=202)
async def put_post(store: StoreDep, post_id: PostId, content: PostContent) -> Accepted:
    await store.append_post(post_id, content)
    return Accepted(accepted=1)


@router.delete("/posts/{post_id}", status_code=202)
async def delete_post(store: StoreDep, post_id: PostId) -> Accepted:
    await store.take_down(post_id)
    return Accepted(accepted=1)


@router.get("/posts/{post_id}", response_class=Response)
async def get_post(store: StoreDep, post_id: PostId) -> Response:
    texts = await store.texts([post_id])
    if not texts:
        raise NotFound(f"there is no post {post_id}")
    return Response(texts[0], media_type=JSON)


@router.get("/users/{user_id}")
async def get_user(history: HistoryDep, user_id: UserId) -> User:
    return await anyio.to_thread.run_sync(history.user, user_id)


@router.get("/{whose}/{number}/feed")
async def feed(
    history: HistoryDep,
    whose: Literal["users", "posts"],
    number: Annotated[int, Path(ge=0, le=2**31 - 1)],
    limit: Annotated[int, Query(ge=1, le=1000)] = 10,
    cursor: Annotated[str | None, Query(max_length=100)] = None,
) -> FeedPage:
    singular: Literal["user", "post"] = "user" if whose == "users" else "post"
    return await anyio.to_thread.run_sync(history.feed, singular, number, limit, cursor)


def _posts(entries: list[bytes]) -> Response:
    return Response(b'{"posts":[' + b",".join(entries) + b"]}", media_type=JSON)
