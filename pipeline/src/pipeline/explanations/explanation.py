"""Everything that is known of an answer: for whom, by which model, from what, and whether it can be reproduced."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from chassis.progress import OnProgress
from contracts.experiments import Experiment
from contracts.wire import Exposure, Reason
from ranking.artefact import ModelStore
from ranking.scorer import Scorer

from pipeline.dataset import export, opened
from pipeline.dataset.feed import Feed, microseconds
from pipeline.dataset.history import History, Requests
from pipeline.explanations.assignment import ReplayedAssignment, assigned_again
from pipeline.explanations.replay import (
    TEAMS,
    WITHIN,
    List,
    Moved,
    Ranker,
    Recomputed,
    answer_of,
    moved,
    recompute,
    served_list,
    user_columns,
)
from pipeline.explanations.snapshot import Lag, Memory
from pipeline.training.scores import scores_of
from pipeline.training.store import scorer_of


@dataclass(frozen=True)
class Place:
    """A served post. again: the score now; rank: among all posts that were not hidden, from 1, without the first stage;
    None for a post that is not among them."""

    post: int
    score: float
    again: float | None
    rank: int | None
    team: str | None
    """`c` or `t`, whose post it is, of an interleaved list."""


@dataclass(frozen=True)
class ReplayedRanking:
    """recomputed: at all lags that were tried. offline: the largest difference between the exact scores and
    those of `lenta score`, which counts in another way; None where the posts were ranked for another moment."""

    recomputed: Recomputed
    places: list[Place]
    allowed: int
    """Posts that the user had not liked."""
    user: dict[str, float]
    moved: list[Moved]
    """What serving saw differently from what Postgres says of the same moment."""
    offline: float | None
    reasons: dict[int, list[Reason]]
    """Of each served post: what moved its score most (SHAP values, in log-odds)."""

    @property
    def is_equal(self) -> bool:
        return self.recomputed.is_equal

    @property
    def words(self) -> str:
        lag = self.recomputed.found
        if lag is None:
            return f"not equal: {self._why}"
        if lag == Lag():
            return f"equal: the same posts, scores within {WITHIN:g}"
        return f"equal, with what serving knew: {said(lag)}"

    @property
    def _why(self) -> str:
        if np.isinf(self.recomputed.apart):
            return (
                "other posts come out. Since then posts were published, the user's profile was changed, or events came "
                "in late that had happened before"
            )
        return (
            f"the same posts, but a score is {self.recomputed.apart:.2g} apart, at best "
            f"({said(self.recomputed.closest) or 'without any lag'}): events came in late that had happened before"
        )


@dataclass(frozen=True)
class ExposureExplanation:
    exposure: Exposure
    assignment: ReplayedAssignment
    ranking: ReplayedRanking | None
    nothing: str = ""
    """Why there is no ranking to compute again."""


def said(lag: Lag) -> str:
    """Empty for none."""
    parts = []
    if lag.hours:
        parts.append(f"a snapshot {lag.hours} h older than the last full hour")
    if lag.events:
        events = f"last {lag.events} events" if lag.events > 1 else "last event"
        parts.append(f"the user's {events} not yet counted")
    return " and ".join(parts)


def explained(
    exposure: Exposure, experiment: Experiment, postgres_url: str, model_uri: str, on_progress: OnProgress
) -> ExposureExplanation:
    """Raises LentaError when Postgres or a model cannot be read."""
    assignment = assigned_again(exposure, experiment)
    if not exposure.model_version:
        why = f"degraded ({exposure.degraded}): {exposure.model} gave the posts, and no model ranked them"
        return ExposureExplanation(exposure, assignment, None, why)
    with TemporaryDirectory(prefix="lenta-explain-") as folder:
        tables = export(postgres_url, Path(folder), exposure.served_at, on_progress)
        with opened(tables, exposure.served_at) as feed:
            return ExposureExplanation(exposure, assignment, _ranked(exposure, experiment, feed, ModelStore(model_uri)))


def _ranked(exposure: Exposure, experiment: Experiment, feed: Feed, store: ModelStore) -> ReplayedRanking:
    memory = Memory(feed, exposure.user_id, exposure.served_at)
    names, versions = exposure.model.split("+"), exposure.model_version.split("+")
    with ExitStack() as stack:
        scorers = [stack.enter_context(scorer_of(store, *model)) for model in zip(names, versions, strict=True)]
        rankers = [Ranker(memory, scorer, exposure.asked_for) for scorer in scorers]
        recomputed = recompute(served_list(exposure), memory, answer_of(exposure, experiment, rankers))
        by_team = [(ranker, _of_team(exposure, letter)) for ranker, letter in zip(rankers, TEAMS, strict=False)]
        exact = [ranker.at(Lag()) for ranker in rankers]
        everything = [known.everything() for known in exact]
        lag = recomputed.found or recomputed.closest
        return ReplayedRanking(
            recomputed=recomputed,
            places=_places(exposure, everything),
            allowed=len(everything[0].posts),
            user=user_columns(exact[0]),
            moved=[line for ranker, posts in by_team for line in moved(ranker.at(lag), ranker.at(Lag()), posts)],
            offline=_offline(exposure, feed, list(zip(scorers, everything, strict=True))),
            reasons={
                post: reasons for ranker, posts in by_team for post, reasons in ranker.at(lag).reasons(posts).items()
            },
        )


def _of_team(exposure: Exposure, letter: str) -> list[int]:
    """The posts that a ranker chose: all of them, where there is only one ranker."""
    if exposure.teams is None:
        return list(exposure.posts)
    return [post for post, team in zip(exposure.posts, exposure.teams, strict=True) if team == letter]


def _places(exposure: Exposure, everything: Sequence[List]) -> list[Place]:
    teams = exposure.teams or TEAMS[0] * len(exposure.posts)
    places: list[Place] = []
    for post, score, team in zip(exposure.posts, exposure.scores, teams, strict=True):
        of = everything[TEAMS.index(team)]
        rank = of.posts.index(post) if post in of.posts else None
        again = None if rank is None else of.scores[rank]
        places.append(Place(post, score, again, None if rank is None else rank + 1, exposure.teams and team))
    return places


def _offline(exposure: Exposure, feed: Feed, ranked: Sequence[tuple[Scorer, List]]) -> float | None:
    """None where the posts were ranked for a moment other than the answer's."""
    if abs(exposure.asked_for - exposure.served_at) >= timedelta(seconds=1):
        return None
    apart = 0.0
    for scorer, everything in ranked:
        posts = np.array(everything.posts[: len(exposure.posts)], np.int64)
        history = History.of_model(feed, scorer.manifest)
        at = np.full(len(posts), microseconds(exposure.asked_for), np.int64)
        history.ask(Requests(np.full(len(posts), exposure.user_id, np.int64), posts, at))
        differences = np.abs(scores_of(history, scorer) - np.array(everything.scores[: len(posts)]))
        apart = max(apart, float(differences.max(initial=0.0)))
    return apart
