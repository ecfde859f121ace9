"""A recommendation, from the user's group to five posts, whatever is down on the way."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import structlog
from chassis.deadline import Deadline
from chassis.errors import Unavailable
from contracts.assignment import Group
from contracts.headers import REQUEST_ID
from contracts.records import BadRecordError
from contracts.wire import Exposure, Post, PostIds, Posts, Ranking
from prometheus_client import Counter
from pydantic import ValidationError

from gateway.memory import Memory
from gateway.row import Row
from gateway.running import Enrolled
from gateway.upstream import Down, Refused, Upstream

REQUESTS = Counter("gateway_recommendations_total", "Answered recommendations.", ["group", "model"])
DEGRADED = Counter("gateway_degraded_total", "Answers that were not the model's own full answer.", ["group", "reason"])
UNLOGGED = Counter("gateway_unlogged_exposures_total", "Exposures that could not be recorded.", ["group"])
EXPOSURE_SECONDS = 0.08

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Ask:
    """key: of the request, made by us; an exposure's key. group: said as `exp_group`. ranker: whose posts.

    time: for which the posts are ranked. arrived: by the platform's clock. started: `perf_counter` at arrival.
    """

    key: str
    user_id: int
    group: Group
    ranker: Group
    limit: int
    time: datetime
    arrived: datetime
    started: float
    deadline: Deadline
    exposed: Enrolled | None = None
    """None for a preview of one model or a user who is in no experiment: no exposure."""

    @property
    def headers(self) -> dict[str, str]:
        return {REQUEST_ID: self.key, "Content-Type": "application/json"}


@dataclass(slots=True)
class Answer:
    group: Group
    posts: list[Post]
    model: str
    version: str
    scores: list[float] = field(default_factory=list)
    cold_start: bool = False
    degraded: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Budget:
    """Seconds."""

    features: float
    ranker: float


class Recommender:
    def __init__(self, features: Upstream, rankers: dict[Group, Upstream], memory: Memory, budget: Budget) -> None:
        self._features, self._rankers, self._memory, self._budget = features, rankers, memory, budget

    async def recommend(self, ask: Ask) -> Answer:
        """Raises Unavailable when there is neither a ranking nor anything to fall back on."""
        answer = Answer(ask.group, [], ask.ranker, "")
        row = await self._row(ask, answer)
        ranking = await self._ranking(ask, row, answer) if row is not None else None
        if ranking is None:
            answer.model, answer.posts = self._fallback(ask, row)
        else:
            answer.model, answer.version, answer.scores = ranking.model, ranking.version, ranking.scores
        ids = ranking.posts if ranking is not None else [post.id for post in answer.posts]
        answer.posts = await self._record_and_read(ask, ids, row, answer)
        if ranking is not None and answer.version:
            self._memory.saw_slate(ask.user_id, ask.ranker, answer.posts)
        REQUESTS.labels(ask.group, answer.model).inc()
        for reason in answer.degraded:
            DEGRADED.labels(ask.group, reason).inc()
        return answer

    async def _row(self, ask: Ask, answer: Answer) -> Row | None:
        try:
            response = await self._features.call(
                "GET",
                f"/users/{ask.user_id}/row",
                deadline=ask.deadline,
                at_most=self._budget.features,
                headers=ask.headers,
            )
            row = Row.of(response.content)
        except (Down, Refused, BadRecordError) as error:
            answer.degraded.append(_word("features", error))
            return None
        answer.cold_start = not row.known
        self._memory.saw_row(ask.user_id, row)
        return row

    async def _ranking(self, ask: Ask, row: Row, answer: Answer) -> Ranking | None:
        try:
            response = await self._rankers[ask.ranker].call(
                "POST",
                "/rank",
                params={"limit": ask.limit, "time": int(ask.time.timestamp())},
                content=row.packed,
                deadline=ask.deadline,
                at_most=self._budget.ranker,
                headers={REQUEST_ID: ask.key},
            )
            return Ranking.model_validate_json(response.content)
        except (Down, Refused, ValidationError) as error:
            answer.degraded.append(_word("ranker", error))
            return None

    async def _record_and_read(self, ask: Ask, ids: Sequence[int], row: Row | None, answer: Answer) -> list[Post]:
        """Records the exposure of an enrolled user and reads the posts' texts, in one call."""
        path, body = "/posts", PostIds(ids=list(ids)).model_dump_json()
        if ask.exposed is not None:
            path, body = "/exposures", _exposure(ask, ask.exposed, ids, answer).model_dump_json()
        try:
            response = await self._features.call(
                "POST",
                path,
                content=body.encode(),
                deadline=ask.deadline,
                at_most=EXPOSURE_SECONDS,
                headers=ask.headers,
            )
            return Posts.model_validate_json(response.content).posts
        except (Down, Refused, ValidationError) as error:
            log.warning("texts_from_memory", reason=_word("features", error))
            if ask.exposed is not None:
                UNLOGGED.labels(ask.group).inc()
                answer.degraded.append("unlogged")
            return self._remembered(ask, ids, row, answer)

    def _remembered(self, ask: Ask, ids: Sequence[int], row: Row | None, answer: Answer) -> list[Post]:
        """The texts that are at hand; where one is not, popular posts instead."""
        if answer.posts:
            return answer.posts
        posts = self._memory.texts(ids)
        if len(posts) < len(ids):
            answer.degraded.append("texts")
            answer.version = ""
            answer.model, posts = self._fallback(ask, row)
        return posts

    def _fallback(self, ask: Ask, row: Row | None) -> tuple[str, list[Post]]:
        model, posts = self._memory.instead(ask.user_id, ask.ranker, row, ask.limit)
        if not posts and self._memory.popular is None:
            raise Unavailable("nothing can be recommended yet")
        return model, posts


def _exposure(ask: Ask, enrolled: Enrolled, ids: Sequence[int], answer: Answer) -> Exposure:
    experiment, assignment = enrolled
    return Exposure(
        key=ask.key,
        user_id=ask.user_id,
        experiment=experiment.name,
        mode=experiment.plan.mode,
        group=assignment.group,
        ranker=ask.ranker,
        model=answer.model,
        model_version=answer.version,
        posts=list(ids),
        scores=answer.scores,
        degraded=",".join(answer.degraded) or None,
        asked_for=ask.time,
        served_at=ask.arrived,
        took_ms=round((time.perf_counter() - ask.started) * 1000, 3),
        weight_period=assignment.weight_period,
    )


def _word(what: str, error: Exception) -> str:
    """The reason in one word. What our own service says wrongly or refuses is a bug, not an outage: it is logged as one."""
    if isinstance(error, Down):
        return f"{what}_{error.reason}"
    log.error("own_service_misunderstood", what=what, error=str(error))
    return f"{what}_bug"
