"""How much of the lift can be had at all: what views reveal of a user's tastes when everything about posts is known.

Reads the simulated world's truth: for judging alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from contracts.records import AGE_BANDS
from ranking.examples import Index
from scipy.special import expit

from pipeline.dataset.feed import MICROSECONDS, Feed, fetch, microseconds
from pipeline.dataset.samples import Viewed
from pipeline.measures.accuracy import Floats
from pipeline.world.appeal import freshness
from pipeline.world.effects import HOUR, PLACE
from pipeline.world.feed import GAP_SECONDS
from pipeline.world.people import BIG_CITIES
from pipeline.world.spec import FIRST_POST, FIRST_USER
from pipeline.world.truth import Truth

NEWTON_STEPS = 6
USERS_AT_ONCE = 5_000
"""Whose views are held in memory together."""
DAY = 86_400 * MICROSECONDS
PROFILE_SPREAD = 0.1
"""Prior standard deviation of what one cell of the profile adds to a taste."""


@dataclass(frozen=True)
class ObservedViews:
    """Views before the cut, by user. offset: log-odds of a like but for the user's own part; shape (n,) each."""

    user: Index
    post: Index
    offset: Floats
    liked: Floats


def has_ceiling(folder: Path) -> bool:
    """Whether the world is one of which `ceiling_scores` is true."""
    return Truth.load(folder).spec.is_still


def ceiling_scores(folder: Path, feed: Feed, viewed: Viewed, at: datetime) -> Floats:
    """Log-odds at `at` by each user's posterior mean of (level, taste for each topic, sub-theme tastes). Shape (n,).

    The true vectors, qualities, freshness, effects of hour and place in the session, and the priors are given; only
    what is the user's own is unknown, of what differs between users at all. The world must be still
    (`WorldSpec.is_still`). Laplace's approximation of the posterior under the logistic likelihood of the user's views
    before the feed's end (MacKay 1992); the noise of a view is left out.
    """
    truth = Truth.load(folder)
    own = np.concatenate([truth.tastes.level[:, None], truth.tastes.topic, truth.tastes.theme], axis=1)
    spec = truth.spec
    sd = np.repeat([spec.level_sd, spec.topic_own_sd, spec.theme_own_sd], [1, *_widths(truth)])
    varies = sd > 0
    own, sd, inputs = own[:, varies], sd[varies], _inputs(truth)[:, varies]
    mean = profile_means(profile_cells(feed), own[feed.people.ids - FIRST_USER], sd)
    judged = np.unique(viewed.user_id)
    prior = mean[feed.people.places(judged)]
    tastes = np.vstack(
        [
            _tastes(judged[block], _views(feed, truth, judged[block]), inputs, prior[block], sd)
            for block in (slice(low, low + USERS_AT_ONCE) for low in range(0, len(judged), USERS_AT_ONCE))
        ]
    )
    post = viewed.post_id - FIRST_POST
    day = (at - truth.start).total_seconds() / 86_400
    known = truth.posts.quality[post] + freshness(day - truth.posts.birth[post], spec)
    return np.asarray(known + np.einsum("nd,nd->n", tastes[np.searchsorted(judged, viewed.user_id)], inputs[post]))


def _tastes(users: Index, views: ObservedViews, inputs: Floats, prior: Floats, sd: Floats) -> Floats:
    """`posterior_mean` of each of `users`, who ascend. prior: shape (users, size), as the result."""
    starts, ends = (np.searchsorted(views.user, users, side=side) for side in ("left", "right"))
    return np.array(
        [
            posterior_mean(inputs[views.post[low:high]], views.offset[low:high], views.liked[low:high], mean, sd)
            for low, high, mean in zip(starts, ends, prior, strict=True)
        ]
    )


def posterior_mean(inputs: Floats, offset: Floats, liked: Floats, mean: Floats, sd: Floats) -> Floats:
    """The mode over w of prod p^liked (1 - p)^(1 - liked) N(w; mean, sd^2), p = sigmoid(offset + inputs w).

    By Newton's method. inputs: shape (n, size); offset, liked: (n,); mean, sd: (size,).
    """
    precision = 1.0 / sd**2
    w = mean
    for _ in range(NEWTON_STEPS):
        p = expit(offset + inputs @ w)
        slope = inputs.T @ (liked - p) - precision * (w - mean)
        curvature = (inputs * (p * (1 - p))[:, None]).T @ inputs
        w = w + np.linalg.solve(curvature + np.diag(precision), slope)
    return w


