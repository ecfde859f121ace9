"""The rankers: what one answers, and the slate that an experiment's mode makes of their answers."""

from __future__ import annotations

import asyncio
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field, replace

from contracts.arrangement import Candidate
from contracts.assignment import Group
from contracts.degradation import reason
from contracts.experiments import EXPLORED, Plan
from contracts.exploration import explore
from contracts.headers import REQUEST_ID
from contracts.interleaving import TEST, coin, team_draft
from contracts.wire import Move, Ranking, Ruled

from gateway.request import RecommendationRequest
from gateway.row import Row
from gateway.ruling import Ruling
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
    moves: list[Move] = field(default_factory=list)
    first_view_at: dict[int, int] = field(default_factory=dict)
    """Of posts whose ranker said it: where rules hold."""

    def only(self, posts: Container[int]) -> RankedSlate:
        """Without the others, in the same order; each post keeps its score, its team and its propensity."""
        kept = [place for place, post in enumerate(self.posts) if post in posts]
        return replace(
            self,
            posts=[self.posts[place] for place in kept],
            scores=[self.scores[place] for place in kept],
            teams=None if self.teams is None else "".join(self.teams[place] for place in kept),
            propensities=None if self.propensities is None else [self.propensities[place] for place in kept],
            moves=_after(self.moves, [self.posts[place] for place in kept]),
        )


def _after(moves: Sequence[Move], left: Sequence[int]) -> list[Move]:
    """With the slots of the posts that are left."""
    slots = {post: slot for slot, post in enumerate(left, 1)}
    known = [move for move in moves if move.slot is None or move.post in slots]
    return [move.model_copy(update={"slot": slots.get(move.post)}) for move in known]


async def rank(request: RecommendationRequest, row: Row, ranker: Upstream, limit: int, explored: int = 0) -> Ranking:
    """One ranker's own answer, and behind it the posts that are worth exploring. Raises UpstreamError.

    Where rules hold they travel behind the row, and the answer is a pool to fill the slots from.
    """
    params: dict[str, str | int] = {"limit": limit, "time": int(request.time.timestamp()), "explored": explored}
    if request.liked:
        params["liked"] = request.liked
    content, ruling = row.packed, request.ruling
    if ruling is not None:
        params |= {"rules": len(ruling.rules.packed), "shown": len(ruling.shown)}
        content = b"".join((row.packed, ruling.rules.packed, ruling.shown))
    ranking = await ranker.ask(
        "POST",
        "/rank",
        into=Ranking.model_validate_json,
        params=params,
        content=content,
        deadline=request.deadline,
        headers={REQUEST_ID: request.key, **ROW_BODY},
    )
    if ruling is not None and ranking.ruled is None:
        raise UpstreamError(f"{ranker.name} answered no pool to rules")
    return ranking


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
    return _explored(request, ranking, exploration) if exploration else slate_of(request, ranker, ranking), ()


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
    groups = plan.groups
    of_control, of_test = (plan.rankers.get(group, group) for group in groups)
    control, test = await asyncio.gather(
        _answer(request, row, rankers[of_control]),
        _answer(request, row, rankers[of_test]),
    )
    if isinstance(control, UpstreamError):
        if isinstance(test, UpstreamError):
            return None, tuple(dict.fromkeys(reason("ranker", error.word) for error in (control, test)))
        return slate_of(request, of_test, test, groups[1]), (reason("ranker", control.word),)
    if isinstance(test, UpstreamError):
        return slate_of(request, of_control, control, groups[0]), (reason("ranker", test.word),)
    return _drafted(request, dict(zip(groups, (of_control, of_test), strict=True)), control, test), ()


def slate_of(request: RecommendationRequest, ranker: Group, ranking: Ranking, team: Group | None = None) -> RankedSlate:
    """One ranker's posts, as rules leave them."""
    if request.ruling is None or ranking.ruled is None:
        return RankedSlate(ranking.posts, ranking.scores, ranking.model, ranking.version, ranker, team)
    places, moved = _ruled(request.ruling, ranking, ranking.ruled, request.limit)
    return _at(ranking, places, ranker, team, moves=moved)


