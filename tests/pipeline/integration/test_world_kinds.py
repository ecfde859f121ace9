"""Each kind of world has what its name says, in feed and truth; those without it are what they always were."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from pipeline.traffic.preferences import Minds
from pipeline.world.simulation import simulate
from pipeline.world.spec import DAYS, FIRST_POST, FIRST_USER, SPECS, WorldSpec, spec_of
from pipeline.world.truth import Truth

END = date(2026, 11, 9)
START = datetime(END.year, END.month, END.day, tzinfo=UTC) - timedelta(days=DAYS)
KINDS = ("communities", "momentum", "trends", "cohorts", "drift", "news", "fresh", "creators", "positions", "reposts")
SEED = 3


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Worlds:
    return Worlds(tmp_path_factory.mktemp("worlds"))


class Worlds:
    """Small worlds of each kind, made once each."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def views(self, name: str) -> tuple[Truth, pd.DataFrame]:
        """The truth, and views with index of user and post, day, place in the session, and whether a like followed."""
        folder = self._folder / name
        if not folder.exists():
            simulate(_small(name), SEED, END, folder)
        feed = pq.read_table(folder / "feed_data.parquet").to_pandas()
        views = feed[feed.action == "view"].assign(liked=lambda rows: rows.target.astype(bool)).reset_index(drop=True)
        views["user"], views["post"] = views.user_id - FIRST_USER, views.post_id - FIRST_POST
        views["day"] = (views.timestamp - START.replace(tzinfo=None)) / pd.Timedelta(days=1)
        views["session"] = ((views.user.diff() != 0) | (views.day.diff() > 200 / 86_400)).cumsum()
        views["place"] = views.groupby("session").cumcount()
        return Truth.load(folder), views

    def texts(self, name: str) -> list[str]:
        return [str(text) for text in pq.read_table(self._folder / name / "post_text_df.parquet")["text"].to_pylist()]


def _small(name: str) -> WorldSpec:
    return replace(spec_of(name), users=700, posts=400)


def test_worlds_without_any_of_it_are_what_they_always_were(tmp_path: Path) -> None:
    simulate(spec_of("tiny"), 3, date(2026, 11, 9), tmp_path)
    feed = pq.read_table(tmp_path / "feed_data.parquet").to_pandas()
    said = pd.util.hash_pandas_object(feed, index=False).to_numpy().tobytes()
    assert hashlib.md5(said).hexdigest() == "bdd035468dc73fada52373ce85475184"


@pytest.mark.parametrize("name", KINDS)
def test_the_truth_of_every_kind_tells_likes(name: str, worlds: Worlds) -> None:
    truth, views = worlds.views(name)
    if name == "reposts":  # nobody likes the same twice, which only the user's history tells
        content = views.user * len(truth.posts.original) + truth.posts.original[views.post]
        views = views[views.liked.groupby(content).cumsum() - views.liked == 0]
    assert views.liked.mean() == pytest.approx(spec_of(name).like_rate, abs=0.02)
    some = views.sample(1_500, random_state=1)
    probability = _by_truth(truth, some)
    assert probability.mean() == pytest.approx(some.liked.mean(), abs=0.025)
    high = probability > np.median(probability)
    assert some.liked[high].mean() > 1.4 * some.liked[~high].mean()


def test_in_communities_texts_and_topics_tell_nothing_of_what_is_liked_together(worlds: Worlds) -> None:
    truth, _ = worlds.views("communities")
    words = [set(text.lower().split()) for text in worlds.texts("communities")]
    pairs = np.random.default_rng(1).integers(0, len(words), (4_000, 2))
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    alike = np.array([len(words[a] & words[b]) / len(words[a] | words[b]) for a, b in pairs])
    close = np.einsum("nd,nd->n", truth.posts.vector[pairs[:, 0]], truth.posts.vector[pairs[:, 1]])
    assert abs(np.corrcoef(alike, close)[0, 1]) < 0.06
    assert truth.tastes.topic.std() == 0
    assert close.max() > 0.7


def test_with_momentum_a_like_brings_the_next_one_of_its_kind(worlds: Worlds) -> None:
    truth, views = worlds.views("momentum")
    before = views.groupby("session").shift(1)
    pairs = views[before.liked == True].index  # noqa: E712 - of a session's first view nothing was before
    last = before.loc[pairs].post.astype(int).to_numpy()
    alike = np.einsum("nd,nd->n", truth.posts.vector[last], truth.posts.vector[views.post[pairs]])
    liked = views.liked[pairs].to_numpy()
    assert liked[alike > 0.3].mean() > liked[alike < -0.3].mean() + 0.05


def test_trends_come_and_go_within_days(worlds: Worlds) -> None:
    truth, views = worlds.views("trends")
    high = views[truth.posts.trend[views.post] > 1.0]
    away = (high.day - truth.posts.trend_day[high.post]).abs()
    assert high.liked[away < 1].mean() > 1.5 * high.liked[away > 10].mean()