def profile_cells(feed: Feed) -> Floats:
    """Indicators of what tastes depend on in a profile, and the age. Shape (users + 1, cells).

    The last row is that of a user without a profile.
    """
    age, gender, group = feed.people.plain.T
    cities = fetch(
        feed.database, f"SELECT coalesce(city IN {tuple(BIG_CITIES)}, false) AS big FROM people ORDER BY user_id"
    )
    city = cities["big"].astype(np.int64)
    band = np.searchsorted(AGE_BANDS, age, side="right")
    gender, group = (np.nan_to_num(values).astype(np.int64) for values in (gender, group))
    parts = (band, gender, city, group, band * 2 + gender, group * 2 + city)
    indicators = [np.eye(int(part.max(initial=0)) + 1)[part] for part in parts]
    years = np.nan_to_num((age - np.nanmean(age)) / max(float(np.nanstd(age)), 1e-9))
    cells = np.column_stack([np.ones(len(age)), *indicators, years])
    return np.vstack([cells, np.eye(cells.shape[1])[:1]])


def profile_means(cells: Floats, tastes: Floats, sd: Floats) -> Floats:
    """The prior's mean for every row of `cells`: the part of true tastes that the profile predicts.

    By ridge regression over users. cells: shape (users + 1, cells); tastes: (users, size); sd: (size,), of what is the
    users' own.
    """
    inner = cells[:-1].T @ cells[:-1]
    told = [
        np.linalg.solve(inner + np.eye(len(inner)) * (spread / PROFILE_SPREAD) ** 2, cells[:-1].T @ values)
        for values, spread in zip(tastes.T, sd, strict=True)
    ]
    return np.asarray(cells @ np.array(told).T)


def _inputs(truth: Truth) -> Floats:
    """What each post multiplies a user's (level, topic tastes, sub-theme tastes) by.

    Shape (posts, 1 + topics + dimensions).
    """
    topics, _ = _widths(truth)
    return np.hstack([np.ones((len(truth.posts.topic), 1)), np.eye(topics)[truth.posts.topic], truth.posts.vector])


def _widths(truth: Truth) -> tuple[int, int]:
    return truth.tastes.topic.shape[1], truth.tastes.theme.shape[1]


def _views(feed: Feed, truth: Truth, users: Index) -> ObservedViews:
    """Of all users from the first to the last of `users`.

    A session ends where the next view is further away than the gaps within a session.
    """
    start = microseconds(truth.start)
    columns = fetch(
        feed.database,
        f"""
        WITH gaps AS (
            SELECT *, coalesce(instant - lag(instant) OVER own > {GAP_SECONDS[1] * MICROSECONDS}, false)::INT AS opens
            FROM feed WHERE NOT is_like AND user_id BETWEEN {users[0]} AND {users[-1]}
            WINDOW own AS (PARTITION BY user_id ORDER BY instant, post_id)
        ), sessions AS (
            SELECT *, sum(opens) OVER own AS session FROM gaps
            WINDOW own AS (PARTITION BY user_id ORDER BY instant, post_id ROWS UNBOUNDED PRECEDING)
        )
        SELECT user_id, post_id, instant - {start} AS since, clicked,
            row_number() OVER (PARTITION BY user_id, session ORDER BY instant, post_id) - 1 AS place
        FROM sessions ORDER BY user_id, instant, post_id
        """,
    )
    since, place = (columns[name].astype(np.int64) for name in ("since", "place"))
    post = columns["post_id"].astype(np.int64) - FIRST_POST
    hour = since % DAY // (DAY // 24)
    offset = (
        truth.bias
        + truth.posts.quality[post]
        + freshness(since / DAY - truth.posts.birth[post], truth.spec)
        + HOUR[hour]
        + PLACE[np.minimum(place, len(PLACE) - 1)]
    )
    return ObservedViews(columns["user_id"].astype(np.int64), post, offset, columns["clicked"].astype(np.float64))