def _explored(request: RecommendationRequest, ranking: Ranking, share: float) -> RankedSlate:
    slots = list(range(min(request.limit, len(ranking.posts))))
    behind: Sequence[int] = range(request.limit, len(ranking.posts))
    moved: list[Move] = []
    if request.ruling is not None and ranking.ruled is not None:
        slots, moved = _ruled(request.ruling, ranking, ranking.ruled, request.limit)
        behind = _may_be_explored(request.ruling, ranking, ranking.ruled, slots, request.limit)
    places, propensities = explore(len(slots) + len(behind), len(slots), share, request.key)
    chosen = [[*slots, *behind][place] for place in places]
    shown = {ranking.posts[place] for place in chosen}
    moved = [move for move in moved if move.slot is None or move.post in shown]
    return _at(ranking, chosen, request.placement.ranker, moves=moved, propensities=propensities)


def _ruled(ruling: Ruling, ranking: Ranking, told: Ruled, limit: int) -> tuple[list[int], list[Move]]:
    return ruling.apply(_candidates(ranking, told)[: told.pool], limit, told.own, told.kept_out)


def _may_be_explored(ruling: Ruling, ranking: Ranking, told: Ruled, slots: Sequence[int], limit: int) -> Sequence[int]:
    """Places of posts that may take the last slot by every rule: each of them is as likely as the others."""
    candidates = _candidates(ranking, told)
    slate = [candidates[place] for place in slots]
    return [
        place for place in range(told.pool, len(candidates)) if ruling.may_stand_last(slate, candidates[place], limit)
    ]


def _candidates(ranking: Ranking, told: Ruled) -> list[Candidate]:
    return [Candidate(*each) for each in zip(ranking.posts, told.topics, told.first_view_at, strict=True)]


def _at(
    ranking: Ranking,
    places: Sequence[int],
    ranker: Group,
    team: Group | None = None,
    *,
    moves: list[Move],
    propensities: list[float] | None = None,
) -> RankedSlate:
    """The ranking's posts at these places, one a slot."""
    posts, told = [ranking.posts[place] for place in places], ranking.ruled
    return RankedSlate(
        posts=posts,
        scores=[ranking.scores[place] for place in places],
        model=ranking.model,
        version=ranking.version,
        ranker=ranker,
        team=team,
        propensities=propensities,
        moves=moves,
        first_view_at={} if told is None else dict(zip(posts, (told.first_view_at[p] for p in places), strict=True)),
    )


def _drafted(
    request: RecommendationRequest, rankers: Mapping[Group, Group], control: Ranking, test: Ranking
) -> RankedSlate:
    posts, teams, moved, first_view_at = _draft(request, control, test)
    scores = {team: dict(zip(one.posts, one.scores, strict=True)) for team, one in (("c", control), ("t", test))}
    first = list(rankers)[teams[:1] == TEST]
    return RankedSlate(
        posts=posts,
        scores=[scores[team][post] for post, team in zip(posts, teams, strict=True)],
        model=f"{control.model}+{test.model}",
        version=f"{control.version}+{test.version}",
        ranker=rankers[first],
        team=first,
        teams=teams,
        moves=moved,
        first_view_at=first_view_at,
    )


def _draft(
    request: RecommendationRequest, control: Ranking, test: Ranking
) -> tuple[list[int], str, list[Move], dict[int, int]]:
    """Posts, whose each is, what rules moved, and when posts were first seen.

    Where rules hold the whole pools are drafted, and the slots filled from the draft. A pin stands where it stands
    whoever ranks it: so a coin decides whose it is, where both have it.
    """
    if request.ruling is None or control.ruled is None or test.ruled is None:
        return *team_draft(control.posts, test.posts, request.limit, request.key), [], {}
    pools = [_candidates(one, one.ruled)[: one.ruled.pool] for one in (control, test) if one.ruled is not None]
    known = {candidate.post: candidate for pool in pools for candidate in pool}
    of_control, of_test = ([each.post for each in pool] for pool in pools)
    draft = team_draft(of_control, of_test, len(known), request.key)
    own = team_draft(control.ruled.own, test.ruled.own, request.limit, request.key).posts
    candidates = [known[post] for post in draft.posts]
    kept_out = {**control.ruled.kept_out, **test.ruled.kept_out}
    places, moved = request.ruling.apply(candidates, request.limit, own, kept_out)
    by_coin = set(of_control) & set(of_test) & set(request.ruling.rules.pins.values())
    posts = [draft.posts[place] for place in places]
    teams = [
        coin(request.key, post) if post in by_coin else draft.teams[place]
        for post, place in zip(posts, places, strict=True)
    ]
    return posts, "".join(teams), moved, {post: known[post].first_view_at or 0 for post in posts}
