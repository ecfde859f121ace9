"""The features of a (user, post, time): the one definition, for training and for serving.

`Pairs` holds raw counts, `derive` turns them into columns. Offline every field is an array over sampled rows;
in a ranker the user's fields have shape (1,) and the posts' shape (posts,). Each row sees nothing at
or after its own time; counts of posts, topics and segments are as of the last hourly tick (`contracts.catalogue`).

The schema is append-only: new names go to the end, and a model names the prefix that it was trained on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from hashlib import sha256
from typing import Self

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
DAY = 86_400.0

PRIOR_RATE = 0.1
"""The like rate before anything is known."""
PRIOR_VIEWS = 100.0
"""Views' worth of trust in it."""
USER_SMOOTHING = 50.0
TOPIC_SMOOTHING = 1_000.0
POST_SMOOTHING = 300.0
POST_OWN_SMOOTHING = 20.0
"""Little: where posts differ much, or are viewed little. Two strengths side by side let a model choose."""
SEGMENT_TOPIC_SMOOTHING = 1_000.0
SEGMENT_POST_SMOOTHING = 300.0
POST_OWN_SMOOTHING = 20.0
"""Little: where posts differ much, or are viewed little. Two strengths side by side let a model choose."""
USER_TOPIC_SMOOTHING = 30.0
EXPOSURE_SMOOTHING = 10.0
RECENCY_LIMIT_DAYS = 14.0
AGE_LIMIT_DAYS = 45.0
"""Beyond these, time makes no difference: serving stays within what training saw."""


@dataclass(frozen=True, kw_only=True)
class PostInputs:
    """Counts of posts, topics and one segment of users as of a tick: the half of `Pairs` that depends on no one user.

    Each field is called as in `contracts.catalogue.Catalogue`, by which serving reads it, and as a column of
    `pipeline.dataset.counters`, by which training does: neither names the fields again. Float64, shape (1,), (topics,)
    or (n,); `segment_*` are counts of the users of the user's own segment (`contracts.records.SEGMENTS`); times in
    seconds since the epoch, 0 for never.
    """

    total_views: Array
    total_likes: Array
    topic_views: Array
    topic_likes: Array
    topic_posts: Array
    """How many posts of the topic anybody has seen."""
    topic_first_views: Array
    """The sum of the times at which each of them was first seen."""
    post_views: Array
    post_likes: Array
    first_view_at: Array
    segment_topic_views: Array
    segment_topic_likes: Array
    segment_views: Array
    """Of the post, and so the likes."""
    segment_likes: Array
    counted_until: Array
    """Where the hour of the last counted event ends, whatever its post (`contracts.catalogue`)."""


@dataclass(frozen=True, kw_only=True)
class Pairs(PostInputs):
    """Raw inputs, float64, shape (1,) or (n,); NaN for an unknown profile field; times as in `PostInputs`.

    os, source, country, city are ranks by frequency (`contracts.vocabulary`), NaN if missing.
    """

    age: Array
    gender: Array
    exp_group: Array
    os: Array
    source: Array
    country: Array
    city: Array
    user_views: Array
    user_likes: Array
    last_view_at: Array
    last_like_at: Array
    user_topic_views: Array
    user_topic_likes: Array
    seen: Array
    """1 where the post is among the user's last views (`contracts.records.RECENT_VIEWS`), else 0."""
    topic: Array
    """Index in the model's topics, -1 for one that training never saw."""
    now: Array
    spread: npt.NDArray[np.intp] | None = None
    """If given, the fields of topics (`topic_*`, `segment_topic_*`, `user_topic_*`) hold each topic once, and row i's
    topic stands at spread[i]: what a user and a topic give is then computed once a topic, not once a post."""


PROFILE = ("age", "gender", "exp_group", "os", "source", "country", "city")
"""The fields of `Pairs` that a profile gives, in the order of its columns."""
POST_INPUTS = tuple(field.name for field in fields(PostInputs))


