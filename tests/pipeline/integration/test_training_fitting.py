"""Both models, trained on a small platform: right in what they see, the same once loaded, finite for any input."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from contracts.assignment import GROUPS
from contracts.records import UserRow
from pipeline.dataset import Feed, History, Requests, Tables, opened
from pipeline.dataset.feed import MICROSECONDS, microseconds
from pipeline.dataset.samples import viewed_in
from pipeline.dataset.snapshots import catalogue_at, rows_at
from pipeline.errors import LentaError
from pipeline.evaluation.ladder import baseline_scores, ladder, model_scores
from pipeline.training.fit import FittedModel, fit
from pipeline.training.models import loader, model_of
from pipeline.training.scores import post_vectors, scores_of
from ranking.artefact import MANIFEST
from ranking.golden import replay
from ranking.scorer import Scorer

from tests.support.data.small_feed import START, Row, lively, write_tables

NOW = datetime(2026, 4, 1, tzinfo=UTC)
CUT = START + timedelta(days=16)
USERS, POSTS = 60, 40


@dataclass
class Platform:
    folder: Path
    feed: Feed
    fitted: dict[str, FittedModel]


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """Sixteen days are learned from; four more are withheld."""
    rows = lively(np.random.default_rng(7), USERS, POSTS)
    folder = write_tables(tmp_path_factory.mktemp("platform"), rows, USERS, POSTS)
    with opened(Tables.of_folder(folder), CUT) as feed:
        yield Platform(folder, feed, {name: fit(model_of(name), feed, NOW) for name in GROUPS})


@pytest.mark.parametrize("name", GROUPS)
def test_a_model_beats_popularity_where_users_differ(platform: Platform, name: str) -> None:
    with opened(Tables.of_folder(platform.folder)) as whole:
        viewed = viewed_in(whole, CUT, CUT + timedelta(days=15))
    scores = baseline_scores(platform.feed, viewed, CUT, np.random.default_rng(0))
    scores[name] = model_scores(platform.feed, viewed, CUT, platform.fitted[name].scorer)
    result = ladder(viewed, scores)
    assert result.hits[name].mean() > result.hits["most popular"].mean()


@pytest.mark.parametrize("name", GROUPS)
def test_a_saved_model_replays_its_golden_requests(platform: Platform, name: str, tmp_path: Path) -> None:
    fitted = platform.fitted[name]
    fitted.save(tmp_path)
    (tmp_path / MANIFEST).write_text(fitted.manifest.model_dump_json())
    opened_again = Scorer.open(tmp_path, loader(name))
    replay(opened_again, tmp_path)
    assert len(fitted.manifest.golden) > 1


@pytest.mark.parametrize("name", GROUPS)
def test_offline_and_serving_score_a_user_alike(platform: Platform, name: str) -> None:
    scorer, feed = platform.fitted[name].scorer, platform.feed
    catalogue = catalogue_at(feed, CUT)
    users = [200, 201, 207, 233, 12_345]
    for user, row in zip(users, rows_at(feed, users, CUT), strict=True):
        live = scorer.bind(catalogue).score_all(UserRow.unpack(row), int(CUT.timestamp()))
        history = History.of_model(feed, scorer.manifest)
        posts = catalogue.post_id
        history.ask(Requests(np.full(len(posts), user), posts, np.full(len(posts), microseconds(CUT))))
        np.testing.assert_allclose(scores_of(history, scorer), live, atol=1e-6)


@pytest.mark.parametrize("name", GROUPS)
def test_unknown_users_and_posts_get_finite_scores(platform: Platform, name: str) -> None:
    scorer = platform.fitted[name].scorer
    history = History.of_model(platform.feed, scorer.manifest)
    history.ask(Requests(np.array([200, 999, 999]), np.array([777, 777, 1]), np.full(3, microseconds(CUT))))
    scores = scores_of(history, scorer)
    assert scores.shape == (3,)
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("name", GROUPS)
def test_posts_born_after_training_are_told_apart_by_their_text(platform: Platform, name: str, tmp_path: Path) -> None:
    """Nobody has seen posts 41 to 44; even users prefer the texts of even ones."""
    later = write_tables(tmp_path, lively(np.random.default_rng(7), USERS, POSTS, days=14), USERS, POSTS + 4)
    scorer = platform.fitted[name].scorer
    users, posts = (grid.ravel() for grid in np.meshgrid(np.arange(200, 260), np.arange(41, 45)))
    with opened(Tables.of_folder(later)) as feed:
        history = History.of_model(feed, scorer.manifest)
        history.ask(Requests(users, posts, np.full(len(users), microseconds(CUT))))
        scores = scores_of(history, scorer)
        assert post_vectors(history, scorer)[POSTS : POSTS + 4].any(axis=1).all()
    suits = users % 2 == posts % 2
    assert scores[suits].mean() > scores[~suits].mean() + 0.2


@pytest.mark.parametrize("name", GROUPS)
def test_posts_without_text_or_in_another_script_get_finite_vectors(platform: Platform, name: str) -> None:
    encoder = platform.fitted[name].scorer.encoder
    vectors = encoder.vectors(np.array([901, 902, 903]), ["", "привет, кошка", "😀"], ["sport", "новая тема", ""])
    assert vectors.shape == (3, encoder.dimensions)
    assert np.isfinite(vectors).all()


@pytest.mark.parametrize("name", GROUPS)
def test_the_manifest_says_what_was_read(platform: Platform, name: str) -> None:
    manifest = platform.fitted[name].manifest
    manifest.check_schema()
    assert manifest.name == name
    assert manifest.train_until == CUT
    assert manifest.train_from >= START
    assert manifest.version.startswith("20260401T000000.000000Z-")
    assert manifest.data_fingerprint == platform.feed.fingerprint
    assert manifest.metrics["later_auc"] > 0.55


def test_a_model_that_has_seen_the_window_is_not_judged_there(platform: Platform) -> None:
    early = CUT - timedelta(days=2)
    viewed = viewed_in(platform.feed, early, CUT)
    with pytest.raises(LentaError, match="past the window's start"):
        model_scores(platform.feed, viewed, early, platform.fitted["control"].scorer)


def test_equal_data_have_equal_fingerprints_and_other_data_others(platform: Platform) -> None:
    with opened(Tables.of_folder(platform.folder), CUT) as same:
        assert same.fingerprint == platform.feed.fingerprint
    with opened(Tables.of_folder(platform.folder), CUT + timedelta(days=1)) as other:
        assert other.fingerprint != platform.feed.fingerprint


@pytest.mark.parametrize("name", GROUPS)
@pytest.mark.parametrize(
    "rows",
    [
        pytest.param([Row(9.0 * n, 200, 1 + n % 5, "view", int(n % 3 == 0)) for n in range(50)], id="a single user"),
        pytest.param([Row(60.0 * n, 200 + n % 4, 3, "view", int(n % 5 == 0)) for n in range(60)], id="one post"),
        pytest.param([Row(1.0, 200, 1, "view", 1), Row(2.0, 201, 1, "view", 0)], id="two views"),
    ],
)
def test_hardly_any_data_still_makes_a_model(tmp_path: Path, name: str, rows: list[Row]) -> None:
    with opened(Tables.of_folder(write_tables(tmp_path, rows, 6, 6))) as feed:
        scorer = fit(model_of(name), feed, NOW).scorer
        history = History.of_model(feed, scorer.manifest)
        history.ask(Requests(np.array([200, 7]), np.array([1, 2]), np.full(2, 10**9 * MICROSECONDS)))
        assert np.isfinite(scores_of(history, scorer)).all()


def test_an_unknown_model_is_named() -> None:
    with pytest.raises(LentaError, match="no model best; there are control and test"):
        model_of("best")
