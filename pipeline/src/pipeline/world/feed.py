"""Sessions, views and likes, a chunk of users at a time: memory does not grow with the feed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.world.effects import HOUR, HOURS, PLACE, freshness
from pipeline.world.posts import Posts
from pipeline.world.spec import DAYS, WorldSpec
from pipeline.world.tastes import Tastes

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
DAY_SECONDS = 86_400
SESSIONS = (2, 24)
GAP_SECONDS = (8, 180)
LIKE_AFTER_SECONDS = (8, 178)


@dataclass(frozen=True)
class Views:
    """Shape (n,) each, by user and time. second: from the world's start; place: in the session, from 0."""

    user: Ints
    post: Ints
    second: Ints
    place: Ints


class Shown:
    """Draws posts at random among those that exist, by their weight."""

    def __init__(self, posts: Posts) -> None:
        self._order = np.argsort(posts.birth, kind="stable")
        self._births = posts.birth[self._order]
        self._total = np.append(0.0, np.cumsum(posts.weight[self._order]))

    def draw(self, day: Floats, rng: np.random.Generator) -> Ints:
        existing = np.searchsorted(self._births, day, side="right")
        place = np.searchsorted(self._total, rng.random(len(day)) * self._total[existing], side="right") - 1
        return np.asarray(self._order[place])


def draw_views(users: Ints, shown: Shown, spec: WorldSpec, rng: np.random.Generator) -> Views:
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
    return Views(owner[session], shown.draw(second / DAY_SECONDS, rng), second, place)


def log_odds(views: Views, posts: Posts, tastes: Tastes, spec: WorldSpec) -> Floats:
    """The log-odds of a like, without bias and noise. Shape (n,)."""
    user, post, day = views.user, views.post, views.second / DAY_SECONDS
    return np.asarray(
        tastes.topic[user, posts.topic[post]]
        + np.einsum("nd,nd->n", tastes.theme[user], posts.vector[post])
        + posts.quality[post]
        + freshness(day - posts.birth[post], spec)
        + tastes.level[user]
        + PLACE[views.place]
        + HOUR[views.second % DAY_SECONDS // 3600]
    )


def draw_likes(odds: Floats, spec: WorldSpec, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    noisy = odds + rng.normal(0, spec.noise_sd, len(odds))
    return np.asarray(rng.random(len(odds)) < sigmoid(noisy))


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
