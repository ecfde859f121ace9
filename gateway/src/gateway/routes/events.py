"""What happens on the network: events, registrations, publications. Durable once answered; behind a key."""

from __future__ import annotations

from contracts.wire import Accepted, EventBatch, PostContent, PostId, UserId, UserProfile
from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from gateway.access import admit, needs
from gateway.forward import forward
from gateway.routes.openapi import WRITING
from gateway.state import FallbackDep, UpstreamsDep
from gateway.upstream import JSON, Upstream

router = APIRouter(tags=["writing"], responses=WRITING)
by_servers = [Depends(needs("events"))]
by_pages_too = [Depends(needs("events", users=()))]
"""Before the body is read for what it says; then the route looks whose events they are."""


@router.post("/events", status_code=202, response_model=Accepted, dependencies=by_pages_too)
async def events(request: Request, upstreams: UpstreamsDep, fallback: FallbackDep, batch: EventBatch) -> Response:
    """Views and likes, at most 1,000. 202 when they are durable; the very next request honours a like."""
    admit(request, "events", {event.user_id for event in batch.events})
    answer = await _write(request, upstreams.writes, "POST", "/events", batch)
    for event in batch.events:
        if event.action == "like":
            fallback.keep_like(event.user_id, event.post_id)
    return answer


@router.put("/user/{id}", status_code=202, response_model=Accepted, dependencies=by_servers)
async def put_user(request: Request, upstreams: UpstreamsDep, id: UserId, profile: UserProfile) -> Response:
    """Registers a user, or replaces the profile."""
    return await _write(request, upstreams.writes, "PUT", f"/users/{id}", profile)


@router.put("/post/{id}", status_code=202, response_model=Accepted, dependencies=by_servers)
async def put_post(
    request: Request, upstreams: UpstreamsDep, fallback: FallbackDep, id: PostId, content: PostContent
) -> Response:
    """Publishes a post, or what it says now: it can be recommended within seconds, until it expires."""
    answer = await _write(request, upstreams.writes, "PUT", f"/posts/{id}", content)
    fallback.forget_text(id)
    return answer


@router.delete("/post/{id}", status_code=202, response_model=Accepted)
async def delete_post(request: Request, upstreams: UpstreamsDep, fallback: FallbackDep, id: PostId) -> Response:
    """Takes a post down: nobody is shown it from the very next answer on, until it is published anew."""
    answer = await _write(request, upstreams.writes, "DELETE", f"/posts/{id}")
    fallback.keep_gone_too(id)
    return answer


async def _write(
    request: Request,
    writes: Upstream,
    method: str,
    path: str,
    body: EventBatch | UserProfile | PostContent | None = None,
) -> Response:
    """What is missing stays out: a feature-service of an older build knows nothing of it."""
    content = body.model_dump_json(exclude_none=True).encode() if body is not None else None
    reply = await forward(request, writes, method, path, content)
    return Response(reply.content, 202, media_type=JSON)
