"""What the other ranker would have answered: asked when the answer has gone, and told to feature-service."""

from __future__ import annotations

import asyncio
import time

import structlog
from chassis.deadline import Deadline
from contracts.assignment import Group
from contracts.wire import Shadowed
from prometheus_client import Counter
from pydantic import ValidationError

from gateway.rankers import Question, Rankers
from gateway.recommend import Answer, Ask
from gateway.row import Row
from gateway.running import Enrolled
from gateway.upstream import Down, Refused, Upstream, in_a_word

AT_ONCE = 8
"""A shadow that comes while so many are asked is dropped: users' rankings come first."""
CALL_SECONDS = 1.0
JSON = {"Content-Type": "application/json"}

SHADOWS = Counter("gateway_shadows_total", "Rankings that nobody saw: answered, failed, dropped, lost.", ["outcome"])
log = structlog.get_logger()


class Shadows:
    def __init__(self, rankers: Rankers, records: Upstream) -> None:
        self._rankers, self._records = rankers, records
        self._under_way = set[asyncio.Task[None]]()

    async def start(self, ask: Ask, answer: Answer, shadows: tuple[Enrolled, ...]) -> None:
        """Returns at once."""
        if answer.row is None:
            return
        served = answer.slate.ranker if answer.slate is not None else ask.ranker
        for enrolled in shadows:
            if len(self._under_way) >= AT_ONCE:
                SHADOWS.labels("dropped").inc()
                continue
            task = asyncio.create_task(self._ask(ask, answer.row, enrolled, _other(enrolled, served)))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def close(self) -> None:
        """Lets those under way come to their end."""
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=self._rankers.seconds + CALL_SECONDS)

    async def _ask(self, ask: Ask, row: Row, enrolled: Enrolled, ranker: Group) -> None:
        started = time.perf_counter()
        told = {"key": ask.key, "user_id": ask.user_id, "experiment": enrolled.experiment.name, "ranker": ranker}
        try:
            question = Question(row.packed, ask.limit, ask.time, ask.key, Deadline.after(self._rankers.seconds))
            ranking = await self._rankers.rank(question, ranker, ask.limit)
            found = {"model": ranking.model, "model_version": ranking.version, "posts": ranking.posts}
        except (Down, Refused, ValidationError) as error:
            found = {"failed": in_a_word("ranker", error)}
        took_ms = round((time.perf_counter() - started) * 1000, 3)
        SHADOWS.labels("failed" if "failed" in found else "answered").inc()
        await self._tell(Shadowed.model_validate({**told, **found, "took_ms": took_ms}))

    async def _tell(self, shadowed: Shadowed) -> None:
        body = shadowed.model_dump_json().encode()
        deadline = Deadline.after(CALL_SECONDS)
        try:
            await self._records.call(
                "POST", "/shadows", content=body, deadline=deadline, at_most=CALL_SECONDS, headers=JSON
            )
        except (Down, Refused) as error:
            SHADOWS.labels("lost").inc()
            log.warning("shadow_lost", reason=in_a_word("features", error))


def _other(enrolled: Enrolled, served: Group) -> Group:
    """The plan's test ranker, unless the user has just seen that one."""
    control, test = (enrolled.experiment.plan.rankers.get(group, group) for group in ("control", "test"))
    return test if test != served else control
