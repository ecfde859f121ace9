"""How many of the full ranking's best five posts the first stage keeps, at the platform's size of 7,023 posts.

Trains both models on a simulated world: some ten minutes. On demand: `pytest tests/benchmarks/bench_first_stage.py -s`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest
from contracts.assignment import GROUPS
from contracts.catalogue import Catalogue
from contracts.records import UserRow
from pipeline.dataset.feed import Feed, opened
from pipeline.dataset.snapshots import catalogue_at, rows_at
from pipeline.evaluation.ladder import WINDOW
from pipeline.tables.folder import Tables
from pipeline.training.fit import fit
from pipeline.training.models import model_of
from pipeline.world.simulation import simulate
from pipeline.world.spec import spec_of
from ranking.scorer import BoundScorer

WORLD, SEED, USERS = "reference", 8, 2_000
END = date(2026, 11, 24)
NOW = datetime(END.year, END.month, END.day, tzinfo=UTC)
CUT = NOW - WINDOW


@dataclass(frozen=True)
class Platform:
    feed: Feed
    catalogue: Catalogue
    rows: list[UserRow]


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    folder: Path = tmp_path_factory.mktemp("worlds") / "world"
    simulate(spec_of(WORLD), SEED, END, folder, lambda done, total: None)
    with opened(Tables.of_folder(folder), CUT) as feed:
        people = feed.people.ids
        users = np.random.default_rng(SEED).choice(people, min(USERS, len(people)), replace=False)
        rows = [UserRow.unpack(row) for row in rows_at(feed, users.tolist(), CUT)]
        yield Platform(feed, catalogue_at(feed, CUT), rows)


def share_kept(bound: BoundScorer, rows: list[UserRow], now: int) -> float:
    """Of the posts that ranking the whole catalogue puts first for each user, those that both stages give too."""
    everything, kept, asked = len(bound.catalogue), 0, 0
    for row in rows:
        full = bound.rank(row, now, 5, kept=everything)[0]
        kept += len(np.intersect1d(full, bound.rank(row, now, 5)[0]))
        asked += len(full)
    return kept / asked


@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("name", GROUPS)
def test_the_first_stage_keeps_99_percent_of_the_best_five(platform: Platform, name: str) -> None:
    bound = fit(model_of(name), platform.feed, NOW).scorer.bind(platform.catalogue)
    kept = share_kept(bound, platform.rows, int(CUT.timestamp()))
    print(f"{name}: {kept:.4f} of the best five of {len(platform.rows):,} users, {len(bound.catalogue):,} posts")
    assert kept >= 0.99
