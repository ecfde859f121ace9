"""Training and serving see the same: events replayed through the live path, and the offline features of that moment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from contracts.assignment import GROUPS
from contracts.catalogue import Catalogue
from contracts.records import UserRow
from pipeline.dataset import Feed, History, Requests, Tables, opened
from pipeline.dataset.feed import microseconds
from pipeline.training.fit import FittedModel, fit
from pipeline.training.models import model_of
from pipeline.training.scores import matrices
from ranking.candidates import Candidates

from tests.support.data.small_feed import START, Row, lively, write_tables
from tests.support.platforms.live_platform import live_platform

USERS, POSTS, DAYS, MOMENTS = 60, 40, 20, 35
CUT = START + timedelta(days=10)
CLOCK = ("days_since_view", "days_since_like", "post_age_days")
"""Differences of times in whole seconds, as float32."""


@dataclass
class World:
    folder: Path
    rows: list[Row]
    fitted: dict[str, FittedModel]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Users view and like, some posts again and again; models are trained on the first half."""
    rows = lively(np.random.default_rng(11), USERS, POSTS, days=DAYS)
    rows += [Row(row.seconds + 1_000.0, row.user, row.post, row.action, row.target) for row in rows[::9]]
    rows.sort(key=lambda row: row.seconds)
    folder = write_tables(tmp_path_factory.mktemp("parity"), rows, USERS, POSTS)
    with opened(Tables.of_folder(folder), CUT) as feed:
        return World(folder, rows, {name: fit(model_of(name), feed, CUT) for name in GROUPS})


def test_what_a_ranker_assembles_is_what_training_would_have_seen(
    world: World, postgres_url: str, redis_url: str
) -> None:
    rng = np.random.default_rng(5)
    moments = [START + timedelta(seconds=int(at)) for at in np.sort(rng.integers(3_600, DAYS * 86_400, MOMENTS))]
    compared = 0
    with (
        live_platform(world.folder, postgres_url, redis_url) as live,
        opened(Tables.of_folder(world.folder)) as feed,
    ):
        for moment in moments:
            live.replay(world.rows, moment)
            catalogue = live.catalogue()
            users = [*range(200, 200 + USERS), 9_999]
            rows = {int(user): live.row(int(user)) for user in users}
            for fitted in world.fitted.values():
                _compare(fitted, feed, moment, catalogue, rows)
            compared += len(rows)
    assert compared > 2_000


def _compare(fitted: FittedModel, feed: Feed, moment: datetime, catalogue: Catalogue, rows: dict[int, UserRow]) -> None:
    scorer = fitted.scorer
    vectors = scorer.vectors.rows(catalogue.post_id)
    candidates = Candidates(catalogue, vectors, scorer.manifest, scorer.encoder)
    live = np.vstack([candidates.matrix(row, int(moment.timestamp())) for row in rows.values()])
    history = History.of_model(feed, scorer.manifest)
    users, posts = np.repeat(np.array(list(rows)), len(catalogue)), np.tile(catalogue.post_id, len(rows))
    history.ask(Requests(users, posts, np.full(len(users), microseconds(moment))))
    offline = np.vstack([matrix for _, matrix in matrices(history, scorer)])
    names = scorer.manifest.columns
    for place, name in enumerate(names):
        within = 1e-6 if name in CLOCK or name in scorer.encoder.columns else 0.0
        np.testing.assert_allclose(
            live[:, place], offline[:, place], rtol=within, atol=within, err_msg=f"{name} at {moment}"
        )


def test_what_moves_a_trained_models_score_adds_up_to_it(world: World) -> None:
    """Of both models, with their own columns and whatever log-odds their trees start from."""
    with opened(Tables.of_folder(world.folder)) as feed:
        for fitted in world.fitted.values():
            scorer = fitted.scorer
            history = History.of_model(feed, scorer.manifest)
            users, posts = np.repeat(np.arange(200, 200 + USERS), 5), np.tile(np.arange(1, 6), USERS)
            history.ask(Requests(users, posts, np.full(len(users), microseconds(CUT))))
            matrix = np.vstack([part for _, part in matrices(history, scorer)])
            trees, base = scorer.contributions(matrix).sum(axis=1), scorer.baseline.log_odds(matrix)
            np.testing.assert_allclose(trees + base, scorer.scores(np.asfortranarray(matrix)), atol=1e-6)
            assert np.ptp(trees) > 0
