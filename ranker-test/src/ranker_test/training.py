"""Trains ranker-test's encoder: text embeddings by factorisation, tastes in closed form, two towers in JAX."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
import optax
from chassis.progress import OnProgress
from ranking.encoder import Matrix
from ranking.examples import Examples
from ranking.preference import PreferencePosterior, fit_preference
from ranking.profiles import profile_inputs
from ranking.taste import Floats, taste_space
from ranking.text_fit import fit_shares

from ranker_test.encoder import TextVectors, TowerEncoder
from ranker_test.minilm import MiniLM
from ranker_test.towers import Towers, user_inputs

CHUNK = 50_000
Weights = dict[str, jax.Array]


@dataclass(frozen=True)
class NetworkParameters:
    """What was chosen on tuning worlds; see docs/models.md."""

    text_dimensions: int = 64
    extra_dimensions: int = 8
    """Of the towers, beyond those of the text."""
    hidden: int = 48
    epochs: int = 4
    batch: int = 4096
    rate: float = 2e-3
    own_spread: float = 0.15
    """Prior standard deviation of what a post has beyond its text, in each dimension."""
    weight_decay: float = 3e-5
    dropout: float = 0.3
    """How often a post is shown without its own vector: so that new posts work."""


def train_encoder(
    examples: Examples,
    seed: int,
    on_progress: OnProgress,
    parameters: NetworkParameters = NetworkParameters(),
    texts: TextVectors | None = None,
) -> TowerEncoder:
    """texts: fitted on the posts; None for shares of words."""
    posts = examples.posts
    texts = texts or fit_shares(posts.texts, parameters.text_dimensions, seed)
    embedded = texts.vectors(posts.texts)
    text = taste_space(embedded, examples)
    coordinates = text.coordinates(embedded, posts.topic)
    preference = fit_preference(coordinates, examples)
    inputs, known = _user_side(examples, coordinates, preference)
    towers = towers_of(train_network(examples, inputs, known, coordinates, seed, on_progress, parameters))
    learned = towers.posts(coordinates, posts.topic, np.arange(len(posts.ids)))
    shared = taste_space(learned, examples)
    shared_preference = fit_preference(shared.coordinates(learned, posts.topic), examples)
    return TowerEncoder(texts, text, preference, towers, shared, shared_preference, posts.topics, posts.ids)


@dataclass
class WithMiniLM:
    """`train_encoder` over MiniLM's vectors, with weights of `folder`; the texts are read once."""

    folder: Path
    _texts: MiniLM | None = None

    def __call__(self, examples: Examples, seed: int, on_progress: OnProgress) -> TowerEncoder:
        if self._texts is None:
            self._texts = MiniLM.fit(self.folder, examples.posts.texts, on_progress)
        return train_encoder(examples, seed, on_progress, texts=self._texts)


def _user_side(examples: Examples, coordinates: Matrix, preference: PreferencePosterior) -> tuple[Matrix, Floats]:
    """The user side's inputs of every row, and the log-odds that the towers add to. In chunks: inputs are wide."""
    inputs: list[Matrix] = []
    known: list[Floats] = []
    for low in range(0, len(examples), CHUNK):
        part = examples.where(slice(low, low + CHUNK))
        state = part.state(coordinates)
        profile = profile_inputs(state.profile)
        theta = preference.posterior(state, state.liked_sum, profile)
        inputs.append(user_inputs(profile, state.liked, theta))
        known.append(part.post_odds + preference.topic_log_odds(theta, examples.posts.topic[part.post]))
    return np.vstack(inputs), np.concatenate(known)


def train_network(
    examples: Examples,
    inputs: Matrix,
    known: Floats,
    text: Matrix,
    seed: int,
    on_progress: OnProgress,
    parameters: NetworkParameters,
) -> Weights:
    """Log loss of a like by Adam with a cosine rate; all rows `parameters.epochs` times, in a new order each.

    known: log-odds that the towers add to, shape (n,).
    """
    rng = np.random.default_rng(seed)
    topics = len(examples.posts.topics)
    weights = _initial(rng, inputs.shape[1], text, topics, parameters)
    batch = min(parameters.batch, len(examples))
    steps = len(examples) // batch
    optimiser = optax.adam(optax.cosine_decay_schedule(parameters.rate, steps * parameters.epochs))
    rows = [jnp.asarray(part) for part in _rows(examples, inputs, known)]
    step = partial(_step, optimiser, jnp.asarray(text), jnp.asarray(examples.posts.topic), rows, parameters)
    epoch = jax.jit(lambda carry, order, keys: jax.lax.scan(step, carry, (order, keys)))
    carry = (weights, optimiser.init(weights))
    for number in range(parameters.epochs):
        order = rng.permutation(len(examples))[: steps * batch].reshape(steps, batch)
        keys = jax.random.split(jax.random.key(seed * parameters.epochs + number), steps)
        carry, _ = epoch(carry, jnp.asarray(order), keys)
        on_progress(number + 1, parameters.epochs)
    return carry[0]


