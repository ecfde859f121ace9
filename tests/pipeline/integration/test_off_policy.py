"""What logged views say of a policy that did not serve: right on average, and the truth lies in its interval."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from pipeline.cli import app
from pipeline.dataset import Tables, opened
from pipeline.dataset.snapshots import catalogue_at
from pipeline.errors import LentaError
from pipeline.evaluation.ladder import POPULAR, WINDOW
from pipeline.evaluation.off_policy import Logged, Slates, Value, logged_views, value_of
from pipeline.evaluation.off_policy_run import off_policy, off_policy_table
from pipeline.evaluation.served_truth import true_value
from pipeline.training.fit import fit
from pipeline.training.models import model_of
from pipeline.world.simulation import simulate
from pipeline.world.spec import spec_of
from pipeline.world.truth import Truth
from ranking.scorer import Scorer
from rich.console import Console
from typer.testing import CliRunner

END = date(2026, 11, 24)
CUT = datetime(END.year, END.month, END.day, tzinfo=UTC) - WINDOW
SEEDS = range(8, 14)
USERS, POSTS, VIEWS = 150, 30, 40


class Feed:
    """Users and posts whose log-odds are known; what is liked most is shown most."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.odds = rng.normal(-1.6, 0.7, (USERS, POSTS)) + rng.normal(0, 0.4, POSTS)
        self.shown = np.exp(self.odds.mean(axis=0))
        self.shown /= self.shown.sum()
        best = np.argsort(-self.odds + rng.normal(0, 1.0, self.odds.shape), axis=1)[:, :5]
        self.slates = Slates(best.astype(np.int64), np.take_along_axis(self.odds, best, axis=1))

    @property
    def truth(self) -> tuple[float, float]:
        like = 1 / (1 + np.exp(-self.slates.log_odds))
        return float(like.mean()), float((1 - np.prod(1 - like, axis=1)).mean())

    def log(self, rng: np.random.Generator) -> Logged:
        user = np.repeat(np.arange(USERS), VIEWS)
        post = rng.choice(POSTS, len(user), p=self.shown)
        liked = rng.random(len(user)) < 1 / (1 + np.exp(-self.odds[user, post]))
        share = np.bincount(post, minlength=POSTS) / len(post)
        return Logged(np.arange(USERS), user, post, liked, share[post])


def test_estimates_are_right_on_average_and_intervals_hold_the_truth_as_often_as_they_say() -> None:
    feed, rng = Feed(1), np.random.default_rng(2)
    values = [value_of(feed.log(rng), feed.slates, rng) for _ in range(60)]
    rate, hits = feed.truth
    assert np.mean([value.like_rate.value for value in values]) == pytest.approx(rate, abs=0.005)
    assert np.mean([value.hits.value for value in values]) == pytest.approx(hits, abs=0.01)
    assert sum(value.like_rate.low <= rate <= value.like_rate.high for value in values) >= 53
    assert sum(value.hits.low <= hits <= value.hits.high for value in values) >= 53


def test_replay_leans_to_what_the_feed_shows_often() -> None:
    feed, rng = Feed(1), np.random.default_rng(2)
    replayed = np.mean([value_of(feed.log(rng), feed.slates, rng).replay.value for _ in range(20)])
    assert replayed > feed.truth[0] + 0.01


def test_probabilities_that_are_all_too_high_give_the_same_hits() -> None:
    feed = Feed(3)
    logged = feed.log(np.random.default_rng(4))
    boastful = Slates(feed.slates.post_id, feed.slates.log_odds + 0.8)
    one, other = (value_of(logged, own, np.random.default_rng(0)).hits for own in (feed.slates, boastful))
    assert other.value == pytest.approx(one.value, abs=0.002)


def test_where_nothing_was_liked_nobody_is_hit_and_where_everything_was_everybody() -> None:
    feed = Feed(3)
    for share in (0.0, 1.0):
        logged = replace(feed.log(np.random.default_rng(3)), liked=np.full(USERS * VIEWS, bool(share)))
        value = value_of(logged, feed.slates, np.random.default_rng(0))
        for estimate in (value.replay, value.like_rate, value.hits):
            assert (estimate.low, estimate.value, estimate.high) == pytest.approx((share, share, share), abs=1e-6)


