"""The scoring queue: bounded, and no work for callers whose time is up."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from chassis.deadline import Deadline
from chassis.errors import Unavailable
from contracts.records import UserRow
from ranking.candidates import Candidates
from ranking.queue import ScoringQueue
from ranking.retrieval import KEPT
from ranking.scorer import BoundScorer, Scorer, Scores

from tests.support.data.toy_model import NOW, LengthEncoder, toy_artefact, toy_catalogue, toy_row

CATALOGUE = toy_catalogue(80)
ROW = UserRow.unpack(toy_row(1, CATALOGUE))


class HeldScorer(BoundScorer):
    """Ranks when it is let, and then takes `seconds`."""

    def __init__(self, scorer: Scorer, candidates: Candidates, seconds: float = 0.0) -> None:
        super().__init__(scorer, candidates)
        self.let, self.seconds, self.ranked = threading.Event(), seconds, 0

    def rank(
        self, row: UserRow, now: int, limit: int, kept: int = KEPT, explored: int = 0
    ) -> tuple[npt.NDArray[np.int64], Scores]:
        self.let.wait(10)
        time.sleep(self.seconds)
        self.ranked += 1
        return super().rank(row, now, limit, kept, explored)


@pytest.fixture
def held(tmp_path: Path) -> HeldScorer:
    toy_artefact(tmp_path, CATALOGUE)
    scorer = Scorer.open(tmp_path, LengthEncoder.load)
    return HeldScorer(scorer, scorer.bind(CATALOGUE).candidates)


def test_more_than_may_wait_are_shed_at_once_and_the_others_are_ranked(held: HeldScorer) -> None:
    async def ask() -> list[bool]:
        queue = ScoringQueue(max_waiting=3)
        asked = [asyncio.create_task(queue.rank(held, ROW, NOW, 5, Deadline.after(10))) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(Unavailable, match="too many"):
            await queue.rank(held, ROW, NOW, 5, Deadline.after(10))
        held.let.set()
        answers = [len((await task).posts) == 5 for task in asked]
        answers.append(len((await queue.rank(held, ROW, NOW, 5, Deadline.after(10))).posts) == 5)
        queue.close()
        return answers

    assert asyncio.run(ask()) == [True] * 4


def test_whoever_waited_past_his_deadline_is_not_worked_for(held: HeldScorer) -> None:
    async def ask() -> None:
        queue = ScoringQueue(max_waiting=9)
        first = asyncio.create_task(queue.rank(held, ROW, NOW, 5, Deadline.after(10)))
        second = asyncio.create_task(queue.rank(held, ROW, NOW, 5, Deadline.after(0.05)))
        await asyncio.sleep(0.1)
        held.let.set()
        await first
        with pytest.raises(Unavailable, match="deadline passed"):
            await second
        queue.close()

    asyncio.run(ask())
    assert held.ranked == 1


def test_whoever_would_wait_past_his_deadline_is_told_at_once_and_an_idle_ranker_always_tries(held: HeldScorer) -> None:
    held.let.set()
    held.seconds = 0.5

    async def ask() -> None:
        queue = ScoringQueue(max_waiting=9)
        for _ in range(3):  # it learns that a ranking takes long
            await queue.rank(held, ROW, NOW, 5, Deadline.after(10))
        first = asyncio.create_task(queue.rank(held, ROW, NOW, 5, Deadline.after(0.12)))
        await asyncio.sleep(0)
        with pytest.raises(Unavailable, match="would pass"):
            await queue.rank(held, ROW, NOW, 5, Deadline.after(0.12))
        assert len((await first).posts) == 5
        queue.close()

    asyncio.run(ask())