def _rows(examples: Examples, inputs: Matrix, known: Floats) -> list[npt.NDArray[np.generic]]:
    return [
        inputs,
        examples.post.astype(np.int32),
        known.astype(np.float32),
        examples.clicked.astype(np.float32),
    ]


def _initial(
    rng: np.random.Generator, inputs: int, text: Matrix, topics: int, parameters: NetworkParameters
) -> Weights:
    rank = text.shape[1]
    size = rank + parameters.extra_dimensions
    drawn: Callable[[float, tuple[int, int]], jax.Array] = lambda spread, shape: jnp.asarray(  # noqa: E731
        rng.normal(0, spread, shape).astype(np.float32)
    )
    return {
        "hidden": drawn(inputs**-0.5, (inputs, parameters.hidden)),
        "hidden_bias": jnp.zeros(parameters.hidden, jnp.float32),
        "outer": drawn(0.01, (parameters.hidden, size)),
        "direct": drawn(0.01, (inputs, size)),
        "text": drawn(0.01, (rank, size)),
        "topic": drawn(0.05, (topics, size)),
        "own": drawn(0.02, (len(text), size)),
        "bias": jnp.zeros((), jnp.float32),
    }


def _step(
    optimiser: optax.GradientTransformation,
    text: jax.Array,
    topic: jax.Array,
    rows: list[jax.Array],
    parameters: NetworkParameters,
    carry: tuple[Weights, optax.OptState],
    chosen: tuple[jax.Array, jax.Array],
) -> tuple[tuple[Weights, optax.OptState], jax.Array]:
    (weights, memory), (order, key) = carry, chosen
    batch = [part[order] for part in rows]
    loss, slope = jax.value_and_grad(_loss)(weights, text, topic, batch, key, parameters, len(rows[0]))
    change, memory = optimiser.update(slope, memory)
    return (optax.apply_updates(weights, change), memory), loss


def _loss(
    weights: Weights,
    text: jax.Array,
    topic: jax.Array,
    batch: list[jax.Array],
    key: jax.Array,
    parameters: NetworkParameters,
    rows: int,
) -> jax.Array:
    inputs, post, known, clicked = batch
    shown = jax.random.bernoulli(key, 1.0 - parameters.dropout, (len(post), 1))
    score = known + network(weights, inputs, text[post], topic[post], post, shown)
    loss = optax.sigmoid_binary_cross_entropy(score, clicked).mean()
    own = (weights["own"] ** 2).sum() / (2 * parameters.own_spread**2 * rows)
    rest = sum((weights[name] ** 2).sum() for name in ("hidden", "outer", "direct", "text", "topic"))
    total: jax.Array = loss + own + parameters.weight_decay * rest
    return total


def network(
    weights: Weights, inputs: jax.Array, text: jax.Array, topic: jax.Array, post: jax.Array, shown: jax.Array
) -> jax.Array:
    """What `Towers` computes while serving, and a bias: log-odds that n rows add to those known, shape (n,).

    text: of the rows' posts, shape (n, rank); shown: 1 where the post has its own vector, else 0, shape (n, 1).
    """
    rank = text.shape[1]
    user = jax.nn.relu(inputs @ weights["hidden"] + weights["hidden_bias"]) @ weights["outer"]
    user = (user + inputs @ weights["direct"]).at[:, :rank].add(inputs[:, inputs.shape[1] - rank :])
    item = text @ weights["text"] + weights["topic"][topic] + shown * weights["own"][post]
    item = item.at[:, :rank].add(text)
    return weights["bias"] + (user * item).sum(axis=1)


def towers_of(weights: Weights) -> Towers:
    """With a row of zeros for an unknown topic, and for a post that training never saw."""
    plain = {name: np.asarray(values) for name, values in weights.items() if name != "bias"}
    for name in ("topic", "own"):
        plain[name] = np.vstack([plain[name], np.zeros((1, plain[name].shape[1]), np.float32)])
    return Towers(**plain)
