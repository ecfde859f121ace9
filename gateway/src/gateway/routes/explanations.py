"""Why one model's posts stand where they do: its ranker's reasons, off the hot path."""

from __future__ import annotations

from typing import Annotated

from chassis.errors import Unavailable
from contracts.assignment import Group
from contracts.headers import COLD_START, MODEL, REQUEST_ID
from contracts.wire import Explanation, Explanations
from fastapi import APIRouter, Query
from pydantic import TypeAdapter
from starlette.requests import Request
from starlette.responses import Response

from gateway.access import admit
from gateway.forward import forward
from gateway.routes.openapi import EXPLAINED, At, Id, InGroup
from gateway.row import Row
from gateway.state import RequestState, StateDep
from gateway.upstream import JSON, ROW_BODY, UpstreamError

MOST = 20

router = APIRouter(tags=["recommendations"])
Limit = Annotated[int, Query(ge=1, le=MOST, description="How many posts.", examples=[5])]
_explanations = TypeAdapter(list[Explanation])


@router.get("/{group}/post/explanations/", response_model=list[Explanation], responses=EXPLAINED)
async def explanations(
    request: Request, state: StateDep, group: InGroup, id: Id, time: At = None, limit: Limit = 5
) -> Response:
    """The posts of one model, and the columns that moved each one's score the most. A preview: not an exposure."""
    admit(request, "recommend", (id,))
    moment = time or state["split"].now()
    row = Row.of((await forward(request, state["upstreams"].features, "GET", f"/users/{id}/row")).content)
    explained = await _explained(state, group, row, int(moment.timestamp()), limit)
    headers = {MODEL: f"{explained.model}@{explained.version}"}
    if not row.known:
        headers[COLD_START] = "1"
    return Response(_explanations.dump_json(explained.posts), headers=headers, media_type=JSON)


async def _explained(state: RequestState, group: Group, row: Row, time: int, limit: int) -> Explanations:
    """A ranker explains one list at a time, with the processor time that ranking leaves. Raises Unavailable."""
    try:
        return (
            await state["upstreams"]
            .explainers[group]
            .ask(
                "POST",
                "/explain",
                into=Explanations.model_validate_json,
                params={"limit": limit, "time": time},
                content=row.packed,
                headers={REQUEST_ID: state["request_id"], **ROW_BODY},
            )
        )
    except UpstreamError as error:
        raise Unavailable(f"ranker-{group} gives no explanation now; recommendations go on") from error
