"""Who waits for the one scoring thread, and who is turned away."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

from chassis.deadline import Deadline
from chassis.errors import Busy
from contracts.records import UserRow
from contracts.wire import Ranking, Ruled
from prometheus_client import Counter, Histogram

from ranking.rules import Ruling
from ranking.scorer import BoundScorer

SCORE_SECONDS = Histogram(
    "ranker_score_seconds",
    "Time to rank one user, without waiting.",
    buckets=(0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.05),
)
SHED = Counter("ranker_shed_total", "Requests refused because too many waited or their time was up.")
PACE_WEIGHT = 0.1
"""What the latest ranking weighs in the running mean."""


class ScoringQueue:
    """One scoring thread, and a bound on who waits for it: the event loop never computes."""

    def __init__(self, max_waiting: int) -> None:
        self._max_waiting, self._waiting = max_waiting, 0
        self._pace = 0.0
        """Seconds a ranking takes, as a running mean."""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="score")

    async def rank(
        self,
        bound: BoundScorer,
        row: UserRow,
        now: int,
        limit: int,
        deadline: Deadline,
        explored: int = 0,
        ruling: Ruling | None = None,
    ) -> Ranking:
        """As `BoundScorer.rank`, and as `BoundScorer.rank_ruled` where there are rules.

        Raises Busy when too many wait, or the caller's time is up or would be before its turn.
        """
        if self._waiting >= self._max_waiting:
            raise _shed("too many requests wait")
        if self._waiting * self._pace >= deadline.remaining():  # nobody waiting: tried, however slow the last one was
            raise _shed("the deadline would pass before ranking begins")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._thread, self._rank, bound, row, now, limit, deadline, explored, ruling
            )
        finally:
            self._waiting -= 1

    def _rank(
        self,
        bound: BoundScorer,
        row: UserRow,
        now: int,
        limit: int,
        deadline: Deadline,
        explored: int,
        ruling: Ruling | None,
    ) -> Ranking:
        if deadline.remaining() <= 0:
            raise _shed("the deadline passed before ranking began")
        started = time.perf_counter()
        ruled: Ruled | None = None
        if ruling is None:
            ids, scores = bound.rank(row, now, limit, explored=explored)
        else:
            ids, scores, ruled = bound.rank_ruled(row, now, limit, ruling, explored=explored)
        seconds = time.perf_counter() - started
        SCORE_SECONDS.observe(seconds)
        self._pace += PACE_WEIGHT * (seconds - self._pace)
        manifest = bound.scorer.manifest
        return Ranking(
            model=manifest.name, version=manifest.version, posts=ids.tolist(), scores=scores.tolist(), ruled=ruled
        )

    def close(self) -> None:
        self._thread.shutdown()


def _shed(why: str) -> Busy:
    SHED.inc()
    return Busy(why)
