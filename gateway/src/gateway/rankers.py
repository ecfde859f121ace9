"""The two rankers: what one answers, and the slate that an experiment's mode makes of their answers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from chassis.deadline import Deadline
from contracts.assignment import Group
from contracts.experiments import EXPLORED, Plan
from contracts.exploration import explore
from contracts.headers import REQUEST_ID
from contracts.interleaving import CONTROL, team_draft
from contracts.wire import Ranking
from prometheus_client import Gauge
from pydantic import ValidationError

from gateway.upstream import Down, Refused, Upstream, in_a_word

BUDGET = Gauge("gateway_budget_seconds", "The most that a call to another service may take.", ["of"])


@dataclass(frozen=True, slots=True)
class Question:
    """What a ranker is asked. packed: the user's row; key: of the request."""

    packed: bytes
    limit: int
    time: datetime
    key: str
    deadline: Deadline


@dataclass(frozen=True, slots=True)
class Slate:
    """Ranked posts, best first, as they will be shown. team: of the first slot while interleaving."""

    posts: list[int]
    scores: list[float]
    model: str
    version: str
    ranker: Group
    team: Group | None = None
    teams: str | None = None
    propensities: list[float] | None = None


class Rankers:
    def __init__(self, upstreams: Mapping[Group, Upstream], seconds: float) -> None:
        """seconds: of the deadline that ranking may take."""
        self._upstreams, self.seconds = upstreams, seconds
        BUDGET.labels("ranker").set(seconds)

    async def slate(self, ask: Question, ranker: Group, plan: Plan | None, degraded: list[str]) -> Slate | None:
        """By the plan's mode; the reason of what went wrong is added to `degraded`. None: no ranker answered."""
        if plan is not None and plan.mode == "interleave":
            return await self._interleaved(ask, plan, degraded)
        exploration = plan.exploration if plan is not None else 0.0
        ranking = await self._ranking(ask, ranker, ask.limit + EXPLORED if exploration else ask.limit, degraded)
        if ranking is None:
            return None
        return _explored(ask, ranker, ranking, exploration) if exploration else _of_one(ranker, ranking)

    async def rank(self, ask: Question, ranker: Group, limit: int) -> Ranking:
        """One ranker's own answer. Raises Down, Refused, or ValidationError for what is no ranking."""
        reply = await self._upstreams[ranker].call(
            "POST",
            "/rank",
            params={"limit": limit, "time": int(ask.time.timestamp())},
            content=ask.packed,
            deadline=ask.deadline,
            at_most=self.seconds,
            headers={REQUEST_ID: ask.key},
        )
        return Ranking.model_validate_json(reply.content)

    async def _ranking(self, ask: Question, ranker: Group, limit: int, degraded: list[str]) -> Ranking | None:
        try:
            return await self.rank(ask, ranker, limit)
        except (Down, Refused, ValidationError) as error:
            if (word := in_a_word("ranker", error)) not in degraded:
                degraded.append(word)
            return None

    async def _interleaved(self, ask: Question, plan: Plan, degraded: list[str]) -> Slate | None:
        """A draft of both lists. Where one ranker failed, the other's list alone, without teams: no vote."""
        rankers: list[tuple[Group, Group]] = [(group, plan.rankers.get(group, group)) for group in ("control", "test")]
        control, test = await asyncio.gather(
            *(self._ranking(ask, ranker, ask.limit, degraded) for _, ranker in rankers)
        )
        for (group, ranker), mine, other in zip(rankers, (control, test), (test, control), strict=True):
            if mine is not None and other is None:
                return _of_one(ranker, mine, team=group)
        if control is None or test is None:
            return None
        draft = team_draft(control.posts, test.posts, ask.limit, ask.key)
        scores = {team: dict(zip(mine.posts, mine.scores, strict=True)) for team, mine in (("c", control), ("t", test))}
        first, ranker = rankers[0] if draft.teams[:1] in (CONTROL, "") else rankers[1]
        return Slate(
            posts=draft.posts,
            scores=[scores[team][post] for post, team in zip(draft.posts, draft.teams, strict=True)],
            model=f"{control.model}+{test.model}",
            version=f"{control.version}+{test.version}",
            ranker=ranker,
            team=first,
            teams=draft.teams,
        )


def _of_one(ranker: Group, ranking: Ranking, team: Group | None = None) -> Slate:
    return Slate(ranking.posts, ranking.scores, ranking.model, ranking.version, ranker, team)


def _explored(ask: Question, ranker: Group, ranking: Ranking, share: float) -> Slate:
    places, propensities = explore(len(ranking.posts), ask.limit, share, ask.key)
    return Slate(
        posts=[ranking.posts[place] for place in places],
        scores=[ranking.scores[place] for place in places],
        model=ranking.model,
        version=ranking.version,
        ranker=ranker,
        propensities=propensities,
    )
