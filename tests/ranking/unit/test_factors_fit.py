"""Factors find what users like together, take a new post's from its text, and find nothing where there is nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ranking.encoder import Matrix
from ranking.examples import Index
from ranking.factors import Factors
from ranking.factors_fit import Residuals, fit_factors
from ranking.profiles import profile_inputs
from ranking.taste import Floats
from scipy.sparse import csr_matrix
from scipy.special import expit

USERS, POSTS, GROUPS = 500, 120, 4
IDS = np.arange(1, POSTS + 1)
GROUP = np.arange(POSTS) % GROUPS
TOPIC = np.zeros(POSTS, np.int64)
NO_TEXT = np.zeros((POSTS, 3), np.float32)
TOLD = np.eye(GROUPS, dtype=np.float32)[GROUP]


def residuals(strength: float, seed: int = 1, users: int = USERS, posts: Index = IDS, shown: float = 0.5) -> Residuals:
    """Users like posts of two of the groups more, of the others less, by `strength` in log-odds."""
    rng = np.random.default_rng(seed)
    taste = rng.normal(0, strength, (users, GROUPS))
    seen = rng.random((users, len(posts))) < shown
    chance = expit(-1.5 + taste[:, GROUP[: len(posts)]])
    likes = seen & (rng.random(seen.shape) < chance)
    return of_counts(seen.astype(float), likes.astype(float))


def of_counts(views: Floats, likes: Floats) -> Residuals:
    """Expected by the overall rate alone."""
    rate = (likes.sum() + 1.0) / (views.sum() + 10.0)
    weight = views * rate * (1 - rate)
    sums = csr_matrix((likes - rate * views).astype(np.float32))
    nobody_told = np.full((len(views), 7), np.nan)
    by_posts = weight.sum(axis=0), likes.sum(axis=0)
    return Residuals(sums, weight.sum(axis=1), *by_posts, float(rate), nobody_told, np.zeros(views.shape[1]))


def fitted(evidence: Residuals, texts: Matrix = NO_TEXT, ids: Index = IDS) -> Factors:
    return fit_factors(evidence, ids, texts, TOPIC[: len(ids)], 1, seed=0)


def scores(factors: Factors, liked: Index, ids: Index = IDS, texts: Matrix = NO_TEXT) -> Floats:
    """Of somebody who liked these posts, by index, for every post."""
    z = factors.coordinates(ids, texts, np.zeros(len(ids), np.int64))
    taste = factors.taste(z[liked].sum(axis=0)[None, :], np.array([float(len(liked))]))
    return np.asarray((z @ taste[0]), np.float64)


@pytest.mark.parametrize("group", range(GROUPS))
def test_whoever_liked_posts_of_a_group_is_recommended_others_of_it(group: int) -> None:
    factors = fitted(residuals(1.0))
    own = np.flatnonzero(group == GROUP)
    score = scores(factors, own[:5])
    rest = np.setdiff1d(np.arange(POSTS), own)
    assert np.mean(score[own[5:]][:, None] > score[rest]) > 0.99


def test_nobody_s_taste_is_zero_and_many_likes_count_more_than_few() -> None:
    factors = fitted(residuals(1.0))
    own = np.flatnonzero(GROUP == 0)
    assert not scores(factors, own[:0]).any()
    assert scores(factors, own[:10])[own].mean() > scores(factors, own[:2])[own].mean() > 0


def test_who_liked_nothing_yet_is_met_by_what_people_of_alike_profiles_like() -> None:
    """Those of gender 0 like group 0, those of gender 1 group 1, and each user something else besides."""
    rng = np.random.default_rng(2)
    gender = np.arange(USERS) % 2
    taste = rng.normal(0, 0.5, (USERS, GROUPS)) + np.eye(GROUPS)[gender]
    seen = rng.random((USERS, POSTS)) < 0.5
    likes = seen & (rng.random(seen.shape) < expit(-1.5 + taste[:, GROUP]))
    profile = np.full((USERS, 7), np.nan)
    profile[:, 1] = gender
    factors = fitted(replace(of_counts(seen.astype(float), likes.astype(float)), profile=profile))
    told = profile_inputs(profile[:2]) @ factors.by_profile
    z = factors.coordinates(IDS, NO_TEXT, TOPIC)
    scores = factors.taste(np.zeros_like(told, np.float32), np.zeros(2), told) @ z.T
    for user in (0, 1):
        own, others = scores[user, user == GROUP], scores[user, user != GROUP]
        assert np.mean(own[:, None] > others) > 0.95
    assert 0.0 < factors.left.min() < factors.left.max() <= 1.0


def test_profiles_that_tell_nothing_change_next_to_nothing() -> None:
    rng = np.random.default_rng(3)
    evidence = replace(
        residuals(1.0), profile=np.column_stack([rng.integers(14, 60, USERS), rng.integers(0, 2, (USERS, 6))])
    )
    factors = fitted(evidence)
    own = np.flatnonzero(GROUP == 0)[:5]
    z = factors.coordinates(IDS, NO_TEXT, TOPIC)
    told = profile_inputs(evidence.profile[:1]) @ factors.by_profile
    taste = factors.taste(z[own].sum(axis=0)[None, :], np.array([5.0]), told)[0]
    assert np.corrcoef(z @ taste, scores(factors, own))[0, 1] > 0.97


def test_a_feed_without_tastes_gives_next_to_no_scores() -> None:
    factors = fitted(residuals(0.0))
    assert np.abs(scores(factors, np.arange(10))).max() < 0.1


def test_weak_tastes_that_texts_tell_are_found_where_likes_alone_show_little() -> None:
    own = np.flatnonzero(GROUP == 1)
    rest = np.setdiff1d(np.arange(POSTS), own)
    evidence = residuals(0.6, users=150, shown=0.3)
    with_text, without = (
        scores(fitted(evidence, texts), own[:10], texts=texts) for texts in (TOLD, np.zeros_like(TOLD))
    )
    correct = [float(np.mean(score[own][:, None] > score[rest])) for score in (with_text, without)]
    assert correct[0] > correct[1]
    assert correct[0] > 0.9


def test_a_post_that_nobody_viewed_has_the_factors_that_its_text_tells() -> None:
    evidence = residuals(1.0)
    hidden = np.flatnonzero(GROUP == 2)[-3:]
    views = np.ones((USERS, POSTS), bool)
    views[:, hidden] = False
    sums = csr_matrix(evidence.sums.toarray() * views)
    seen = np.where(np.isin(np.arange(POSTS), hidden), 0.0, 1.0)
    unseen = replace(evidence, sums=sums, post_weight=evidence.post_weight * seen, likes=evidence.likes * seen)
    factors = fitted(unseen, TOLD)
    assert not np.isin(IDS[hidden], factors.known).any()
    own = np.flatnonzero(GROUP == 2)
    score = scores(factors, own[:5], texts=TOLD)
    assert score[hidden].min() > score[GROUP != 2].max()
    later = factors.coordinates(np.array([9_999]), TOLD[hidden[:1]], np.zeros(1, np.int64))
    known = factors.coordinates(IDS[hidden[:1]], TOLD[hidden[:1]], np.zeros(1, np.int64))
    np.testing.assert_array_equal(later, known)


def test_a_text_that_tells_nothing_takes_nothing_away() -> None:
    evidence = residuals(1.0)
    noise = np.random.default_rng(5).normal(size=(POSTS, 30)).astype(np.float32)
    own = np.flatnonzero(GROUP == 0)
    with_noise, without = (scores(fitted(evidence, texts), own[:5], texts=texts) for texts in (noise, NO_TEXT))
    assert np.corrcoef(with_noise, without)[0, 1] > 0.97


@pytest.mark.parametrize(
    ("views", "likes"),
    [
        ([[1.0]], [[1.0]]),
        ([[1.0, 2.0]], [[0.0, 1.0]]),
        ([[1.0], [1.0], [3.0]], [[0.0], [1.0], [1.0]]),
        ([[1.0, 1.0], [1.0, 1.0]], [[0.0, 0.0], [0.0, 0.0]]),
        ([[0.0, 0.0], [1.0, 1.0]], [[0.0, 0.0], [1.0, 0.0]]),
    ],
    ids=["one user, one post", "one user", "one post", "no like", "a post without views by anybody"],
)
def test_tiny_feeds_give_finite_factors(views: list[list[float]], likes: list[list[float]]) -> None:
    evidence = of_counts(np.array(views), np.array(likes))
    posts = evidence.sums.shape[1]
    texts = np.ones((posts, 2), np.float32)
    factors = fitted(evidence, texts, IDS[:posts])
    assert np.isfinite(scores(factors, np.zeros(1, np.int64), IDS[:posts], texts)).all()


def test_the_same_seed_gives_the_same_factors() -> None:
    evidence = residuals(1.0)
    first, second = fitted(evidence), fitted(evidence)
    for name, values in first.arrays("f").items():
        np.testing.assert_array_equal(values, second.arrays("f")[name])


def test_factors_survive_being_saved_as_arrays() -> None:
    factors = fitted(residuals(1.0))
    again = Factors.of_arrays(factors.arrays("factors"), "factors")
    np.testing.assert_array_equal(scores(factors, np.arange(4)), scores(again, np.arange(4)))