def rate(likes: Array, views: Array, prior: Array | float, strength: float) -> Array:
    """Likes per view, shrunk towards `prior` by `strength` views (the mean of a beta posterior)."""
    return (likes + strength * np.asarray(prior)) / (views + strength)


def logit(share: Array) -> Array:
    return np.log(share) - np.log1p(-share)


def posterior_sd(post_views: Array, log_odds: Array) -> Array:
    """Of a post's log-odds of a like after so many views, by the delta method on the beta posterior behind `post_rate`.

    log_odds: the posterior mean. Shape (n,) each.
    """
    share = 1.0 / (1.0 + np.exp(-log_odds))
    return np.asarray(1.0 / np.sqrt((post_views + POST_SMOOTHING + 1.0) * share * (1.0 - share)))


def _days_since(time: Array, now: Array, limit: float) -> Array:
    """Days, at least 0 and at most `limit`; NaN for never."""
    return np.where(time > 0, np.clip((now - time) / DAY, 0.0, limit), np.nan)


def _exposure(p: Pairs) -> Array:
    """Log of the post's views over those that posts of its topic have on average after as long since their first view.

    Where the feed favours good posts it tells them from others; 0 for a post that nobody has seen.
    """
    topic_seconds = np.maximum(p.topic_posts * p.counted_until - p.topic_first_views, 1.0)
    seconds = np.where(p.first_view_at > 0, p.counted_until - p.first_view_at, 0.0)
    expected = seconds * _of_row(p, p.topic_views / topic_seconds)
    return np.log((p.post_views + EXPOSURE_SMOOTHING) / (expected + EXPOSURE_SMOOTHING))


def _log_age(p: Pairs) -> Array:
    """Log of 1 + days since the post was first seen, as of the last hourly tick: so that it is computed once a
    catalogue. 0 for a post that nobody has seen."""
    return np.log1p(np.nan_to_num(_days_since(p.first_view_at, p.counted_until, AGE_LIMIT_DAYS)))


@dataclass(frozen=True, slots=True)
class PostOdds:
    """Like rates by the counts of posts and topics alone, over all users and in one segment.

    It changes with the catalogue, and between users only by their segment.
    """

    overall: Array
    """Likes per view of all, shape (1,) or (n,)."""
    topic_share: Array
    """The topic's likes per view; shape as the topics' fields."""
    topic: Array
    """Log-odds of the row's topic, shape (n,); `post`: of its post."""
    post: Array
    segment_topic: Array
    """As the two above, among users of the segment."""
    segment_post: Array
    post_own: Array
    """As `post`, by little more than the post's own views."""

    @classmethod
    def of(cls, p: Pairs) -> Self:
        overall = _bounded(rate(p.total_likes, p.total_views, PRIOR_RATE, PRIOR_VIEWS))
        topic = _bounded(rate(p.topic_likes, p.topic_views, overall, TOPIC_SMOOTHING))
        post = _bounded(rate(p.post_likes, p.post_views, _of_row(p, topic), POST_SMOOTHING))
        here = _bounded(rate(p.segment_topic_likes, p.segment_topic_views, topic, SEGMENT_TOPIC_SMOOTHING))
        expected = _bounded(post * _of_row(p, here / topic))
        post_here = _bounded(rate(p.segment_likes, p.segment_views, expected, SEGMENT_POST_SMOOTHING))
        own = _bounded(rate(p.post_likes, p.post_views, _of_row(p, topic), POST_OWN_SMOOTHING))
        return cls(
            overall, topic, _of_row(p, logit(topic)), logit(post), _of_row(p, logit(here)), logit(post_here), logit(own)
        )


