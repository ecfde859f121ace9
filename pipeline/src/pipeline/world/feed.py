"""Sessions, views and likes, a chunk of users at a time: memory does not grow with the feed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.world.appeal import Tastes, Traits, appeal
from pipeline.world.effects import HOUR, HOURS, PLACE
from pipeline.world.posts import Posts
from pipeline.world.spec import DAYS, WorldSpec

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
DAY_SECONDS = 86_400
SESSIONS = (2, 24)
GAP_SECONDS = (8, 180)
LIKE_AFTER_SECONDS = (8, 178)
MOOD_KEPT = 0.8
"""Of a session's mood, from one view to the next."""


@dataclass(frozen=True)
class Views:
    """Shape (n,) each, by user and time. second: from the world's start; place: in the session, from 0."""

    user: Ints
    post: Ints
    second: Ints
    place: Ints


class Shown:
    """Draws posts at random among those that exist, by their weight; in a feed of fresh posts, by their age too."""

    def __init__(self, posts: Posts, spec: WorldSpec) -> None:
        self._order = np.argsort(posts.birth, kind="stable")
        self._births = posts.birth[self._order]
        self._total = np.append(0.0, np.cumsum(posts.weight[self._order]))
        self._exposure_days = spec.exposure_days

    def draw(self, day: Floats, rng: np.random.Generator) -> Ints:
        existing = np.searchsorted(self._births, day, side="right")
        if self._exposure_days:
            aged = day - rng.exponential(self._exposure_days, len(day))
            return np.asarray(self._order[np.maximum(np.searchsorted(self._births, aged, side="right"), 1) - 1])
        place = np.searchsorted(self._total, rng.random(len(day)) * self._total[existing], side="right") - 1
        return np.asarray(self._order[place])


def draw_views(users: Ints, shown: Shown, posts: Traits, spec: WorldSpec, rng: np.random.Generator) -> Views:
    sessions = np.clip(np.rint(rng.normal(spec.sessions_mean, spec.sessions_sd, len(users))), *SESSIONS).astype(int)
    owner = np.repeat(users, sessions)
    length = np.maximum(np.rint(rng.normal(spec.session_views_mean, spec.session_views_sd, len(owner))), 1).astype(int)
    start = rng.integers(0, DAYS, len(owner)) * DAY_SECONDS + rng.choice(HOURS, len(owner)) * 3600
    start += rng.integers(0, 3600, len(owner))
    order = np.lexsort((start, owner))
    owner, length, start = owner[order], length[order], start[order]
    session = np.repeat(np.arange(len(owner)), length)
    first = np.repeat(np.cumsum(length) - length, length)
    place = np.arange(len(session)) - first
    gaps = rng.integers(GAP_SECONDS[0], GAP_SECONDS[1] + 1, len(session))
    since = np.cumsum(gaps)
    second = np.minimum(start[session] + since - since[first], DAYS * DAY_SECONDS - 1)
    post = shown.draw(second / DAY_SECONDS, rng)
    if spec.best_first:
        post = _best_first(post, session, posts, spec, rng)
    return Views(owner[session], post, second, place)


def _best_first(post: Ints, session: Ints, posts: Traits, spec: WorldSpec, rng: np.random.Generator) -> Ints:
    """A session's posts in an order that goes by quality: what is good is seen where more is liked."""
    merit = spec.best_first * posts.quality[post] / spec.quality_sd
    merit = merit + np.sqrt(1 - spec.best_first**2) * rng.normal(size=len(post))
    return np.asarray(post[np.lexsort((-merit, session))])


def log_odds(views: Views, posts: Traits, tastes: Tastes, spec: WorldSpec) -> Floats:
    """Of a like, without bias, mood and noise. Shape (n,)."""
    return np.asarray(
        appeal(posts, tastes, spec, views.user, views.post, views.second / DAY_SECONDS)
        + PLACE[views.place]
        + HOUR[views.second % DAY_SECONDS // 3600]
    )


def draw_likes(
    odds: Floats, views: Views, posts: Traits, spec: WorldSpec, rng: np.random.Generator
) -> npt.NDArray[np.bool_]:
    """odds: of each view, mood and noise left out. All views of a user must be among these."""
    noisy = odds + rng.normal(0, spec.noise_sd, len(odds))
    drawn = rng.random(len(odds))
    liked = _by_mood(noisy, drawn, views, posts, spec) if spec.momentum else drawn < sigmoid(noisy)
    return _liked_once(liked, views, posts) if spec.repost_share else np.asarray(liked)


def _by_mood(odds: Floats, drawn: Floats, views: Views, posts: Traits, spec: WorldSpec) -> npt.NDArray[np.bool_]:
    """One place of all sessions after the other: what is liked decides what is liked next."""
    session = np.cumsum(views.place == 0) - 1
    mood = np.zeros((int(session[-1]) + 1, posts.vector.shape[1]))
    liked = np.zeros(len(odds), bool)
    for place in range(int(views.place.max()) + 1):
        now = np.flatnonzero(views.place == place)
        own, vector = session[now], posts.vector[views.post[now]]
        liked[now] = drawn[now] < sigmoid(odds[now] + np.einsum("nd,nd->n", mood[own], vector))
        mood[own] = next_mood(mood[own], vector, liked[now], spec)
    return liked


def next_mood(mood: Floats, vector: Floats, liked: npt.NDArray[np.bool_], spec: WorldSpec) -> Floats:
    """After one view. mood, vector: shape (n, dimensions); liked: (n,)."""
    return np.asarray(MOOD_KEPT * mood + spec.momentum * vector * liked[:, None])


def _liked_once(liked: npt.NDArray[np.bool_], views: Views, posts: Traits) -> npt.NDArray[np.bool_]:
    """Nobody likes what repeats a post that they liked before."""
    likes = np.flatnonzero(liked)
    content = views.user[likes] * len(posts.original) + posts.original[views.post[likes]]
    _, first = np.unique(content, return_index=True)
    once = np.zeros(len(liked), bool)
    once[likes[first]] = True
    return once


def sigmoid(values: Floats) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-values)))


def fit_bias(odds: Floats, spec: WorldSpec) -> float:
    """The constant that gives the world its like rate, fitted on a sample of views."""
    noise = np.random.default_rng(0).normal(0, spec.noise_sd, len(odds))
    low, high = -8.0, 4.0
    for _ in range(40):
        middle = (low + high) / 2
        if float(sigmoid(odds + noise + middle).mean()) < spec.like_rate:
            low = middle
        else:
            high = middle
    return (low + high) / 2
