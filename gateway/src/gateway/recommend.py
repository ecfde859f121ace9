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
from contracts.experiments import Plan
from contracts.headers import REQUEST_ID
from contracts.records import BadRecordError
from contracts.wire import Exposure, Post, PostIds, Posts
from prometheus_client import Counter
from pydantic import ValidationError

from gateway.memory import Memory
from gateway.rankers import Question, Rankers, Slate
from gateway.row import Row
from gateway.running import Enrolled
from gateway.upstream import Down, Refused, Upstream, in_a_word

REQUESTS = Counter("gateway_recommendations_total", "Answered recommendations.", ["group", "model"])
DEGRADED = Counter("gateway_degraded_total", "Answers that were not the model's own full answer.", ["group", "reason"])
UNLOGGED = Counter("gateway_unlogged_exposures_total", "Exposures that could not be recorded.", ["group"])
INTERLEAVED = "interleaved"
"""Where last slates of two rankers are kept, beside those of each."""

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

    @property
    def plan(self) -> Plan | None:
        return self.exposed.experiment.plan if self.exposed is not None else None

    @property
    def kept_as(self) -> str:
        """Whose last slate stands in."""
        return INTERLEAVED if self.plan is not None and self.plan.mode == "interleave" else self.ranker


@dataclass(slots=True)
class Answer:
    """slate: what was ranked; None for a fallback."""

    group: Group
    model: str
    posts: list[Post] = field(default_factory=list)
    row: Row | None = None
    slate: Slate | None = None
    degraded: list[str] = field(default_factory=list)

    @property
    def cold_start(self) -> bool:
        return self.row is not None and not self.row.known

    @property
    def version(self) -> str:
        return self.slate.version if self.slate is not None else ""


class Recommender:
    def __init__(
        self, features: Upstream, rankers: Rankers, memory: Memory, features_seconds: float, exposure_seconds: float
    ) -> None:
        """features_seconds, exposure_seconds: of the deadline that reading a row, and recording an exposure, may take."""
        self._features, self._rankers, self._memory = features, rankers, memory
        self._features_seconds, self._exposure_seconds = features_seconds, exposure_seconds

    async def recommend(self, ask: Ask) -> Answer:
        """Raises Unavailable when there is neither a ranking nor anything to fall back on."""
        answer = Answer(ask.group, ask.ranker)
        answer.row = await self._row(ask, answer)
        if answer.row is not None:
            question = Question(answer.row.packed, ask.limit, ask.time, ask.key, ask.deadline)
            answer.slate = await self._rankers.slate(question, ask.ranker, ask.plan, answer.degraded)
        if answer.slate is None:
            self._fall_back(ask, answer)
        else:
            answer.model, answer.group = answer.slate.model, answer.slate.team or ask.group
        await self._record_and_read(ask, answer)
        if answer.slate is not None:
            self._memory.saw_slate(ask.user_id, ask.kept_as, answer.posts)
        REQUESTS.labels(answer.group, answer.model).inc()
        for reason in answer.degraded:
            DEGRADED.labels(answer.group, reason).inc()
        return answer

    async def _row(self, ask: Ask, answer: Answer) -> Row | None:
        try:
            response = await self._features.call(
                "GET",
                f"/users/{ask.user_id}/row",
                deadline=ask.deadline,
                at_most=self._features_seconds,
                headers=ask.headers,
            )
            row = Row.of(response.content)
        except (Down, Refused, BadRecordError) as error:
            answer.degraded.append(in_a_word("features", error))
            return None
        self._memory.saw_row(ask.user_id, row)
        return row

    async def _record_and_read(self, ask: Ask, answer: Answer) -> None:
        """Records the exposure of an enrolled user and reads the posts' texts, in one call."""
        ids = answer.slate.posts if answer.slate is not None else [post.id for post in answer.posts]
        if ask.exposed is not None:
            path, body = "/exposures", _exposure(ask, ask.exposed, ids, answer).model_dump_json()
        else:
            path, body = "/posts", PostIds(ids=ids).model_dump_json()
        try:
            response = await self._features.call(
                "POST",
                path,
                content=body.encode(),
                deadline=ask.deadline,
                at_most=self._exposure_seconds,
                headers=ask.headers,
            )
            answer.posts = Posts.model_validate_json(response.content).posts
        except (Down, Refused, ValidationError) as error:
            log.warning("texts_from_memory", reason=in_a_word("features", error))
            if ask.exposed is not None:
                UNLOGGED.labels(answer.group).inc()
                answer.degraded.append("unlogged")
            self._remember(ask, ids, answer)

    def _remember(self, ask: Ask, ids: Sequence[int], answer: Answer) -> None:
        """The texts that are at hand; where one is not, popular posts instead."""
        if answer.slate is None:
            return
        answer.posts = self._memory.texts(ids)
        if len(answer.posts) < len(ids):
            answer.degraded.append("texts")
            answer.slate = None
            self._fall_back(ask, answer)

    def _fall_back(self, ask: Ask, answer: Answer) -> None:
        answer.group = ask.group
        answer.model, answer.posts = self._memory.instead(ask.user_id, ask.kept_as, answer.row, ask.limit)
        if not answer.posts and self._memory.popular is None:
            raise Unavailable("nothing can be recommended yet")


def _exposure(ask: Ask, enrolled: Enrolled, ids: list[int], answer: Answer) -> Exposure:
    (experiment, assignment), slate = enrolled, answer.slate
    return Exposure(
        key=ask.key,
        user_id=ask.user_id,
        experiment=experiment.name,
        mode=experiment.plan.mode,
        group=assignment.group,
        ranker=slate.ranker if slate is not None else ask.ranker,
        model=answer.model,
        model_version=answer.version,
        posts=ids,
        scores=slate.scores if slate is not None else [],
        teams=slate.teams if slate is not None else None,
        propensities=slate.propensities if slate is not None else None,
        degraded=",".join(answer.degraded) or None,
        asked_for=ask.time,
        served_at=ask.arrived,
        took_ms=round((time.perf_counter() - ask.started) * 1000, 3),
        weight_period=assignment.weight_period,
    )
