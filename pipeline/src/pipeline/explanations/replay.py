"""A served ranking, computed again, and whether it is the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache

import numpy as np
from contracts.experiments import EXPLORED, Experiment
from contracts.exploration import explore
from contracts.features import SCHEMA
from contracts.interleaving import CONTROL, TEST, team_draft
from contracts.records import UserRow
from contracts.wire import Exposure, Reason
from ranking.encoder import Matrix
from ranking.explanations import explain
from ranking.scorer import BoundScorer, Scorer

from pipeline.explanations.snapshot import Lag, Memory

WITHIN = 1e-6
"""In log-odds, the same as for the parity of training and serving."""


@dataclass(frozen=True)
class List:
    """posts: ids, best first; scores: one each."""

    posts: list[int]
    scores: list[float]


@dataclass(frozen=True)
class ServingState:
    """Serving's knowledge at a lag: a model over its snapshot, and the user's row."""

    bound: BoundScorer
    row: UserRow
    now: int

    def best(self, limit: int, explored: int = 0) -> List:
        """As the ranker answers."""
        posts, scores = self.bound.rank(self.row, self.now, limit, explored=explored)
        return List([int(post) for post in posts], [float(score) for score in scores])

    def everything(self) -> List:
        """All posts that are not hidden, without the first stage."""
        many = len(self.bound.catalogue)
        posts, scores = self.bound.rank(self.row, self.now, many, kept=many)
        return List([int(post) for post in posts], [float(score) for score in scores])

    def reasons(self, posts: Sequence[int]) -> dict[int, list[Reason]]:
        """What moved each post's score most."""
        return {one.post_id: one.reasons for one in explain(self.bound, self.row, self.now, posts, most=REASONS)}

    def columns(self, posts: Sequence[int]) -> Matrix:
        """What the model sees of the posts, shape (posts, columns); NaN for one that is not in the snapshot."""
        place = self.bound.catalogue.index_of(np.array(posts, np.int64))
        values = self.bound.candidates.matrix(self.row, self.now)[place].astype(np.float32)
        values[place < 0] = np.nan
        return values


REASONS = 3
"""A post's strongest."""
Answer = Callable[[Lag], List]
"""The list that would have been served."""
TEAMS = (CONTROL, TEST)


@dataclass(frozen=True)
class Recomputed:
    """exact: from all that Postgres knows of that moment. found: the lag at which what serving knew gives what was
    served. closest: the lag whose scores come nearest, where none does."""

    exact: List
    found: Lag | None
    closest: Lag
    apart: float
    """Largest difference of a score at `closest`; infinite if it has other posts."""

    @property
    def is_equal(self) -> bool:
        return self.found is not None


def recompute(served: List, memory: Memory, answer: Answer) -> Recomputed:
    """Without lag first, then with more and more of it."""
    exact, closest, least = answer(Lag()), Lag(), np.inf
    for lag in memory.lags():
        apart = difference(served, answer(lag))
        if apart <= WITHIN:
            return Recomputed(exact, lag, lag, apart)
        if apart < least:
            closest, least = lag, apart
    return Recomputed(exact, None, closest, float(least))


def difference(one: List, other: List) -> float:
    """The largest of the scores; infinite where posts or their order differ."""
    if one.posts != other.posts or len(one.scores) != len(other.scores):
        return float(np.inf)
    return float(np.max(np.abs(np.array(one.scores) - np.array(other.scores)), initial=0.0))


class Ranker:
    """A model at one moment, at any lag."""

    def __init__(self, memory: Memory, scorer: Scorer, asked_for: datetime) -> None:
        self._memory, self.scorer, self._now = memory, scorer, int(asked_for.timestamp())
        self._bound = cache(lambda hours: memory.bound(scorer, hours))

    def at(self, lag: Lag) -> ServingState:
        return ServingState(self._bound(lag.hours), self._memory.row(lag.events), self._now)


def answer_of(exposure: Exposure, experiment: Experiment, rankers: Sequence[Ranker]) -> Answer:
    """By the exposure's mode: one ranker's list, or the draft of both; draft and explored slot go by the key.

    Where rules held, which posts stand where is theirs, and told by the exposure's moves: the scores of the posts are
    computed again, each by the ranker that it came from.
    """
    limit = len(exposure.posts)

    def ruled(lag: Lag) -> List:
        lists = [ranker.at(lag).everything() for ranker in rankers]
        scores = {team: dict(zip(one.posts, one.scores, strict=True)) for team, one in zip(TEAMS, lists, strict=False)}
        teams = exposure.teams or CONTROL * limit
        if any(post not in scores[team] for post, team in zip(exposure.posts, teams, strict=True)):
            return List([], [])
        again = [scores[team][post] for post, team in zip(exposure.posts, teams, strict=True)]
        return List(list(exposure.posts), again)

    def drafted(lag: Lag) -> List:
        lists = [ranker.at(lag).best(limit) for ranker in rankers]
        scores = {team: dict(zip(one.posts, one.scores, strict=True)) for team, one in zip(TEAMS, lists, strict=True)}
        draft = team_draft(lists[0].posts, lists[1].posts, limit, exposure.key)
        if draft.teams != exposure.teams:
            return List(draft.posts, [])
        return List(draft.posts, [scores[team][post] for post, team in zip(draft.posts, draft.teams, strict=True)])

    def explored(lag: Lag) -> List:
        ranked = rankers[0].at(lag).best(limit, EXPLORED)
        places, propensities = explore(len(ranked.posts), limit, experiment.plan.exploration, exposure.key)
        if propensities != exposure.propensities:
            return List([], [])
        return List([ranked.posts[place] for place in places], [ranked.scores[place] for place in places])

    if exposure.rules is not None:
        return ruled
    if exposure.teams is not None:
        return drafted
    return explored if exposure.propensities is not None else lambda lag: rankers[0].at(lag).best(limit)


@dataclass(frozen=True, slots=True)
class Moved:
    """A column that serving saw differently from what Postgres says. before: while serving."""

    column: str
    post: int
    before: float
    now: float


def moved(served: ServingState, exact: ServingState, posts: Sequence[int]) -> list[Moved]:
    """One per column, of the post where it differs most."""
    names = served.bound.scorer.manifest.columns
    before, now = served.columns(posts), exact.columns(posts)
    apart = np.abs(np.nan_to_num(before) - np.nan_to_num(now))
    columns: list[Moved] = []
    for place in np.flatnonzero(apart.max(axis=0, initial=0.0) > WITHIN):
        post = int(np.argmax(apart[:, place]))
        columns.append(Moved(names[place], posts[post], float(before[post, place]), float(now[post, place])))
    return columns


def served_list(exposure: Exposure) -> List:
    return List(list(exposure.posts), list(exposure.scores))


def user_columns(known: ServingState) -> dict[str, float]:
    """What the model knows of the user, whatever the post: the columns of the schema in which no posts differ."""
    matrix = known.bound.candidates.matrix(known.row, known.now)
    names, own = known.bound.scorer.manifest.columns, known.bound.scorer.manifest.own.features
    return {
        name: float(column[0])
        for name, column in zip(names, matrix.T, strict=True)
        if (name in SCHEMA or name in own) and (np.all(column == column[0]) or np.isnan(column).all())
    }
