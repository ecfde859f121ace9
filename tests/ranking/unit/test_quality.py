"""What texts promise of a post counts where its views leave it open, and where texts tell nothing, nothing counts."""

from __future__ import annotations

import numpy as np
import pytest
from ranking.encoder import Matrix
from ranking.factors_fit import Residuals
from ranking.quality import Floats, Quality, log_lengths
from ranking.quality_fit import fit_quality
from scipy.sparse import csr_matrix
from scipy.special import expit

POSTS, USERS, RATE = 300, 400, 0.12
IDS = np.arange(1, POSTS + 1)
TOPIC = np.zeros(POSTS, np.int64)
NEW = np.array([9_001])
RNG = np.random.default_rng(0)
TEXTS = RNG.normal(size=(POSTS, 4)).astype(np.float32)
LIKED_THEME = TEXTS[:, 0].astype(np.float64)
LENGTHS = RNG.normal(3.0, 0.5, POSTS)


def residuals(odds: Floats, shown: Floats) -> Residuals:
    """Users like posts by their quality alone. odds, shown: log-odds over the rate and chance of a view, by post."""
    rng = np.random.default_rng(1)
    seen = rng.random((USERS, POSTS)) < shown
    likes = seen & (rng.random(seen.shape) < expit(np.log(RATE / (1 - RATE)) + odds))
    weight = seen * RATE * (1 - RATE)
    sums = csr_matrix((likes - RATE * seen).astype(np.float32))
    nobody = np.full((USERS, 7), np.nan)
    by_posts = weight.sum(axis=0), likes.sum(axis=0).astype(float)
    return Residuals(sums, weight.sum(axis=1), *by_posts, RATE, nobody, np.zeros(POSTS))


def fitted(odds: Floats, shown: Floats) -> Quality:
    return fit_quality(residuals(odds, shown), IDS, TEXTS, TOPIC, 1, LENGTHS)


def of_new(quality: Quality, texts: Matrix, length: float = 3.0) -> Floats:
    ids = np.arange(len(texts)) + NEW[0]
    zeros = np.zeros(len(texts), np.int64)
    return np.asarray(quality.values(ids, texts, zeros, np.full(len(texts), length)), np.float64)


def test_a_new_post_gets_what_texts_like_its_own_were_liked_for() -> None:
    quality = fitted(0.5 * LIKED_THEME, np.full(POSTS, 0.3))
    fresh = np.random.default_rng(2).normal(size=(50, 4)).astype(np.float32)
    assert np.corrcoef(of_new(quality, fresh), fresh[:, 0])[0, 1] > 0.95


def test_long_posts_may_be_liked_more_or_less() -> None:
    quality = fitted(np.asarray(-0.8 * (LENGTHS - 3.0), np.float64), np.full(POSTS, 0.3))
    same = np.zeros((1, 4), np.float32)
    assert of_new(quality, same, 2.0)[0] > of_new(quality, same, 3.0)[0] > of_new(quality, same, 4.0)[0]


def test_the_more_views_a_post_has_the_less_its_text_counts() -> None:
    """Texts tell half of what posts differ by."""
    differ = np.random.default_rng(3).normal(0, 0.5, POSTS)
    shown = np.where(np.arange(POSTS) % 2, 0.9, 0.05)
    quality = fitted(0.5 * LIKED_THEME + differ, shown)
    told = of_new(quality, TEXTS)
    kept = quality.values(IDS, TEXTS, TOPIC, np.full(POSTS, 3.0)) / told
    much, little = kept[1::2], kept[::2]
    assert np.median(much) < 0.2 < 0.5 < np.median(little) < 0.8


def test_texts_that_tell_nothing_promise_nothing() -> None:
    quality = fitted(np.random.default_rng(4).normal(0, 0.3, POSTS), np.full(POSTS, 0.3))
    assert np.abs(of_new(quality, TEXTS)).max() < 0.1


@pytest.mark.parametrize("shown", [0.0, 0.001])
def test_posts_that_hardly_anybody_viewed_promise_next_to_nothing(shown: float) -> None:
    quality = fitted(np.zeros(POSTS), np.full(POSTS, shown))
    assert np.isfinite(of_new(quality, TEXTS)).all()
    assert np.abs(of_new(quality, TEXTS)).max() < 0.5


def test_lengths_count_words_in_any_script() -> None:
    assert log_lengths(["", "two words", "три слова тут"]).tolist() == np.log1p([0.0, 2.0, 3.0]).tolist()
