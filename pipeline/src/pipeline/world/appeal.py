"""How much a user likes a post at a time, apart from place in the session, hour and noise: the world's equation.

The same function draws the likes of a world and is its truth. What a world does not have is an empty array or 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.world.spec import DRIFT_DAYS, WorldSpec

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Traits:
    """Of posts, shape (posts,) each, but vector (posts, dimensions). Days are from the world's start."""

    topic: Ints
    vector: Floats
    quality: Floats
    birth: Floats
    """Day; negative for posts that are older than the world."""
    trend: Floats
    """How much more the post is liked on the day of its trend; 0 for one that never has one."""
    trend_day: Floats
    creator: Ints
    original: Ints
    """The post that it repeats: itself, if none."""
    by_cohort: Floats
    """What a cohort of users adds to a post's quality, shape (cohorts, posts); no cohorts in most worlds."""


@dataclass(frozen=True)
class Tastes:
    """Of users, in log-odds. topic: (users, topics); theme: (users, dimensions); level: (users,)."""

    topic: Floats
    theme: Floats
    level: Floats
    drift: Floats
    """Theme tastes every DRIFT_DAYS from the world's start, shape (users, times, dimensions); no times: theme holds."""
    cohort: Ints
    """Shape (users,)."""
    follows: npt.NDArray[np.bool_]
    """Which creators, shape (users, creators); none in most worlds."""


def appeal(posts: Traits, tastes: Tastes, spec: WorldSpec, user: Ints, post: Ints, day: Floats) -> Floats:
    """Log-odds of a like without bias, place, hour, mood and noise; (n,). user, post: by index; day: (n,) or (1,)."""
    odds = tastes.topic[user, posts.topic[post]]
    odds = odds + np.einsum("nd,nd->n", *np.broadcast_arrays(_themes(tastes, user, day), posts.vector[post]))
    odds = odds + posts.quality[post] + freshness(day - posts.birth[post], spec)
    odds = odds + tastes.level[user]
    if spec.trend_share:
        odds = odds + posts.trend[post] * np.exp(-np.abs(day - posts.trend_day[post]) / spec.trend_days)
    if spec.cohort_quality_sd:
        odds = odds + posts.by_cohort[tastes.cohort[user], post]
    if spec.creators:
        odds = odds + spec.follow_effect * tastes.follows[user, posts.creator[post]]
    return np.asarray(odds)


def freshness(age_days: Floats, spec: WorldSpec) -> Floats:
    """Of a post; 0 before its birth cannot occur."""
    return np.asarray(spec.freshness * np.exp(-np.maximum(age_days, 0.0) / spec.freshness_days))


def _themes(tastes: Tastes, user: Ints, day: Floats) -> Floats:
    """Between two times of the drift a taste moves evenly."""
    if not tastes.drift.shape[1]:
        return tastes.theme[user]
    place = np.clip(day / DRIFT_DAYS, 0, tastes.drift.shape[1] - 1)
    low = np.minimum(place.astype(np.int64), tastes.drift.shape[1] - 2)
    share = (place - low)[:, None]
    return np.asarray((1 - share) * tastes.drift[user, low] + share * tastes.drift[user, low + 1])
