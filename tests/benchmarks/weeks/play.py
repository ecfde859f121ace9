"""Days in which users see what a model recommends, and nights in which it learns from what they liked."""

from __future__ import annotations

import heapq
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from contracts.catalogue import Catalogue, tick_of
from contracts.experiments import EXPLORED
from contracts.exploration import explore
from contracts.features import POST_SMOOTHING, rate
from contracts.records import UserRow
from pipeline.dataset.feed import opened
from pipeline.tables.folder import Tables
from pipeline.traffic.preferences import Minds, hit_chance
from pipeline.traffic.schedule import POSTS, schedule
from pipeline.training.fit import fit
from pipeline.training.models import model_of
from pipeline.world.feed import GAP_SECONDS
from pipeline.world.simulation import FEED, FEED_FILE, POSTS_FILE, USERS_FILE
from pipeline.world.spec import DAYS, FIRST_POST
from pipeline.world.truth import Truth
from ranking.scorer import BoundScorer, Scorer
from ranking.vectors import PostVectors

from tests.benchmarks.weeks.records import Records

JUDGED = 10
"""One request in so many is judged beside the most popular and the best posts."""


@dataclass(frozen=True)
class Weeks:
    """share: of answers whose last slot explores; days: how many are played, each before a night's training."""

    model: str
    share: float
    days: int
    seed: int


@dataclass(frozen=True, slots=True)
class Answer:
    """chance: of at least one like, by the world's truth. ceiling: of the most popular and of the best posts."""

    day: int
    user: int
    posts: list[int]
    chance: float
    ceiling: tuple[float, float] | None


