"""A recommendation, from the user's placement to five posts, whatever is down on the way."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace

import structlog
from chassis.errors import Unavailable
from contracts import degradation
from contracts.assignment import Group
from contracts.degradation import joined, reason
from contracts.headers import REQUEST_ID
from contracts.wire import Exposure, Move, PostIds, Posts
from prometheus_client import Counter

from gateway.fallback import Fallback, Texts
from gateway.rankers import RankedSlate, ranked_slate
from gateway.request import RecommendationRequest
from gateway.row import Row
from gateway.split import Enrolment
from gateway.upstream import JSON_BODY, Upstream, UpstreamError

REQUESTS = Counter("gateway_recommendations_total", "Answered recommendations.", ["group", "model"])
DEGRADED = Counter("gateway_degraded_total", "Answers that were not the model's own full answer.", ["group", "reason"])
DEGRADED_ANSWERS = Counter(
    "gateway_degraded_answers_total", "The same, each answer once, whatever its reasons.", ["group"]
)
UNLOGGED = Counter("gateway_unlogged_exposures_total", "Answers given while the log was dead.", ["group"])

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Recommendation:
    """model: that ranked, or the fallback. posts: as JSON, by id, in order. row: None where it could not be read.
    slate: None for a fallback. degraded: why this is not the model's own full answer."""

    group: Group
    model: str
    posts: Texts
    row: Row | None
    slate: RankedSlate | None
    degraded: tuple[str, ...]
    moves: list[Move] = field(default_factory=list)
    """What rules did."""

    @property
    def cold_start(self) -> bool:
        return self.row is not None and not self.row.known

    @property
    def version(self) -> str:
        return self.slate.version if self.slate is not None else degradation.FALLBACK_VERSION


Later = Callable[[Exposure], None]
Recommend = Callable[[RecommendationRequest], Awaitable[Recommendation]]
"""`recommend`, bound to its dependencies."""


async def recommend(
    request: RecommendationRequest,
    *,
    rows: Upstream,
    exposures: Upstream,
    rankers: Mapping[Group, Upstream],
    fallback: Fallback,
    later: Later,
) -> Recommendation:
    """rows, exposures: feature-service, with the budget of each. later: takes exposures that could not be recorded now.

    What is recorded is what is shown: an exposure is made when the texts of its posts are there. Raises Unavailable
    when there is neither a ranking nor anything to fall back on.
    """
    row, degraded = await _row(request, rows)
    slate: RankedSlate | None = None
    if row is not None:
        if request.liked:
            row = row.liking(map(int, request.liked.split(",")))
        else:
            fallback.keep_row(request.user_id, row)
        slate, degraded = await ranked_slate(request, row, rankers)
    if slate is not None:
        answer = await _with_texts(request, row, slate, degraded, exposures, fallback)
    else:
        answer = _fallen_back(request, row, degraded, fallback)
    if (enrolment := request.placement.exposed) is not None:
        answer = await _recorded(request, enrolment, answer, exposures, later)
    if answer.slate is not None and not request.liked:
        fallback.keep_slate(request.user_id, request.kept_as, [*answer.posts], answer.slate.first_view_at)
    REQUESTS.labels(answer.group, answer.model).inc()
    if answer.degraded:
        DEGRADED_ANSWERS.labels(answer.group).inc()
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


async def _with_texts(
    request: RecommendationRequest,
    row: Row | None,
    slate: RankedSlate,
    degraded: tuple[str, ...],
    texts: Upstream,
    fallback: Fallback,
) -> Recommendation:
    """The slate with the texts that are remembered, those that may have changed read anew. Without a post whose text
    cannot be had, flagged; popular posts instead where that is all of them."""
    if unsure := fallback.unsure(slate.posts):
        await _read_texts(request, unsure, texts, fallback)
    posts = fallback.texts(slate.posts)
    if len(posts) < len(slate.posts):
        degraded = (*degraded, degradation.TEXTS)
        if not posts:
            return _fallen_back(request, row, degraded, fallback)
        slate = slate.only(posts)
    group = slate.team or request.placement.group
    return Recommendation(group, slate.model, posts, row, slate, degraded, slate.moves)


async def _read_texts(request: RecommendationRequest, ids: list[int], texts: Upstream, fallback: Fallback) -> None:
    version, body = fallback.texts_version, PostIds(ids=ids).model_dump_json().encode()
    try:
        answer = await texts.ask(
            "POST",
            "/posts",
            into=Posts.model_validate_json,
            content=body,
            deadline=request.deadline,
            headers=_headers(request),
        )
    except UpstreamError as error:
        log.warning("texts_from_memory", reason=reason("features", error.word))
    else:
        fallback.keep_texts(answer.posts, version)
        fallback.drop_texts(set(ids) - {post.id for post in answer.posts})


def _fallen_back(
    request: RecommendationRequest, row: Row | None, degraded: tuple[str, ...], fallback: Fallback
) -> Recommendation:
    model, posts, moves = fallback.instead(request.user_id, request.kept_as, row, request.limit, request.ruling)
    if not posts and fallback.popular is None:
        raise Unavailable("nothing can be recommended yet")
    return Recommendation(request.placement.group, model, posts, row, None, degraded, moves)


async def _recorded(
    request: RecommendationRequest, enrolment: Enrolment, answer: Recommendation, exposures: Upstream, later: Later
) -> Recommendation:
    """With its exposure in the log; or kept until the log takes it, and flagged where the log is dead.

    A call that timed out may have recorded it, and a second one of the same key changes nothing: so such an answer is
    as good as recorded, and is not flagged.
    """
    exposure = _exposure(request, enrolment, answer)
    try:
        await exposures.ask(
            "POST",
            "/exposures",
            into=bytes,
            content=exposure.model_dump_json().encode(),
            deadline=request.deadline,
            headers=_headers(request),
        )
    except UpstreamError as error:
        if error.word == "timeout":
            later(exposure)
            return answer
        UNLOGGED.labels(answer.group).inc()
        answer = replace(answer, degraded=(*answer.degraded, degradation.UNLOGGED))
        if error.word != "bug":
            later(_exposure(request, enrolment, answer))
    return answer


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
        posts=list(chosen.posts),
        scores=slate.scores if slate is not None else [],
        teams=slate.teams if slate is not None else None,
        propensities=slate.propensities if slate is not None else None,
        degraded=joined(chosen.degraded) or None,
        asked_for=request.time,
        served_at=request.arrived,
        took_ms=round((time.perf_counter() - request.started) * 1000, 3),
        weight_period=assignment.weight_period,
        rules=request.ruling.rule_set.label if request.ruling is not None else None,
        moves=chosen.moves,
    )
