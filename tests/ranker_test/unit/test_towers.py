"""ranker-test's network stands twice, in JAX to be trained and in numpy to be served: both say the same."""

from __future__ import annotations

from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from chassis.progress import silent
from ranker_test.towers import Towers
from ranker_test.training import NetworkParameters, Weights, network, towers_of, train_network
from ranking.encoder import Matrix
from ranking.examples import Examples, Index, Liked, Posts

ROWS, POSTS, TOPICS, RANK, INPUTS = 64, 9, 3, 4, 11
PARAMETERS = NetworkParameters(extra_dimensions=2, hidden=5, epochs=2, batch=16, rate=0.05)


def drawn_examples(rng: np.random.Generator) -> Examples:
    topics = [f"topic {place}" for place in range(TOPICS)]
    return Examples(
        posts=Posts(np.arange(POSTS), ["text"] * POSTS, rng.integers(0, TOPICS, POSTS), topics),
        all_liked=Liked(np.zeros(0, np.int64)),
        user=np.arange(ROWS),
        post=rng.integers(0, POSTS, ROWS),
        profile=np.zeros((ROWS, 7)),
        topic_views=np.zeros((ROWS, TOPICS)),
        topic_likes=np.zeros((ROWS, TOPICS)),
        liked_from=np.zeros(ROWS, np.int64),
        liked=np.zeros(ROWS, np.int64),
        since_like=np.full(ROWS, np.inf),
        post_odds=np.zeros(ROWS),
        clicked=(rng.random(ROWS) < 0.3).astype(np.float64),
        time=np.arange(ROWS),
    )


class Trained:
    """A few steps of training on tiny arrays, and both forward passes over its rows."""

    def __init__(self) -> None:
        rng = np.random.default_rng(3)
        self.examples = drawn_examples(rng)
        self.inputs = rng.normal(size=(ROWS, INPUTS)).astype(np.float32)
        self.text = rng.normal(size=(POSTS, RANK)).astype(np.float32)
        self.weights: Weights = train_network(
            self.examples, self.inputs, np.zeros(ROWS), self.text, 1, silent, PARAMETERS
        )

    def in_jax(self, shown: float) -> Matrix:
        at = self.examples.post
        inputs, text, topic, post = (
            jnp.asarray(part) for part in (self.inputs, self.text[at], self.examples.posts.topic[at], at)
        )
        return np.asarray(network(self.weights, inputs, text, topic, post, jnp.full((ROWS, 1), shown)))

    def in_numpy(self, towers: Towers, place: Index) -> Matrix:
        post = self.examples.post
        items = towers.posts(self.text[post], self.examples.posts.topic[post], place)
        return np.asarray((towers.users(self.inputs) * items).sum(axis=1) + float(self.weights["bias"]))


@pytest.fixture(scope="module")
def trained() -> Trained:
    return Trained()


def test_the_trained_network_and_the_served_one_say_the_same(trained: Trained) -> None:
    served = trained.in_numpy(towers_of(trained.weights), trained.examples.post)
    np.testing.assert_allclose(served, trained.in_jax(shown=1.0), atol=1e-5)
    assert np.ptp(served) > 0.1


def test_a_post_that_training_never_saw_is_served_as_one_shown_without_its_own_vector(trained: Trained) -> None:
    unknown = np.full(ROWS, POSTS)
    served = trained.in_numpy(towers_of(trained.weights), unknown)
    np.testing.assert_allclose(served, trained.in_jax(shown=0.0), atol=1e-5)
    assert np.abs(served - trained.in_jax(shown=1.0)).max() > 1e-3


def test_an_unknown_topic_adds_nothing(trained: Trained) -> None:
    towers = towers_of(trained.weights)
    texts, unknown = trained.text, np.full(POSTS, -1)
    plain = texts @ towers.text + towers.own[:POSTS]
    plain[:, :RANK] += texts
    np.testing.assert_allclose(towers.posts(texts, unknown, np.arange(POSTS)), plain, atol=1e-6)


def test_towers_come_back_from_their_arrays_as_they_were(trained: Trained, tmp_path: Path) -> None:
    towers = towers_of(trained.weights)
    np.savez(tmp_path / "towers.npz", **towers.arrays())  # type: ignore[arg-type]
    with np.load(tmp_path / "towers.npz") as arrays:
        back = Towers.of_arrays(arrays)
    inputs = trained.inputs
    np.testing.assert_array_equal(back.users(inputs), towers.users(inputs))
