"""What happens on the network: events, registrations, publications. Durable once answered; behind a key."""

from __future__ import annotations

from contracts.wire import Accepted, EventBatch, PostContent, PostId, UserId, UserProfile
from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from gateway.access import admit, needs
from gateway.forward import forward
from gateway.request import INTERLEAVED
from gateway.routes.openapi import WRITING
from gateway.state import FallbackDep, UpstreamsDep
from gateway.upstream import JSON, Upstream

router = APIRouter(tags=["writing"], responses=WRITING)
pages = APIRouter(dependencies=[Depends(needs("events", users=()))])
"""Their tokens open these, too: each route looks whose data it is given."""
servers = APIRouter(dependencies=[Depends(needs("events"))])


@pages.post("/events", status_code=202, response_model=Accepted)
async def events(request: Request, upstreams: UpstreamsDep, fallback: FallbackDep, batch: EventBatch) -> Response:
    """Views and likes, at most 1,000. 202 when they are durable; the very next request honours a like."""
    admit(request, "events", {event.user_id for event in batch.events})
    answer = await _write(request, upstreams.writes, "POST", "/events", batch)
    for event in batch.events:
        if event.action == "like":
            fallback.keep_like(event.user_id, event.post_id)
    return answer


@servers.put("/user/{id}", status_code=202, response_model=Accepted)
async def put_user(request: Request, upstreams: UpstreamsDep, id: UserId, profile: UserProfile) -> Response:
    """Registers a user, or replaces the profile."""
    return await _write(request, upstreams.writes, "PUT", f"/users/{id}", profile)


@servers.delete("/user/{id}", status_code=202, response_model=Accepted)
async def delete_user(request: Request, upstreams: UpstreamsDep, fallback: FallbackDep, id: UserId) -> Response:
    """Forgets a user: the very next answer is a stranger's, the rows are erased within seconds."""
    answer = await _write(request, upstreams.writes, "DELETE", f"/users/{id}")
    fallback.forget_user(id, (*upstreams.rankers, INTERLEAVED))
    return answer


@servers.put("/post/{id}", status_code=202, response_model=Accepted)
async def put_post(
    request: Request, upstreams: UpstreamsDep, fallback: FallbackDep, id: PostId, content: PostContent
) -> Response:
    """Publishes a post, or what it says now: it can be recommended within seconds, until it expires."""
    answer = await _write(request, upstreams.writes, "PUT", f"/posts/{id}", content)
    fallback.forget_text(id)
    return answer


@servers.delete("/post/{id}", status_code=202, response_model=Accepted)
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


router.include_router(pages)
router.include_router(servers)
