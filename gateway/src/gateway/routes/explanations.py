"""Why one model's posts stand where they do: its ranker's reasons, off the hot path."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from chassis.errors import Unavailable
from contracts.assignment import Group
from contracts.headers import COLD_START, MODEL, REQUEST_ID, RULES
from contracts.rules import DEFAULT
from contracts.wire import AlikePosts, Explanation, Explanations, PostId, Rule
from fastapi import APIRouter, Query
from pydantic import TypeAdapter
from starlette.requests import Request
from starlette.responses import Response

from gateway.access import admit
from gateway.forward import forward, respond
from gateway.rankers import rank, slate_of
from gateway.request import RecommendationRequest
from gateway.routes.openapi import EXPLAINED, ONE, At, ByRules, Id, InGroup, Liked
from gateway.routes.recommendations import preview
from gateway.row import Row
from gateway.state import RequestState, StateDep
from gateway.upstream import JSON, ROW_BODY, UpstreamError

MOST = 20

router = APIRouter(tags=["recommendations"])
Limit = Annotated[int, Query(ge=1, le=MOST, description="How many posts.", examples=[5])]
_explanations = TypeAdapter(list[Explanation])


@router.get("/{group}/post/explanations/", response_model=list[Explanation], responses=EXPLAINED)
async def explanations(
    request: Request,
    state: StateDep,
    group: InGroup,
    id: Id,
    time: At = None,
    limit: Limit = 5,
    rules: ByRules = DEFAULT,
    liked: Liked = "",
) -> Response:
    """The posts of one model, the columns that moved each one's score the most, and the rule that put it there.

    A preview: not an exposure.
    """
    admit(request, "recommend", (id,))
    wanted = preview(state, group, id, time, limit, rules, liked)
    row = Row.of((await forward(request, state["upstreams"].features, "GET", f"/users/{id}/row")).content)
    explained = await _explained(state, group, row, wanted)
    headers = {MODEL: f"{explained.model}@{explained.version}"}
    if wanted.ruling is not None:
        headers[RULES] = wanted.ruling.rule_set.label
    if not row.known:
        headers[COLD_START] = "1"
    return Response(_explanations.dump_json(explained.posts), headers=headers, media_type=JSON)


@router.get("/{group}/post/{id}/similar", response_model=AlikePosts, responses=ONE)
async def similar(request: Request, state: StateDep, group: InGroup, id: PostId, limit: Limit = 5) -> Response:
    """The posts that one model sees as most like this one: those that may be shown, the most alike first."""
    admit(request, "read", ())
    explainer = state["upstreams"].explainers[group]
    return respond(await forward(request, explainer, "GET", f"/similar/{id}", params={"limit": limit}))


async def _explained(state: RequestState, group: Group, row: Row, wanted: RecommendationRequest) -> Explanations:
    """A ranker explains one list at a time, with the processor time that ranking leaves. Raises Unavailable."""
    params: dict[str, str | int] = {"limit": wanted.limit, "time": int(wanted.time.timestamp())}
    if wanted.liked:
        params["liked"] = wanted.liked
    rule_of: dict[int, Rule] = {}
    try:
        if wanted.ruling is not None:
            ranking = await rank(wanted, row, state["upstreams"].rankers[group], wanted.limit)
            slate = slate_of(wanted, group, ranking)
            if not slate.posts:
                return Explanations(model=slate.model, version=slate.version, posts=[])
            params["posts"] = ",".join(map(str, slate.posts))
            rule_of = {move.post: move.rule for move in slate.moves if move.slot is not None}
        explained = await _reasons(state, group, row, params)
    except UpstreamError as error:
        raise Unavailable(f"ranker-{group} gives no explanation now; recommendations go on") from error
    posts = [post.model_copy(update={"rule": rule_of.get(post.post_id)}) for post in explained.posts]
    return explained.model_copy(update={"posts": posts})


async def _reasons(state: RequestState, group: Group, row: Row, params: Mapping[str, str | int]) -> Explanations:
    """Raises UpstreamError."""
    return (
        await state["upstreams"]
        .explainers[group]
        .ask(
            "POST",
            "/explain",
            into=Explanations.model_validate_json,
            params=params,
            content=row.packed,
            headers={REQUEST_ID: state["request_id"], **ROW_BODY},
        )
    )
