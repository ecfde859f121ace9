"""Users of a small simulated world and two rankers of known quality, in process: experiments whose truth is known.

The rankers are closed-form. Each sees tastes and posts through signals: the true vector behind normal noise, one signal
for control, a second one beside it for test. Noise and prior are normal, so the posterior mean is the
precision-weighted one, and it is what they score by. So they err as trained rankers err: about a user, alike at every
request; about a post, alike for every user; and partly both in the same direction. Training two models on each of
twenty worlds would take an hour, and training once would look at one truth twenty times. The noise is chosen so that
both perform as the trained models do on the demo world (seed 8, *served, truth*: captured lift .33 and .51; test's gain
over control, by user, has twice its mean as its spread, and is positive for 71 % of the users).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from contracts.assignment import GROUPS
from contracts.interleaving import TEST, team_draft
from pipeline.world.effects import PLACE
from pipeline.world.feed import Shown, draw_views, fit_bias, log_odds, sigmoid
from pipeline.world.people import make_people
from pipeline.world.posts import make_posts
from pipeline.world.spec import FIRST_USER, WorldSpec
from pipeline.world.tastes import make_tastes
from pipeline.world.truth import PLACES

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Ranked = str
"""`control`, `test`, `oracle` or `popular`."""

USERS, POSTS = 1_500, 1_000
SLOTS = 5
DEPTH = 240
"""Posts of a ranking that are kept: more than anybody likes and is shown."""
USER_NOISE, POST_NOISE = (2.0, 4.0), (1.0, 0.5)
"""Variance of the first and the second signal's noise, in those of the tastes and of the posts' vectors."""
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
        pilot = draw_views(
            np.arange(users), Shown(self.posts, self.spec), self.posts, self.spec, np.random.default_rng([seed, 1])
        )
        self._bias = fit_bias(log_odds(pilot, self.posts, self.tastes, self.spec), self.spec)
        assert self.user_ids[0] == FIRST_USER

    @cached_property
    def odds(self) -> Floats:
        """True log-odds of a like, without place in the session and noise; shape (users, posts)."""
        taste = _scores(self.tastes.topic, self.tastes.theme, self.posts.topic, self.posts.vector)
        return taste + self.posts.quality + self.tastes.level[:, None] + self._bias

    @cached_property
    def rankings(self) -> dict[Ranked, Rankings]:
        rng = np.random.default_rng([self.seed, 2])
        topic, theme = (_posteriors(taste, USER_NOISE, rng) for taste in (self.tastes.topic, self.tastes.theme))
        vector = _posteriors(self.posts.vector, POST_NOISE, rng)
        control, test = (
            _scores(topic[i], theme[i], self.posts.topic, vector[i]) + SEEN_QUALITY * self.posts.quality for i in (0, 1)
        )
        scores: dict[Ranked, Floats] = {
            "control": control,
            "test": test,
            "oracle": self.odds,
            "popular": np.broadcast_to(self.posts.quality, self.odds.shape),
        }
        return {name: self._ranked(scored) for name, scored in scores.items()}

    def hit_rate(self, name: Ranked) -> float:
        """HitRate@5, *served, truth*, of everybody's first request."""
        return float((1 - np.prod(1 - self.rankings[name].chance[:, :SLOTS], axis=1)).mean())

    def gains(self) -> Floats:
        """Of test over control, in each user's chance of a hit at the first request."""
        chances = (1 - np.prod(1 - self.rankings[name].chance[:, :SLOTS], axis=1) for name in GROUPS)
        control, test = chances
        return np.asarray(test - control)

    def captured_lift(self, name: Ranked) -> float:
        popular = self.hit_rate("popular")
        return (self.hit_rate(name) - popular) / (self.hit_rate("oracle") - popular)

    def requests(self, mean: int, rng: np.random.Generator) -> Ints:
        """Of each user, Poisson about the mean."""
        return np.asarray(np.maximum(rng.poisson(mean, len(self.user_ids)), 1))

    def play(self, name: Ranked, requests: Ints, rng: np.random.Generator) -> Played:
        """Everybody asks, is shown the best five that they have not liked, and likes by the truth."""
        chance = self.rankings[name].chance
        left = np.ones(chance.shape, bool)
        hits, expected = np.zeros(len(chance)), np.zeros(len(chance))
        for number in range(int(requests.max())):
            shown = left & (np.cumsum(left, axis=1, dtype=np.int16) <= SLOTS) & (requests > number)[:, None]
            user, place = np.nonzero(shown)
            likely = chance[user, place]
            liked = rng.random(len(likely)) < likely
            hits += np.bincount(user, liked, len(chance)) > 0
            expected += 1 - np.exp(np.bincount(user, np.log1p(-likely), len(chance)))
            left[user[liked], place[liked]] = False
        assert (left.sum(axis=1) >= SLOTS).all(), "DEPTH is too small"
        return Played(requests, hits, expected)

    def interleave(self, user: int, requests: int, name: str, rng: np.random.Generator) -> tuple[Ints, Ints]:
        """One user's likes of each request on control's posts and on test's, drafted as the gateway drafts.

        user: by index; name: of the experiment, for the exposures' keys.
        """
        control, test = (self.rankings[ranker].posts[user].tolist() for ranker in ("control", "test"))
        chance = dict(zip(control, self.rankings["control"].chance[user].tolist(), strict=True))
        chance |= dict(zip(test, self.rankings["test"].chance[user].tolist(), strict=True))
        liked: set[int] = set()
        likes = np.zeros((2, requests), np.int64)
        for number in range(requests):
            best = [[post for post in ranked[: SLOTS + len(liked)] if post not in liked] for ranked in (control, test)]
            draft = team_draft(best[0], best[1], SLOTS, f"{name}-{user}-{number}")
            for post, team, drawn in zip(draft.posts, draft.teams, rng.random(len(draft.posts)), strict=True):
                if drawn < chance[post]:
                    liked.add(post)
                    likes[int(team == TEST), number] += 1
        return likes[0], likes[1]

    def _ranked(self, scores: Floats) -> Rankings:
        best = np.argpartition(-scores, DEPTH, axis=1)[:, :DEPTH]
        order = np.argsort(-np.take_along_axis(scores, best, 1), axis=1, kind="stable")
        posts = np.take_along_axis(best, order, 1)
        return Rankings(posts, _chance(np.take_along_axis(self.odds, posts, 1), self.spec.noise_sd))


def _posteriors(truth: Floats, noise: tuple[float, float], rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Means given the first signal, and given both."""
    first, second = (truth + rng.normal(0, np.sqrt(share * truth.var()), truth.shape) for share in noise)
    a, b = (1 / share for share in noise)
    return first * a / (1 + a), (first * a + second * b) / (1 + a + b)


def _scores(topic: Floats, theme: Floats, topic_of: Ints, vector: Floats) -> Floats:
    return np.asarray(topic[:, topic_of] + theme @ vector.T)


def _chance(odds: Floats, noise_sd: float) -> Floats:
    """Mean over the places of a session and the noise, as `Truth.like_probability`."""
    places, counts = np.unique(PLACE[:PLACES], return_counts=True)
    chance = np.zeros_like(odds)
    for node, weight in zip(_NODES * noise_sd, _WEIGHTS / _WEIGHTS.sum(), strict=True):
        for place, share in zip(places, counts / PLACES, strict=True):
            chance += weight * share * sigmoid(odds + node + place)
    return chance