def test_cohorts_like_different_posts(worlds: Worlds) -> None:
    truth, views = worlds.views("cohorts")
    own = truth.posts.by_cohort[truth.tastes.cohort[views.user], views.post]
    assert views.liked[own > 0.5].mean() > 1.5 * views.liked[own < -0.5].mean()
    assert len(np.unique(truth.tastes.cohort)) == len(truth.posts.by_cohort)


def test_tastes_drift_away_from_what_they_were(worlds: Worlds) -> None:
    truth, _ = worlds.views("drift")
    first, last = truth.tastes.drift[:, 0], truth.tastes.drift[:, -1]
    assert np.corrcoef(first.ravel(), last.ravel())[0, 1] < 0.25
    assert last.std() == pytest.approx(first.std(), rel=0.1)
    users = np.arange(FIRST_USER, FIRST_USER + 300)
    odds = [truth.log_odds(users, np.full(300, 7), START + timedelta(days=day)) for day in (1, 2, 80)]
    assert np.corrcoef(odds[0], odds[1])[0, 1] > 0.95 > 0.9 > np.corrcoef(odds[0], odds[2])[0, 1]


def test_news_are_shown_and_liked_while_they_are_fresh(worlds: Worlds) -> None:
    truth, views = worlds.views("news")
    late = views[views.day > 20]
    age = late.day - truth.posts.birth[late.post]
    assert age.median() < 1.5
    assert late.liked[age < 0.2].mean() > 1.5 * late.liked[age > 2].mean()


def test_creators_are_followed_and_sign_their_posts(worlds: Worlds) -> None:
    truth, views = worlds.views("creators")
    follows = truth.tastes.follows[views.user, truth.posts.creator[views.post]]
    assert 0.01 < follows.mean() < 0.3
    assert views.liked[follows].mean() > 1.8 * views.liked[~follows].mean()
    signatures = [text.rsplit(" ", 1)[1] for text in worlds.texts("creators")]
    assert all(signature.startswith("@") for signature in signatures)
    assert len(set(zip(truth.posts.creator.tolist(), signatures, strict=True))) == len(set(signatures))


def test_good_posts_stand_where_more_is_liked_by_their_place_alone(worlds: Worlds) -> None:
    truth, views = worlds.views("positions")
    quality = truth.posts.quality[views.post]
    assert quality[views.place < 5].mean() > quality[views.place > 20].mean() + 0.5 * quality.std()


def test_a_repost_shows_the_same_and_is_not_liked_by_whoever_liked_it(worlds: Worlds) -> None:
    truth, views = worlds.views("reposts")
    texts, original = worlds.texts("reposts"), truth.posts.original
    copies = np.flatnonzero(original != np.arange(len(original)))
    assert 0.4 < len(copies) / len(original) < 0.6
    assert all(texts[post] == texts[original[post]] for post in copies)
    assert (truth.posts.birth[copies] >= truth.posts.birth[original[copies]]).all()
    likes = views[views.liked]
    assert not pd.DataFrame({"user": likes.user, "content": original[likes.post]}).duplicated().any()


def test_simulated_users_do_not_like_a_copy_of_what_they_liked(worlds: Worlds) -> None:
    truth, _ = worlds.views("reposts")
    copy = int(np.flatnonzero(truth.posts.original != np.arange(len(truth.posts.original)))[0])
    original = int(truth.posts.original[copy]) + FIRST_POST
    minds, now = Minds(truth, np.random.default_rng(1)), START + timedelta(days=80)
    while not minds.views(FIRST_USER, [original], now, 0)[0]:
        pass
    assert minds.chances(FIRST_USER, [copy + FIRST_POST], now, 0)[0] == 0
    assert minds.likes_already(FIRST_USER, [copy + FIRST_POST, original]) == 2


def test_simulated_users_have_a_mood_that_a_new_session_forgets(worlds: Worlds) -> None:
    truth, _ = worlds.views("momentum")
    minds, now = Minds(truth, np.random.default_rng(1)), START + timedelta(days=80)
    liked = next(post for post in range(FIRST_POST, FIRST_POST + 300) if minds.views(FIRST_USER, [post], now, 0)[0])
    vector = truth.posts.vector
    near = np.argsort(-(vector @ vector[liked - FIRST_POST]))
    other = next(
        int(post) + FIRST_POST for post in near if not minds.likes_already(FIRST_USER, [int(post) + FIRST_POST])
    )
    in_mood = minds.chances(FIRST_USER, [other], now, 1)[0]
    without = Minds(truth, np.random.default_rng(1)).chances(FIRST_USER, [other], now, 1)[0]
    assert in_mood > 1.3 * without
    assert minds.chances(FIRST_USER, [other], now, 0)[0] < in_mood


def test_every_kind_of_world_is_drawn_by_name() -> None:
    assert set(KINDS) < set(SPECS)


def _by_truth(truth: Truth, views: pd.DataFrame) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    moments = [moment.to_pydatetime().replace(tzinfo=UTC) for moment in views.timestamp]
    return np.concatenate(
        [
            truth.like_probability(np.array([user]), np.array([post]), moment)
            for user, post, moment in zip(views.user_id, views.post_id, moments, strict=True)
        ]
    )
