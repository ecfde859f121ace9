"""A call that is forwarded to feature-service, and its answer or refusal, which goes back to the caller."""

from __future__ import annotations

import json
from collections.abc import Mapping

from chassis.errors import Conflict, InvalidParameter, NotFound, Unavailable
from contracts.headers import REQUEST_ID
from starlette.requests import Request
from starlette.responses import Response

from gateway.state import state_of
from gateway.upstream import JSON, JSON_BODY, Down, Refused, Reply, Upstream


async def forward(
    request: Request,
    upstream: Upstream,
    method: str,
    path: str,
    content: bytes | None = None,
    params: Mapping[str, str | int] | None = None,
) -> Reply:
    """Raises Unavailable, and NotFound, Conflict or InvalidParameter in feature-service's words."""
    headers = {**JSON_BODY, REQUEST_ID: state_of(request)["request_id"]}
    if known := request.headers.get("If-None-Match"):
        headers["If-None-Match"] = known
    try:
        return await upstream.call(method, path, content=content, params=params, headers=headers)
    except Down as error:
        raise Unavailable("this part of the platform does not answer; recommendations go on") from error
    except Refused as error:
        raise _translated(error) from error


def respond(reply: Reply) -> Response:
    """With its ETag and status, 304 included."""
    headers = {"ETag": reply.etag} if reply.etag is not None else {}
    return Response(reply.content, reply.status, headers, media_type=reply.content_type)


def _translated(error: Refused) -> Exception:
    """The caller's mistake, as the chassis says it; anything else stays an error of ours."""
    problem = json.loads(error.reply.content) if error.reply.content_type == JSON else {}
    message, field = str(problem.get("message", "refused")), problem.get("field")
    if error.reply.status == 404:
        return NotFound(message)
    if error.reply.status == 409:
        return Conflict(message, field=field)
    if error.reply.status == 422:
        return InvalidParameter(message, field=field)
    return error
