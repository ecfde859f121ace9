"""Read calls and writes: handed to feature-service, and its answer handed back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from chassis.deadline import Deadline
from chassis.errors import InvalidParameter, NotFound, Unavailable
from contracts.headers import NEXT_CURSOR
from contracts.wire import (
    Accepted,
    EventBatch,
    FeedPage,
    FeedRow,
    Post,
    PostContent,
    PostId,
    User,
    UserId,
    UserProfile,
)
from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from gateway.access import require_key
from gateway.memory import Memory
from gateway.upstream import Down, Refused, Upstream

CALL_SECONDS = 3.0
JSON = "application/json"
_JSON = {"Content-Type": JSON}

router = APIRouter()
Limit = Annotated[int, Query(ge=1, le=1000, description="Rows a page.")]
Cursor = Annotated[str | None, Query(max_length=100, description=f"From the page before: its {NEXT_CURSOR}.")]


async def _call(
    request: Request,
    method: str,
    path: str,
    content: bytes | None = None,
    params: Mapping[str, str | int] | None = None,
) -> bytes:
    features: Upstream = request.state.features
    deadline = Deadline.after(CALL_SECONDS)
    try:
        response = await features.call(
            method, path, deadline=deadline, at_most=CALL_SECONDS, content=content, params=params, headers=_JSON
        )
    except Down as error:
        raise Unavailable("this part of the platform does not answer; recommendations go on") from error
    except Refused as error:
        raise _handed_on(error) from error
    return response.content


def _handed_on(error: Refused) -> Exception:
    """The caller's mistake, in feature-service's words."""
    said = error.response.json() if error.response.headers.get("Content-Type", "").startswith(JSON) else {}
    message, field = str(said.get("message", "refused")), said.get("field")
    if error.response.status_code == 404:
        return NotFound(message)
    if error.response.status_code == 422:
        return InvalidParameter(message, field=field.removeprefix("body.") if field else None)
    return error


@router.get("/user/{id}", response_model=User, tags=["reading"])
async def user(request: Request, id: UserId) -> Response:
    """The profile; 404 where there is none."""
    return Response(await _call(request, "GET", f"/users/{id}"), media_type=JSON)


@router.get("/post/{id}", response_model=Post, tags=["reading"])
async def post(request: Request, id: PostId) -> Response:
    """Text and topic; 404 where there is no such post."""
    return Response(await _call(request, "GET", f"/posts/{id}"), media_type=JSON)


@router.get("/user/{id}/feed", tags=["reading"])
async def user_feed(
    request: Request, response: Response, id: UserId, limit: Limit = 10, cursor: Cursor = None
) -> list[FeedRow]:
    """What the user viewed and liked, newest first."""
    return await _feed(request, response, f"/users/{id}/feed", limit, cursor)


@router.get("/post/{id}/feed", tags=["reading"])
async def post_feed(
    request: Request, response: Response, id: PostId, limit: Limit = 10, cursor: Cursor = None
) -> list[FeedRow]:
    """Who viewed and liked the post, newest first."""
    return await _feed(request, response, f"/posts/{id}/feed", limit, cursor)


async def _feed(request: Request, response: Response, path: str, limit: int, cursor: str | None) -> list[FeedRow]:
    page = FeedPage.model_validate_json(
        await _call(request, "GET", path, params={"limit": limit} | ({"cursor": cursor} if cursor else {}))
    )
    if page.next_cursor is not None:
        response.headers[NEXT_CURSOR] = page.next_cursor
    return page.rows


@router.post("/events", status_code=202, response_model=Accepted, dependencies=[Depends(require_key)], tags=["writing"])
async def events(request: Request, batch: EventBatch) -> Response:
    """Views and likes, at most 1,000. 202 when they are durable; the very next request honours a like."""
    answer = await _call(request, "POST", "/events", batch.model_dump_json().encode())
    memory: Memory = request.state.memory
    for event in batch.events:
        if event.action == "like":
            memory.saw_like(event.user_id, event.post_id)
    return Response(answer, 202, media_type=JSON)


@router.put(
    "/user/{id}", status_code=202, response_model=Accepted, dependencies=[Depends(require_key)], tags=["writing"]
)
async def put_user(request: Request, id: UserId, profile: UserProfile) -> Response:
    """Registers a user, or replaces the profile."""
    return Response(
        await _call(request, "PUT", f"/users/{id}", profile.model_dump_json().encode()), 202, media_type=JSON
    )


@router.put(
    "/post/{id}", status_code=202, response_model=Accepted, dependencies=[Depends(require_key)], tags=["writing"]
)
async def put_post(request: Request, id: PostId, content: PostContent) -> Response:
    """Publishes a post: it can be recommended within seconds."""
    return Response(
        await _call(request, "PUT", f"/posts/{id}", content.model_dump_json().encode()), 202, media_type=JSON
    )