def test_a_policy_that_nothing_was_logged_of_is_refused() -> None:
    logged = Feed(1).log(np.random.default_rng(0))
    with pytest.raises(LentaError, match="of a post that would be recommended"):
        value_of(logged, Slates.empty(USERS), np.random.default_rng(0))


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folders = [tmp_path_factory.mktemp(f"world{seed}") for seed in SEEDS]
    for seed, folder in zip(SEEDS, folders, strict=True):
        simulate(spec_of("tiny"), seed, END, folder)
    return folders


def test_the_best_five_by_the_truth_get_what_the_truth_says(worlds: list[Path]) -> None:
    value, (rate, hits) = _oracle(worlds[0])
    assert value.like_rate.low <= rate <= value.like_rate.high
    assert value.hits.low <= hits <= value.hits.high


def _oracle(folder: Path) -> tuple[Value, tuple[float, float]]:
    tables, truth = Tables.of_folder(folder), Truth.load(folder)
    with opened(tables, CUT) as feed, opened(tables) as whole:
        catalogue = catalogue_at(feed, CUT)
        posts = catalogue.post_id[catalogue.post_views > 0]
        logged = logged_views(whole, CUT, CUT + WINDOW, posts, 0)
    user, post = (grid.ravel() for grid in np.meshgrid(logged.users, posts, indexing="ij"))
    like = truth.like_probability(user, post, CUT + WINDOW / 2).reshape(len(logged.users), -1)
    best = np.argsort(-like, axis=1)[:, :5]
    chosen = np.take_along_axis(like, best, axis=1)
    slates = Slates(posts[best], np.log(chosen / (1 - chosen)))
    return value_of(logged, slates, np.random.default_rng(0)), true_value(folder, logged, slates, CUT)


@pytest.fixture(scope="module")
def scorer(worlds: list[Path]) -> Scorer:
    """Of the first world; in the others it is a policy like any other."""
    with opened(Tables.of_folder(worlds[0]), CUT) as feed:
        return fit(model_of("control"), feed, CUT).scorer


def test_policies_are_worth_what_the_truth_says_but_for_one_interval_in_twenty(
    worlds: list[Path], scorer: Scorer
) -> None:
    inside: list[bool] = []
    for folder in worlds:
        estimates = off_policy(folder, CUT, {"control": scorer})
        for name, value in estimates.values.items():
            rate, hits = estimates.truth[name]
            inside.append(value.like_rate.low <= rate <= value.like_rate.high)
            inside.append(value.hits.low <= hits <= value.hits.high)
    assert len(inside) == 24
    assert sum(inside) >= 20


def test_a_model_gets_more_than_the_feed_and_the_table_says_so(worlds: list[Path], scorer: Scorer) -> None:
    estimates = off_policy(worlds[0], CUT, {"control": scorer})
    assert list(estimates.values) == [POPULAR, "control"]
    assert estimates.values["control"].like_rate.low > estimates.logged.high
    console = Console(width=160, record=True, file=StringIO())
    console.print(off_policy_table(estimates, "tiny"))
    assert f"{estimates.values['control'].like_rate.value:.3f}" in console.export_text()


def test_a_model_that_has_seen_the_days_is_refused(worlds: list[Path], scorer: Scorer) -> None:
    with pytest.raises(LentaError, match="past the window's start"):
        off_policy(worlds[0], CUT - WINDOW, {"control": scorer})


def test_days_without_views_are_refused(worlds: list[Path]) -> None:
    with (
        opened(Tables.of_folder(worlds[0])) as whole,
        pytest.raises(LentaError, match="no view in the window"),
    ):
        logged_views(whole, CUT + WINDOW, CUT + 2 * WINDOW, whole.posts.ids, 0)


def test_fresh_worlds_are_no_place_for_published_models() -> None:
    result = CliRunner().invoke(app, ["evaluate", "--off-policy", "--seeds", "8"])
    assert isinstance(result.exception, LentaError)
    assert "--off-policy judges the published models" in str(result.exception)
