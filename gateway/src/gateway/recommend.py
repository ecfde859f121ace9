"""A recommendation, from the user's placement to five posts, whatever is down on the way."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace

import structlog
from chassis.errors import Unavailable
from contracts import degradation
from contracts.assignment import Group
from contracts.degradation import joined, reason
from contracts.headers import REQUEST_ID
from contracts.wire import Exposure, Post, PostIds, Posts
from prometheus_client import Counter

from gateway.fallback import Fallback
from gateway.rankers import RankedSlate, ranked_slate
from gateway.request import RecommendationRequest
from gateway.row import Row
from gateway.split import Enrolment
from gateway.upstream import JSON_BODY, Upstream, UpstreamError

REQUESTS = Counter("gateway_recommendations_total", "Answered recommendations.", ["group", "model"])
DEGRADED = Counter("gateway_degraded_total", "Answers that were not the model's own full answer.", ["group", "reason"])
UNLOGGED = Counter("gateway_unlogged_exposures_total", "Exposures that could not be recorded.", ["group"])

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Recommendation:
    """model: that ranked, or the fallback. row: None where it could not be read. slate: None for a fallback.
    degraded: why this is not the model's own full answer."""

    group: Group
    model: str
    posts: list[Post]
    row: Row | None
    slate: RankedSlate | None
    degraded: tuple[str, ...]

    @property
    def ids(self) -> list[int]:
        """Of the posts, also before their texts are read."""
        return self.slate.posts if self.slate is not None else [post.id for post in self.posts]

    @property
    def cold_start(self) -> bool:
        return self.row is not None and not self.row.known

    @property
    def version(self) -> str:
        return self.slate.version if self.slate is not None else degradation.FALLBACK_VERSION


Recommend = Callable[[RecommendationRequest], Awaitable[Recommendation]]
"""`recommend`, bound to its dependencies."""


async def recommend(
    request: RecommendationRequest,
    *,
    rows: Upstream,
    exposures: Upstream,
    rankers: Mapping[Group, Upstream],
    fallback: Fallback,
) -> Recommendation:
    """rows, exposures: feature-service, with the budget of each. Raises Unavailable when there is neither a ranking nor
    anything to fall back on."""
    row, degraded = await _row(request, rows)
    slate: RankedSlate | None = None
    if row is not None:
        fallback.keep_row(request.user_id, row)
        slate, degraded = await ranked_slate(request, row, rankers)
    if slate is not None:
        chosen = Recommendation(slate.team or request.placement.group, slate.model, [], row, slate, degraded)
    else:
        chosen = _fallen_back(request, row, degraded, fallback)
    try:
        answer = replace(chosen, posts=await _recorded(request, chosen, exposures))
    except UpstreamError as error:
        log.warning("texts_from_memory", reason=reason("features", error.word))
        answer = _unrecorded(request, chosen, fallback)
    if answer.slate is not None:
        fallback.keep_slate(request.user_id, request.kept_as, answer.posts)
    REQUESTS.labels(answer.group, answer.model).inc()
    for why in answer.degraded:
        DEGRADED.labels(answer.group, why).inc()
    return answer


async def _row(request: RecommendationRequest, rows: Upstream) -> tuple[Row | None, tuple[str, ...]]:
    """And why there is none."""
    path = f"/users/{request.user_id}/row"
    try:
        return await rows.ask("GET", path, into=Row.of, deadline=request.deadline, headers=_headers(request)), ()
    except UpstreamError as error:
        return None, (reason("features", error.word),)


def _fallen_back(
    request: RecommendationRequest, row: Row | None, degraded: tuple[str, ...], fallback: Fallback
) -> Recommendation:
    model, posts = fallback.instead(request.user_id, request.kept_as, row, request.limit)
    if not posts and fallback.popular is None:
        raise Unavailable("nothing can be recommended yet")
    return Recommendation(request.placement.group, model, posts, row, None, degraded)


async def _recorded(request: RecommendationRequest, chosen: Recommendation, exposures: Upstream) -> list[Post]:
    """Records the exposure of an enrolled user and reads the posts' texts, in one call. Raises UpstreamError."""
    exposed = request.placement.exposed
    body = _exposure(request, exposed, chosen) if exposed is not None else PostIds(ids=chosen.ids)
    texts = await exposures.ask(
        "POST",
        "/exposures" if exposed is not None else "/posts",
        into=Posts.model_validate_json,
        content=body.model_dump_json().encode(),
        deadline=request.deadline,
        headers=_headers(request),
    )
    return texts.posts


def _unrecorded(request: RecommendationRequest, chosen: Recommendation, fallback: Fallback) -> Recommendation:
    """With the texts that are remembered; where one is not, popular posts instead."""
    degraded = chosen.degraded
    if request.placement.exposed is not None:
        UNLOGGED.labels(chosen.group).inc()
        degraded = (*degraded, degradation.UNLOGGED)
    if chosen.slate is None:
        return replace(chosen, degraded=degraded)
    posts = fallback.texts(chosen.ids)
    if len(posts) < len(chosen.ids):
        return _fallen_back(request, chosen.row, (*degraded, degradation.TEXTS), fallback)
    return replace(chosen, posts=posts, degraded=degraded)


def _headers(request: RecommendationRequest) -> dict[str, str]:
    return {REQUEST_ID: request.key, **JSON_BODY}


def _exposure(request: RecommendationRequest, enrolment: Enrolment, chosen: Recommendation) -> Exposure:
    (experiment, assignment), slate = enrolment, chosen.slate
    return Exposure(
        key=request.key,
        user_id=request.user_id,
        experiment=experiment.name,
        mode=experiment.plan.mode,
        group=assignment.group,
        ranker=slate.ranker if slate is not None else request.placement.ranker,
        model=chosen.model,
        model_version=chosen.version,
        posts=chosen.ids,
        scores=slate.scores if slate is not None else [],
        teams=slate.teams if slate is not None else None,
        propensities=slate.propensities if slate is not None else None,
        degraded=joined(chosen.degraded) or None,
        asked_for=request.time,
        served_at=request.arrived,
        took_ms=round((time.perf_counter() - request.started) * 1000, 3),
        weight_period=assignment.weight_period,
    )
