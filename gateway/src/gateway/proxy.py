"""A call handed to feature-service, and its answer or its refusal handed back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Literal

from chassis.deadline import Deadline
from chassis.errors import Conflict, InvalidParameter, NotFound, Unavailable
from contracts.headers import REQUEST_ID
from starlette.requests import Request
from starlette.responses import Response

from gateway.upstream import Down, Refused, Reply, Upstream

CALL_SECONDS = 3.0
JSON = "application/json"
Way = Literal["features", "histories", "writes", "administration"]
"""What a call needs at feature-service: Redis, Postgres, the log, or Postgres for longer than the others."""


async def handed_on(
    request: Request,
    way: Way,
    method: str,
    path: str,
    content: bytes | None = None,
    params: Mapping[str, str | int] | None = None,
    seconds: float = CALL_SECONDS,
) -> Reply:
    """Raises Unavailable, and NotFound, Conflict or InvalidParameter in feature-service's words."""
    upstream: Upstream = getattr(request.state, way)
    headers = {"Content-Type": JSON, REQUEST_ID: request.state.request_id}
    if known := request.headers.get("If-None-Match"):
        headers["If-None-Match"] = known
    deadline = Deadline.after(seconds)
    try:
        return await upstream.call(
            method, path, deadline=deadline, at_most=seconds, content=content, params=params, headers=headers
        )
    except Down as error:
        raise Unavailable("this part of the platform does not answer; recommendations go on") from error
    except Refused as error:
        raise _in_its_words(error) from error


def handed_back(reply: Reply) -> Response:
    """With its ETag, and "as before" where feature-service says so."""
    headers = {"ETag": reply.etag} if reply.etag is not None else {}
    return Response(reply.content, reply.status, headers, media_type=reply.content_type)


def _in_its_words(error: Refused) -> Exception:
    """The caller's mistake; what is none of the caller's making stays an error of ours."""
    said = json.loads(error.reply.content) if error.reply.content_type == JSON else {}
    message, field = str(said.get("message", "refused")), said.get("field")
    if error.reply.status == 404:
        return NotFound(message)
    if error.reply.status == 409:
        return Conflict(message, field=field)
    if error.reply.status == 422:
        return InvalidParameter(message, field=field)
    return error
