"""Why one model's posts stand where they do: its ranker's reasons, off the hot path."""

from __future__ import annotations

from typing import Annotated

from chassis.deadline import Deadline
from chassis.errors import Unavailable
from contracts.assignment import Group
from contracts.headers import COLD_START, MODEL, REQUEST_ID
from contracts.wire import Explanation, Explanations
from fastapi import APIRouter, Query
from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from gateway.describing import EXPLAINED, At, Id, InGroup
from gateway.proxy import JSON, handed_on
from gateway.row import Row
from gateway.running import Experiments
from gateway.upstream import Down, Refused, Upstream, in_a_word

SECONDS = 3.0
"""A ranker explains one list at a time, with what ranking leaves of its processor."""
MOST = 20

router = APIRouter(tags=["recommendations"])
Limit = Annotated[int, Query(ge=1, le=MOST, description="How many posts.", examples=[5])]
_explanations = TypeAdapter(list[Explanation])


@router.get("/{group}/post/explanations/", response_model=list[Explanation], responses=EXPLAINED)
async def explanations(request: Request, group: InGroup, id: Id, time: At = None, limit: Limit = 5) -> Response:
    """The posts of one model, and the columns that moved each one's score the most. A preview: not an exposure."""
    experiments: Experiments = request.state.experiments
    moment = time or experiments.now()
    row = Row.of((await handed_on(request, "features", "GET", f"/users/{id}/row")).content)
    found = await _asked(request, group, row, int(moment.timestamp()), limit)
    headers = {MODEL: f"{found.model}@{found.version}"}
    if not row.known:
        headers[COLD_START] = "1"
    return Response(_explanations.dump_json(found.posts), headers=headers, media_type=JSON)


async def _asked(request: Request, group: Group, row: Row, time: int, limit: int) -> Explanations:
    """Raises Unavailable."""
    explainer: Upstream = request.state.explainers[group]
    try:
        reply = await explainer.call(
            "POST",
            "/explain",
            params={"limit": limit, "time": time},
            content=row.packed,
            deadline=Deadline.after(SECONDS),
            at_most=SECONDS,
            headers={REQUEST_ID: request.state.request_id},
        )
        return Explanations.model_validate_json(reply.content)
    except (Down, Refused, ValidationError) as error:
        in_a_word("explanation", error)  # logs what is a bug
        raise Unavailable(f"ranker-{group} gives no explanation now; recommendations go on") from error
