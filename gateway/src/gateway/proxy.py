"""A call handed to feature-service, and its answer or its refusal handed back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Literal

from chassis.deadline import Deadline
from chassis.errors import InvalidParameter, NotFound, Unavailable
from contracts.headers import REQUEST_ID
from starlette.requests import Request

from gateway.upstream import Down, Refused, Upstream

CALL_SECONDS = 3.0
JSON = "application/json"
Way = Literal["features", "histories", "writes"]
"""What a call needs at feature-service: Redis, Postgres, the log."""


async def handed_on(
    request: Request,
    way: Way,
    method: str,
    path: str,
    content: bytes | None = None,
    params: Mapping[str, str | int] | None = None,
) -> bytes:
    """The answer's body. Raises Unavailable, and NotFound or InvalidParameter in feature-service's words."""
    upstream: Upstream = getattr(request.state, way)
    headers = {"Content-Type": JSON, REQUEST_ID: request.state.request_id}
    deadline = Deadline.after(CALL_SECONDS)
    try:
        response = await upstream.call(
            method, path, deadline=deadline, at_most=CALL_SECONDS, content=content, params=params, headers=headers
        )
    except Down as error:
        raise Unavailable("this part of the platform does not answer; recommendations go on") from error
    except Refused as error:
        raise _in_its_words(error) from error
    return response.content


def _in_its_words(error: Refused) -> Exception:
    """The caller's mistake; what is none of the caller's making stays an error of ours."""
    said = json.loads(error.reply.content) if error.reply.content_type == JSON else {}
    message, field = str(said.get("message", "refused")), said.get("field")
    if error.reply.status == 404:
        return NotFound(message)
    if error.reply.status == 422:
        return InvalidParameter(message, field=field)
    return error
