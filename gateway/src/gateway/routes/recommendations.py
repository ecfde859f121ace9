"""The calls that answer with posts."""

from __future__ import annotations

import time as clocks
from dataclasses import replace
from datetime import datetime

from chassis.deadline import Deadline
from chassis.errors import Unavailable
from contracts.assignment import Group
from contracts.degradation import joined
from contracts.headers import COLD_START, DEGRADED, MODEL, RULES, SHORT
from contracts.rules import DEFAULT, RuleSet
from contracts.wire import Post, Recommendations
from fastapi import APIRouter
from prometheus_client import Counter, Histogram
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response

from gateway.access import admit
from gateway.fallback import Texts
from gateway.recommend import Recommendation
from gateway.request import RecommendationRequest
from gateway.routes.openapi import SLATE, SLATE_OF_GROUP, At, ByRules, Id, InGroup, Liked, Limit
from gateway.routes.query import query_router
from gateway.ruling import Ruling
from gateway.split import Placement
from gateway.state import RequestState, state_of
from gateway.upstream import JSON

router = query_router("recommendations")
previews = APIRouter(tags=["recommendations"])

SECONDS = Histogram(
    "gateway_recommendation_seconds",
    "From a request to its answer, by the user's group; previews are not counted.",
    ["group"],
    buckets=(0.001, 0.002, 0.004, 0.008, 0.016, 0.03, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.5),
)
UNANSWERED = Counter("gateway_unanswered_total", "Requests for which there was nothing to recommend.", ["group"])


@router.get("/post/recommendations/", response_model=Recommendations, responses=SLATE)
async def recommendations(request: Request, id: Id, time: At = None, limit: Limit = 5) -> Response:
    """The posts of the model of the user's group, best first. For an enrolled user the answer is an exposure."""
    admit(request, "recommend", (id,))
    state = state_of(request)
    now = state["split"].now()
    placement = state["split"].place(id, now)
    state["assignments"].note(id, placement.enrolments, now)
    rule_set = state["split"].rule_set(placement)
    wanted = _wanted(state, id, placement, time, now, limit, rule_set)
    try:
        answer = await state["recommend"](wanted)
    except Unavailable:
        UNANSWERED.labels(placement.group).inc()
        raise
    if rule_set is not None and rule_set.rules.not_again:
        state["fallback"].shown.keep(id, answer.posts, rule_set.rules.not_again)
    SECONDS.labels(answer.group).observe(clocks.perf_counter() - wanted.started)
    body = b'{"exp_group":"%s","recommendations":%s}' % (answer.group.encode(), _list(answer.posts))
    after = BackgroundTask(state["shadows"].start, wanted, answer, placement.shadows) if placement.shadows else None
    return Response(body, headers=_headers(answer, wanted), media_type=JSON, background=after)


@previews.get("/{group}/post/recommendations/", response_model=list[Post], responses=SLATE_OF_GROUP)
async def recommendations_of(
    request: Request,
    group: InGroup,
    id: Id,
    time: At = None,
    limit: Limit = 5,
    rules: ByRules = DEFAULT,
    liked: Liked = "",
) -> Response:
    """The posts of one model, whatever the user's group. A preview: not an exposure."""
    admit(request, "recommend", (id,))
    state = state_of(request)
    wanted = preview(state, group, id, time, limit, rules, liked)
    answer = await state["recommend"](wanted)
    return Response(_list(answer.posts), headers=_headers(answer, wanted), media_type=JSON)


def preview(
    state: RequestState, group: Group, user_id: int, time: datetime | None, limit: int, rules: str, liked: str
) -> RecommendationRequest:
    """Of one model's posts, by this rule set, and as if the user had liked these posts."""
    now, rule_set = state["split"].now(), state["split"].named(rules)
    wanted = _wanted(state, user_id, Placement(group, group), time, now, limit, rule_set)
    return replace(wanted, liked=liked)


def _wanted(
    state: RequestState,
    user_id: int,
    placement: Placement,
    time: datetime | None,
    now: datetime,
    limit: int,
    rule_set: RuleSet | None,
) -> RecommendationRequest:
    moment = time or now
    ruling: Ruling | None = None
    if rule_set is not None:
        shown = state["fallback"].shown.latest(user_id, rule_set.rules.not_again)
        ruling = Ruling(rule_set, moment.timestamp(), shown)
    return RecommendationRequest(
        key=state["request_id"],
        user_id=user_id,
        placement=placement,
        limit=limit,
        time=moment,
        arrived=now,
        started=clocks.perf_counter(),
        deadline=Deadline.after(state["deadline_seconds"]),
        ruling=ruling,
    )


def _list(posts: Texts) -> bytes:
    """As JSON: of `Recommendations` or alone, each post is as it was kept."""
    return b"[%s]" % b",".join(posts.values())


def _headers(answer: Recommendation, wanted: RecommendationRequest) -> dict[str, str]:
    headers = {MODEL: f"{answer.model}@{answer.version}" if answer.version else answer.model}
    if answer.degraded:
        headers[DEGRADED] = joined(answer.degraded)
    if answer.cold_start:
        headers[COLD_START] = "1"
    if wanted.ruling is not None:
        headers[RULES] = wanted.ruling.rule_set.label
    if len(answer.posts) < wanted.limit:
        headers[SHORT] = "1"
    return headers
