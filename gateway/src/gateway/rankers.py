"""The two rankers: what one answers, and the slate that an experiment's mode makes of their answers."""

from __future__ import annotations

import asyncio
from collections.abc import Container, Mapping
from dataclasses import dataclass, replace

from contracts.assignment import Group
from contracts.degradation import reason
from contracts.experiments import EXPLORED, Plan
from contracts.exploration import explore
from contracts.headers import REQUEST_ID
from contracts.interleaving import CONTROL, team_draft
from contracts.wire import Ranking

from gateway.request import RecommendationRequest
from gateway.row import Row
from gateway.upstream import ROW_BODY, Upstream, UpstreamError


@dataclass(frozen=True, slots=True)
class RankedSlate:
    """Ranked posts, best first, as they will be shown. team: of the first slot while interleaving."""

    posts: list[int]
    scores: list[float]
    model: str
    version: str
    ranker: Group
    team: Group | None = None
    teams: str | None = None
    propensities: list[float] | None = None

    def only(self, posts: Container[int]) -> RankedSlate:
        """Without the others, in the same order; each post keeps its score, its team and its propensity."""
        kept = [place for place, post in enumerate(self.posts) if post in posts]
        return replace(
            self,
            posts=[self.posts[place] for place in kept],
            scores=[self.scores[place] for place in kept],
            teams=None if self.teams is None else "".join(self.teams[place] for place in kept),
            propensities=None if self.propensities is None else [self.propensities[place] for place in kept],
        )


async def rank(request: RecommendationRequest, row: Row, ranker: Upstream, limit: int, explored: int = 0) -> Ranking:
    """One ranker's own answer, and behind it the posts that are worth exploring. Raises UpstreamError."""
    return await ranker.ask(
        "POST",
        "/rank",
        into=Ranking.model_validate_json,
        params={"limit": limit, "time": int(request.time.timestamp()), "explored": explored},
        content=row.packed,
        deadline=request.deadline,
        headers={REQUEST_ID: request.key, **ROW_BODY},
    )


async def ranked_slate(
    request: RecommendationRequest, row: Row, rankers: Mapping[Group, Upstream]
) -> tuple[RankedSlate | None, tuple[str, ...]]:
    """By the plan's mode, with the reasons for what is missing. None: no ranker answered."""
    plan, ranker = request.plan, request.placement.ranker
    if plan is not None and plan.mode == "interleave":
        return await _interleaved(request, row, plan, rankers)
    exploration = plan.exploration if plan is not None else 0.0
    ranking = await _answer(request, row, rankers[ranker], EXPLORED if exploration else 0)
    if isinstance(ranking, UpstreamError):
        return None, (reason("ranker", ranking.word),)
    return _explored(request, ranking, exploration) if exploration else _of_one(ranker, ranking), ()


async def _answer(
    request: RecommendationRequest, row: Row, ranker: Upstream, explored: int = 0
) -> Ranking | UpstreamError:
    """A ranker's failure is an answer too: there is another ranker, and a fallback."""
    try:
        return await rank(request, row, ranker, request.limit, explored)
    except UpstreamError as error:
        return error


async def _interleaved(
    request: RecommendationRequest, row: Row, plan: Plan, rankers: Mapping[Group, Upstream]
) -> tuple[RankedSlate | None, tuple[str, ...]]:
    """A draft of both lists. Where one ranker failed, the other's list alone, without teams: no vote."""
    of_control, of_test = (plan.rankers.get("control", "control"), plan.rankers.get("test", "test"))
    control, test = await asyncio.gather(
        _answer(request, row, rankers[of_control]),
        _answer(request, row, rankers[of_test]),
    )
    if isinstance(control, UpstreamError):
        if isinstance(test, UpstreamError):
            return None, tuple(dict.fromkeys(reason("ranker", error.word) for error in (control, test)))
        return _of_one(of_test, test, "test"), (reason("ranker", control.word),)
    if isinstance(test, UpstreamError):
        return _of_one(of_control, control, "control"), (reason("ranker", test.word),)
    return _drafted(request, {"control": of_control, "test": of_test}, control, test), ()


def _of_one(ranker: Group, ranking: Ranking, team: Group | None = None) -> RankedSlate:
    return RankedSlate(ranking.posts, ranking.scores, ranking.model, ranking.version, ranker, team)


def _explored(request: RecommendationRequest, ranking: Ranking, share: float) -> RankedSlate:
    places, propensities = explore(len(ranking.posts), request.limit, share, request.key)
    return RankedSlate(
        posts=[ranking.posts[place] for place in places],
        scores=[ranking.scores[place] for place in places],
        model=ranking.model,
        version=ranking.version,
        ranker=request.placement.ranker,
        propensities=propensities,
    )


def _drafted(
    request: RecommendationRequest, rankers: Mapping[Group, Group], control: Ranking, test: Ranking
) -> RankedSlate:
    draft = team_draft(control.posts, test.posts, request.limit, request.key)
    scores = {team: dict(zip(one.posts, one.scores, strict=True)) for team, one in (("c", control), ("t", test))}
    first: Group = "control" if draft.teams[:1] in (CONTROL, "") else "test"
    return RankedSlate(
        posts=draft.posts,
        scores=[scores[team][post] for post, team in zip(draft.posts, draft.teams, strict=True)],
        model=f"{control.model}+{test.model}",
        version=f"{control.version}+{test.version}",
        ranker=rankers[first],
        team=first,
        teams=draft.teams,
    )
