"""Users of a small simulated world and two rankers of known quality, in process: experiments whose truth is known.

The rankers are closed-form. Each knows every post, and infers a user's taste from signals: the taste itself behind normal
noise. Control has one signal a user, test a second one beside it; the posterior mean under the world's prior (noise and prior
are normal, so it is the precision-weighted mean) scores the posts. So both err as a trained ranker errs: in a whole user,
at every request alike, and partly both in the same direction. Training two models on each of twenty worlds would take
half an hour; training once would look at one truth twenty times. NOISE is chosen so that both capture about the lift
that the trained models do (docs/models.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt
from pipeline.world.effects import PLACE
from pipeline.world.feed import Shown, draw_views, fit_bias, log_odds, sigmoid
from pipeline.world.people import make_people
from pipeline.world.posts import Posts, make_posts
from pipeline.world.spec import FIRST_USER, WorldSpec
from pipeline.world.tastes import Tastes, make_tastes
from pipeline.world.truth import PLACES

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Ranked = Literal["control", "test", "oracle", "popular"]

USERS, POSTS = 1_500, 600
SLOTS = 5
DEPTH = 240
"""Posts of a ranking that are kept: more than anybody likes and is shown."""
NOISE = {"first": 3.0, "second": 1.8}
"""Variance of a signal's noise, in those of the tastes."""
SEEN_QUALITY = 0.7
"""How much of a post's quality its counts tell."""
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(5)


@dataclass(frozen=True)
class Rankings:
    """posts: each user's best DEPTH, best first; chance: of a like, each; shape (users, DEPTH) both."""

    posts: Ints
    chance: Floats


@dataclass(frozen=True)
class Played:
    """By user, shape (users,): requests, those with a like, and the sum of their true chances of one."""

    requests: Ints
    hits: Floats
    expected: Floats


class SmallWorld:
    """Made from a seed, whole: the same seed gives the same world, rankers and users."""

    def __init__(self, seed: int, users: int = USERS, posts: int = POSTS) -> None:
        self.seed, self.spec = seed, WorldSpec("small", users, posts)
        rng = np.random.default_rng(seed)
        people, self.posts = make_people(users, rng), make_posts(self.spec, rng)
        self.tastes = make_tastes(people, self.spec, rng)
        self.user_ids: list[int] = [int(user) for user in people.user_id]
        pilot = draw_views(np.arange(users), Shown(self.posts), self.spec, np.random.default_rng([seed, 1]))
        self._bias = fit_bias(log_odds(pilot, self.posts, self.tastes, self.spec), self.spec)
        assert self.user_ids[0] == FIRST_USER

    @cached_property
    def odds(self) -> Floats:
        """True log-odds of a like, without place in the session and noise; shape (users, posts)."""
        taste = _scores(self.tastes.topic, self.tastes.theme, self.posts)
        return taste + self.posts.quality + self.tastes.level[:, None] + self._bias

    @cached_property
    def rankings(self) -> dict[Ranked, Rankings]:
        quality = SEEN_QUALITY * self.posts.quality
        control, test = self._inferred()
        scores: dict[Ranked, Floats] = {
            "control": _scores(control.topic, control.theme, self.posts) + quality,
            "test": _scores(test.topic, test.theme, self.posts) + quality,
            "oracle": self.odds,
            "popular": np.broadcast_to(self.posts.quality, self.odds.shape),
        }
        return {name: self._ranked(found) for name, found in scores.items()}

    def hit_rate(self, name: Ranked) -> float:
        """HitRate@5, *served, truth*, of everybody's first request."""
        return float((1 - np.prod(1 - self.rankings[name].chance[:, :SLOTS], axis=1)).mean())

    def captured_lift(self, name: Ranked) -> float:
        popular = self.hit_rate("popular")
        return (self.hit_rate(name) - popular) / (self.hit_rate("oracle") - popular)

    def requests(self, mean: int, rng: np.random.Generator) -> Ints:
        """Of each user, Poisson about the mean."""
        return np.asarray(np.maximum(rng.poisson(mean, len(self.user_ids)), 1))

    def play(self, name: Ranked, requests: Ints, rng: np.random.Generator) -> Played:
        """Everybody asks, is shown the best five that he has not liked, and likes by the truth."""
        chance = self.rankings[name].chance
        left = np.ones(chance.shape, bool)
        hits, expected = np.zeros(len(chance)), np.zeros(len(chance))
        for number in range(int(requests.max())):
            asks = requests > number
            shown = left & (np.cumsum(left, axis=1) <= SLOTS) & asks[:, None]
            liked = shown & (rng.random(chance.shape) < chance)
            hits += liked.any(axis=1)
            expected += np.where(asks, 1 - np.prod(np.where(shown, 1 - chance, 1.0), axis=1), 0.0)
            left &= ~liked
        assert (left.sum(axis=1) >= SLOTS).all(), "DEPTH is too small"
        return Played(requests, hits, expected)

    def true_difference(self, requests: Ints, rng: np.random.Generator, times: int = 2) -> float:
        """Of hit rates if everybody had test, and if everybody had control; mean over `times` courses of likes."""
        rates = {
            name: np.mean([self.play(name, requests, rng).expected.sum() / requests.sum() for _ in range(times)])
            for name in ("control", "test")
        }
        return float(rates["test"] - rates["control"])

    def chance_of(self, user: int, posts: list[int]) -> Floats:
        """Of a like, of posts by their index."""
        return _chance(self.odds[user, posts], self.spec.noise_sd)

    def _inferred(self) -> tuple[Tastes, Tastes]:
        rng = np.random.default_rng([self.seed, 2])
        topic = _posteriors(self.tastes.topic, rng)
        theme = _posteriors(self.tastes.theme, rng)
        level = self.tastes.level
        return Tastes(topic[0], theme[0], level), Tastes(topic[1], theme[1], level)

    def _ranked(self, scores: Floats) -> Rankings:
        best = np.argpartition(-scores, DEPTH, axis=1)[:, :DEPTH]
        order = np.argsort(-np.take_along_axis(scores, best, 1), axis=1, kind="stable")
        posts = np.take_along_axis(best, order, 1)
        return Rankings(posts, _chance(np.take_along_axis(self.odds, posts, 1), self.spec.noise_sd))


def _posteriors(taste: Floats, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Means given the first signal, and given both."""
    first, second = (taste + rng.normal(0, np.sqrt(noise * taste.var()), taste.shape) for noise in NOISE.values())
    a, b = (1 / noise for noise in NOISE.values())
    return first * a / (1 + a), (first * a + second * b) / (1 + a + b)


def _scores(topic: Floats, theme: Floats, posts: Posts) -> Floats:
    return np.asarray(topic[:, posts.topic] + theme @ posts.vector.T)


def _chance(odds: Floats, noise_sd: float) -> Floats:
    """Mean over the places of a session and the noise, as `Truth.like_probability`."""
    places, counts = np.unique(PLACE[:PLACES], return_counts=True)
    found = np.zeros_like(odds)
    for node, weight in zip(_NODES * noise_sd, _WEIGHTS / _WEIGHTS.sum(), strict=True):
        for place, share in zip(places, counts / PLACES, strict=True):
            found += weight * share * sigmoid(odds + node + place)
    return found
