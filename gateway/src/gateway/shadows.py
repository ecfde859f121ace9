"""What the other ranker would have answered: asked once the answer is sent, and recorded by feature-service."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import replace

import structlog
from chassis.deadline import Deadline
from contracts.assignment import Group
from contracts.degradation import reason
from contracts.wire import Shadowed
from prometheus_client import Counter

from gateway.rankers import rank, slate_of
from gateway.recommend import Recommendation
from gateway.request import RecommendationRequest
from gateway.row import Row
from gateway.split import Enrolment
from gateway.upstream import JSON_BODY, Upstream, UpstreamError

AT_ONCE = 8
"""A shadow beyond so many at once is dropped: users' rankings come first."""
CALL_SECONDS = 1.0

SHADOWS = Counter("gateway_shadows_total", "Rankings that nobody saw: answered, failed, dropped, lost.", ["outcome"])
log = structlog.get_logger()


class Shadows:
    def __init__(self, rankers: Mapping[Group, Upstream], records: Upstream) -> None:
        self._rankers, self._records = rankers, records.within(CALL_SECONDS)
        self._under_way = set[asyncio.Task[None]]()

    async def start(
        self, request: RecommendationRequest, answer: Recommendation, enrolments: tuple[Enrolment, ...]
    ) -> None:
        """Returns at once."""
        if answer.row is None:
            return
        served = answer.slate.ranker if answer.slate is not None else request.placement.ranker
        for enrolment in enrolments:
            if len(self._under_way) >= AT_ONCE:
                SHADOWS.labels("dropped").inc()
                continue
            task = asyncio.create_task(self._ask(request, answer.row, enrolment, _other(enrolment, served)))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def close(self) -> None:
        """Waits for those under way."""
        if self._under_way:
            ranking_seconds = max(ranker.seconds for ranker in self._rankers.values())
            await asyncio.wait(self._under_way, timeout=ranking_seconds + CALL_SECONDS)

    async def _ask(self, request: RecommendationRequest, row: Row, enrolment: Enrolment, group: Group) -> None:
        started = time.perf_counter()
        outcome: dict[str, str | list[int]]
        try:
            ranker = self._rankers[group]
            late = replace(request, deadline=Deadline.after(ranker.seconds))
            ranking = await rank(late, row, ranker, request.limit)
            posts = slate_of(late, group, ranking).posts
            outcome = {"model": ranking.model, "model_version": ranking.version, "posts": posts}
        except UpstreamError as error:
            outcome = {"failed": reason("ranker", error.word)}
        SHADOWS.labels("failed" if "failed" in outcome else "answered").inc()
        await self._record(
            Shadowed.model_validate(
                {
                    "key": request.key,
                    "user_id": request.user_id,
                    "experiment": enrolment.experiment.name,
                    "ranker": group,
                    "took_ms": round((time.perf_counter() - started) * 1000, 3),
                    **outcome,
                }
            )
        )

    async def _record(self, shadowed: Shadowed) -> None:
        body = shadowed.model_dump_json().encode()
        try:
            await self._records.ask("POST", "/shadows", into=bytes, content=body, headers=JSON_BODY)
        except UpstreamError as error:
            SHADOWS.labels("lost").inc()
            log.warning("shadow_lost", reason=reason("features", error.word))


def _other(enrolment: Enrolment, served: Group) -> Group:
    """The ranker that is compared, unless the user has just seen that one."""
    plan = enrolment.experiment.plan
    control, test = (plan.rankers.get(group, group) for group in plan.groups)
    return test if test != served else control