class World:
    """A simulated world, cut some days before its end: what comes after is played."""

    def __init__(self, folder: Path, days: int) -> None:
        self.folder, self.truth = folder, Truth.load(folder)
        self.begin = self.truth.start + timedelta(days=DAYS - days)
        self.births = self.truth.start.timestamp() + self.truth.posts.birth * 86_400
        self._users, self._posts, feed = (pq.read_table(folder / name) for name in (USERS_FILE, POSTS_FILE, FEED_FILE))
        cut = pa.scalar(self.begin.replace(tzinfo=None), pa.timestamp("s"))
        self._feed = feed.filter(pc.less(feed["timestamp"], cut)).select(FEED.names).cast(FEED)
        texts = zip(self._posts["text"].to_pylist(), self._posts["topic"].to_pylist(), strict=True)
        self.texts = dict(zip(self._posts["id"].to_pylist(), texts, strict=True))

    def age_days(self, posts: npt.NDArray[np.int64], day: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Of each post in the evening of a played day. Shape (n,) each."""
        evening = self.begin.timestamp() + (day + 1) * 86_400
        return np.asarray((evening - self.births[posts - FIRST_POST]) / 86_400)

    def tables(self, out: Path, now: datetime, played: pa.Table) -> Tables:
        """As they stand at `now`: the posts that exist, the feed before the cut, and what was played."""
        pq.write_table(self._users, out / USERS_FILE)
        pq.write_table(self._posts.filter(pa.array(self.births <= now.timestamp())), out / POSTS_FILE)
        pq.write_table(pa.concat_tables([self._feed, played]), out / FEED_FILE)
        return Tables.of_folder(out)


def play(world: World, weeks: Weeks, work: Path) -> Iterator[list[Answer]]:
    """The answers of each day. work: a folder for each night's tables."""
    minds = Minds(world.truth, np.random.default_rng([weeks.seed, 1]))
    days = _Days(world, weeks, minds)
    with opened(Tables.of_folder(world.folder), world.begin) as feed:
        records = Records(feed, [int(user) for user in minds.users], world.begin, world.births)
    for day in range(weeks.days):
        now = world.begin + timedelta(days=day)
        with opened(world.tables(work, now, records.played())) as feed:
            scorer = fit(model_of(weeks.model), feed, now, weeks.seed).scorer
        yield days.play(day, scorer, records)


def played(folder: Path, weeks: Weeks) -> list[Answer]:
    """All answers, of the world in `folder`. Says each day on standard error."""
    answers: list[Answer] = []
    with TemporaryDirectory() as work:
        for day in play(World(folder, weeks.days), weeks, Path(work)):
            answers += day
            print(f"exploring {weeks.share:.0%}: day {day[0].day + 1} of {weeks.days}", file=sys.stderr, flush=True)
    return answers


class _Ranker:
    """A model in service: bound to the catalogue anew on every hour."""

    def __init__(self, world: World, scorer: Scorer, records: Records) -> None:
        self._world, self._scorer, self._records = world, scorer, records
        self._vectors, self._tick = scorer.vectors, -1

    def at(self, second: int) -> BoundScorer:
        if tick_of(second) != self._tick:
            self._tick = tick_of(second)
            catalogue = self._records.catalogue(self._tick)
            self._vectors = self._with_new(self._vectors, self._vectors.missing(catalogue.post_id))
            self._bound = self._scorer.bind(catalogue, self._vectors)
        return self._bound

    def _with_new(self, known: PostVectors, missing: list[int]) -> PostVectors:
        if not missing:
            return known
        texts, topics = zip(*(self._world.texts[post] for post in missing), strict=True)
        return known.with_posts(missing, self._scorer.encoder.vectors(np.array(missing), list(texts), list(topics)))


class _Days:
    """Users come as `lenta simulate-traffic` lets them come: the same times whatever they are shown."""

    def __init__(self, world: World, weeks: Weeks, minds: Minds) -> None:
        self._world, self._weeks, self._minds = world, weeks, minds
        self._rng = np.random.default_rng([weeks.seed, 2])
        spec, users = world.truth.spec, [int(user) for user in minds.users]
        requests = spec.sessions_mean * spec.session_views_mean / DAYS * weeks.days / POSTS
        coming = schedule(users, world.begin, weeks.days, requests, spec, np.random.default_rng([weeks.seed, 3]))
        self._asks = [
            (int(session.at.timestamp()), user, session.requests, 0)
            for user, sessions in coming.items()
            for session in sessions
        ]
        heapq.heapify(self._asks)
        self._numbers = count()

    def play(self, day: int, scorer: Scorer, records: Records) -> list[Answer]:
        ranker, answers = _Ranker(self._world, scorer, records), []
        midnight = (self._world.begin + timedelta(days=day + 1)).timestamp()
        while self._asks and self._asks[0][0] < midnight:
            at, user, left, place = heapq.heappop(self._asks)
            answers.append(self._answer(day, ranker.at(at), records, at, user, place))
            if left > 1:
                gap = int(self._rng.integers(GAP_SECONDS[0], GAP_SECONDS[1] + 1)) * POSTS
                heapq.heappush(self._asks, (at + gap, user, left - 1, place + POSTS))
        return answers

    def _answer(self, day: int, ranker: BoundScorer, records: Records, at: int, user: int, place: int) -> Answer:
        number, share, row = next(self._numbers), self._weeks.share, records.row(user)
        ranked, _ = ranker.rank(row, at, POSTS, explored=EXPLORED if share else 0)
        posts = [
            int(ranked[slot]) for slot in explore(len(ranked), POSTS, share, f"{self._weeks.seed}-{number}").places
        ]
        moment = datetime.fromtimestamp(at, UTC)

        def chance(of: Sequence[int]) -> float:
            return hit_chance(self._minds.chances(user, of, moment, place))

        ceiling = None
        if number % JUDGED == 0:
            popular, best = self._most_popular_and_best(ranker.catalogue, row, user, moment)
            ceiling = chance(popular), chance(best)
        answer = Answer(day, user, posts, chance(posts), ceiling)
        records.record(user, posts, self._minds.views(user, posts, moment, place), at)
        return answer

    def _most_popular_and_best(
        self, catalogue: Catalogue, row: UserRow, user: int, moment: datetime
    ) -> tuple[list[int], list[int]]:
        """Of the posts that the user has not liked."""
        allowed = ~np.isin(catalogue.post_id, row.hidden)
        overall = (catalogue.total_likes + 1) / (catalogue.total_views + 10)
        likes, views = catalogue.post_likes.astype(np.float64), catalogue.post_views.astype(np.float64)
        best = self._world.truth.log_odds(np.array([user]), catalogue.post_id, moment)
        return (
            _top(catalogue, allowed, rate(likes, views, overall, POST_SMOOTHING)),
            _top(catalogue, allowed, best),
        )


def _top(catalogue: Catalogue, allowed: npt.NDArray[np.bool_], scores: npt.NDArray[np.float64]) -> list[int]:
    order = np.argsort(-np.where(allowed, scores, -np.inf), kind="stable")[:POSTS]
    return [int(post) for post in catalogue.post_id[order]]