class _LogOdds:
    """Log-odds of the rates that several features share, each computed once a call."""

    def __init__(self, p: Pairs, posts: PostOdds) -> None:
        user = _bounded(rate(p.user_likes, p.user_views, posts.overall, USER_SMOOTHING))
        expected = _bounded(posts.topic_share * (user / posts.overall))
        user_topic = _bounded(rate(p.user_topic_likes, p.user_topic_views, expected, USER_TOPIC_SMOOTHING))
        self.user, self.user_topic = logit(user), _of_row(p, logit(user_topic))
        self.topic, self.post = posts.topic, posts.post
        self.segment_topic, self.segment_post = posts.segment_topic, posts.segment_post
        self.post_own = posts.post_own


def _of_row(p: Pairs, of_topic: Array) -> Array:
    """A topic's value, at every row of that topic."""
    return of_topic if p.spread is None else of_topic[p.spread]


def _bounded(share: Array) -> Array:
    return np.clip(share, 1e-4, 1 - 1e-4)


_DEFINITIONS: dict[str, Callable[[Pairs, _LogOdds], Array]] = {
    "age": lambda p, odds: p.age,
    "gender": lambda p, odds: p.gender,
    "exp_group": lambda p, odds: p.exp_group,
    "os": lambda p, odds: p.os,
    "source": lambda p, odds: p.source,
    "country": lambda p, odds: p.country,
    "city": lambda p, odds: p.city,
    "user_views": lambda p, odds: np.log1p(p.user_views),
    "user_rate": lambda p, odds: odds.user,
    "days_since_view": lambda p, odds: _days_since(p.last_view_at, p.now, RECENCY_LIMIT_DAYS),
    "days_since_like": lambda p, odds: _days_since(p.last_like_at, p.now, RECENCY_LIMIT_DAYS),
    "topic": lambda p, odds: p.topic,
    "topic_rate": lambda p, odds: odds.topic,
    "post_views": lambda p, odds: np.log1p(p.post_views),
    "post_rate": lambda p, odds: odds.post,
    "post_age_days": lambda p, odds: _days_since(p.first_view_at, p.now, AGE_LIMIT_DAYS),
    "user_topic_views": lambda p, odds: _of_row(p, np.log1p(p.user_topic_views)),
    "user_topic_rate": lambda p, odds: odds.user_topic,
    "user_topic_lift": lambda p, odds: odds.user_topic - odds.user,
    "user_topic_by_post": lambda p, odds: odds.user_topic + odds.post - odds.topic,
    "segment_topic_lift": lambda p, odds: odds.segment_topic - odds.topic,
    "segment_post_lift": lambda p, odds: odds.segment_post - odds.post,
    "post_exposure": lambda p, odds: _exposure(p),
    "seen": lambda p, odds: p.seen,
    "post_log_age": lambda p, odds: _log_age(p),
    "post_own_rate": lambda p, odds: odds.post_own,
}

SCHEMA: tuple[str, ...] = tuple(_DEFINITIONS)


BY_SEGMENT = frozenset({"segment_topic_lift", "segment_post_lift"})
"""Features that are the same for all users of a segment at all times, as long as the catalogue does not change."""
BY_POST = BY_SEGMENT | {
    "topic",
    "topic_rate",
    "post_views",
    "post_rate",
    "post_own_rate",
    "post_exposure",
    "post_log_age",
}
"""These, and those that are the same for every user."""


def schema_id(names: Sequence[str] = SCHEMA) -> str:
    """Identifies a schema, or the prefix of one. A team's own columns go behind (`contracts.own.OwnColumns.marks`)."""
    return sha256("\n".join(names).encode()).hexdigest()[:16]


def derive(pairs: Pairs, out: npt.NDArray[np.float32], posts: PostOdds | None = None) -> None:
    """Writes the first `out.shape[1]` features of SCHEMA into `out`, float32, shape (n, features).

    posts: odds of the same posts and segment, computed before; then `out` holds the columns BY_POST already, and they
    are left as they are.
    """
    odds = _LogOdds(pairs, posts or PostOdds.of(pairs))
    for column, name in enumerate(SCHEMA[: out.shape[1]]):
        if posts is None or name not in BY_POST:
            out[:, column] = _DEFINITIONS[name](pairs, odds)
