"""Profiles, posts and histories."""

from __future__ import annotations

from typing import Annotated

from contracts.headers import NEXT_CURSOR
from contracts.wire import FeedPage, FeedRow, Post, PostId, User, UserId
from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from gateway.access import admit
from gateway.forward import forward, respond
from gateway.routes.openapi import ONE, PAGE
from gateway.state import UpstreamsDep
from gateway.upstream import Upstream

router = APIRouter(tags=["reading"])
Limit = Annotated[int, Query(ge=1, le=1000, description="Rows a page.")]
Cursor = Annotated[str | None, Query(max_length=100, description=f"From the page before: its {NEXT_CURSOR}.")]


@router.get("/user/{id}", response_model=User, responses=ONE)
async def user(request: Request, upstreams: UpstreamsDep, id: UserId) -> Response:
    """The profile; 404 where there is none."""
    admit(request, "read", (id,))
    return respond(await forward(request, upstreams.histories, "GET", f"/users/{id}"))


@router.get("/post/{id}", response_model=Post, responses=ONE)
async def post(request: Request, upstreams: UpstreamsDep, id: PostId) -> Response:
    """Text and topic; 404 where there is no such post."""
    admit(request, "read", ())
    return respond(await forward(request, upstreams.features, "GET", f"/posts/{id}"))


@router.get("/user/{id}/feed", responses=PAGE)
async def user_feed(
    request: Request,
    response: Response,
    upstreams: UpstreamsDep,
    id: UserId,
    limit: Limit = 10,
    cursor: Cursor = None,
) -> list[FeedRow]:
    """What the user viewed and liked, newest first."""
    admit(request, "read", (id,))
    return await _feed(request, response, upstreams.histories, f"/users/{id}/feed", limit, cursor)


@router.get("/post/{id}/feed", responses=PAGE)
async def post_feed(
    request: Request,
    response: Response,
    upstreams: UpstreamsDep,
    id: PostId,
    limit: Limit = 10,
    cursor: Cursor = None,
) -> list[FeedRow]:
    """Who viewed and liked the post, newest first."""
    admit(request, "read")
    return await _feed(request, response, upstreams.histories, f"/posts/{id}/feed", limit, cursor)


async def _feed(
    request: Request, response: Response, histories: Upstream, path: str, limit: int, cursor: str | None
) -> list[FeedRow]:
    params: dict[str, str | int] = {"limit": limit} if cursor is None else {"limit": limit, "cursor": cursor}
    page = FeedPage.model_validate_json((await forward(request, histories, "GET", path, params=params)).content)
    if page.next_cursor is not None:
        response.headers[NEXT_CURSOR] = page.next_cursor
    return page.rows
