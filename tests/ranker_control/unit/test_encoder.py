"""ranker-control's encoder: learns a taste in words from likes, sees new posts by their text, travels as files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from chassis.progress import silent
from ranker_control.encoder import FILE, TextEncoder
from ranker_control.training import train_encoder
from ranking.artefact import ArtefactError
from ranking.encoder import Column, Matrix, UserState
from ranking.examples import Examples, Index, Liked, Posts
from ranking.last_likes import LastLikes

from tests.support.data.small_feed import TOPICS, text_of

USERS, POSTS, VIEWS = 80, 60, 60
TEXTS = [text_of(post) for post in range(POSTS)]
TOPIC = np.arange(POSTS) % len(TOPICS)
NAMES = [TOPICS[topic] for topic in TOPIC]


@pytest.fixture(scope="module")
def encoder() -> TextEncoder:
    """Even users like posts of one flavour of text, odd ones those of the other."""
    rng = np.random.default_rng(7)
    user, post = np.repeat(np.arange(USERS), VIEWS), rng.integers(0, POSTS, USERS * VIEWS)
    clicked = (rng.random(len(user)) < np.where(user % 2 == post % 2, 0.5, 0.05)).astype(np.float64)
    before = np.cumsum(clicked).astype(np.int64) - clicked.astype(np.int64)
    start = np.repeat(before[::VIEWS], VIEWS)
    counts = np.zeros((len(user), len(TOPICS)))
    examples = Examples(
        posts=Posts(np.arange(POSTS), TEXTS, TOPIC, list(TOPICS)),
        all_liked=Liked(post[clicked > 0]),
        user=user,
        post=post,
        profile=np.full((len(user), 7), np.nan),
        topic_views=counts,
        topic_likes=counts,
        liked_from=start,
        liked=before - start,
        since_like=np.full(len(user), np.inf),
        post_odds=np.zeros(len(user)),
        clicked=clicked,
        time=np.arange(len(user)),
    )
    return train_encoder(examples, 0, silent)


def vectors_of(encoder: TextEncoder) -> Matrix:
    return encoder.vectors(np.arange(POSTS), encoder.embed(TEXTS), NAMES)


def text_taste(encoder: TextEncoder, liked: Index) -> Column:
    """Of a user who liked these posts, for every post."""
    vectors = vectors_of(encoder)
    nothing = np.zeros((1, len(TOPICS)))
    liked_sum = vectors[liked].sum(axis=0)[None, :]
    user = UserState(
        np.full((1, 7), np.nan), nothing, nothing, liked_sum, np.array([float(len(liked))]), LastLikes.none()
    )
    out = np.empty((POSTS, 1), np.float32)
    encoder.write(user, vectors, TOPIC, out)
    return out[:, 0].astype(np.float64)


def test_posts_like_those_liked_are_preferred(encoder: TextEncoder) -> None:
    for flavour in (0, 1):
        taste = text_taste(encoder, np.arange(flavour, 20, 2))
        alike = np.arange(POSTS) % 2 == flavour
        assert taste[alike].mean() > 0.2 > -0.2 > taste[~alike].mean()


def test_a_user_without_likes_has_no_taste(encoder: TextEncoder) -> None:
    assert not text_taste(encoder, np.zeros(0, np.int64)).any()


def test_a_post_that_training_never_saw_is_seen_by_its_text_and_topic(encoder: TextEncoder) -> None:
    new = encoder.vectors(np.array([999]), encoder.embed([TEXTS[5]]), [NAMES[5]])
    np.testing.assert_allclose(new[0], vectors_of(encoder)[5], atol=1e-6)
    assert np.isfinite(encoder.vectors(np.array([999]), encoder.embed(["words nobody knows"]), ["no topic"])).all()


def test_an_encoder_comes_back_from_its_files_as_it_was(encoder: TextEncoder, tmp_path: Path) -> None:
    encoder.save(tmp_path)
    back = TextEncoder.load(tmp_path)
    np.testing.assert_array_equal(vectors_of(back), vectors_of(encoder))
    liked = np.arange(4)
    np.testing.assert_array_equal(text_taste(back, liked), text_taste(encoder, liked))
    (tmp_path / FILE).unlink()
    with pytest.raises(ArtefactError, match=FILE):
        TextEncoder.load(tmp_path)
