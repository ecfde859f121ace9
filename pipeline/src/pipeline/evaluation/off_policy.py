"""What a model would have got had it served, from views that a feed showed at random.

The unit is a view in the window [cut, cut + 15 days); the policy is five posts per user: those that a ranker would
answer at the cut, out of the posts shown before it. The feed shows these to whoever looks, post a with propensity
m(a), its share of their views.

- **Replay** (Li, Chu, Langford & Wang 2011): the like rate of the views whose post is among the user's five. What the
  feed shows often weighs more in it.
- **Inverse propensity** (Horvitz & Thompson 1952), self-normalised (Swaminathan & Joachims 2015): these views weigh
  1 / m(a) each, so every place of the five counts alike. m(a) is estimated on the same window, as Hirano, Imbens &
  Ridder (2003) advise.
- **Hit probability at five**: no view shows five posts at once. So p(u, a) is the model's own probability of a like,
  its log-odds shifted by the one constant that makes the weighted mean of p over those views equal the weighted like
  rate; and a user's five are missed with probability prod(1 - p(u, a)). Means over users, weighted by their views.
  Tastes that the model does not know make it slightly high: the product is convex.

Valid for views that the feed itself chose, not for those that a ranker chose. Intervals: bootstrap over users.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
from ranking.examples import Index
from scipy.special import expit

from pipeline.dataset.feed import Feed, fetch, load, microseconds
from pipeline.errors import LentaError
from pipeline.measures.accuracy import Estimate, Floats, K, percentiles, resampled_means

MOST_USERS = 20_000
"""Of more users a sample is taken: each is ranked as a request would be."""
SHIFTS = np.hstack([-30.0, np.linspace(-3.0, 3.0, 61), 30.0])
"""Of log-odds: the hit probability's constant is interpolated among them. At the ends nothing or all is liked."""


@dataclass(frozen=True)
class Logged:
    """Views in the window by some users, of posts shown before it.

    users: ascending, shape (users,); user: index in them, shape (views,) as are the next; propensity: of the post.
    """

    users: Index
    user: Index
    post_id: Index
    liked: npt.NDArray[np.bool_]
    propensity: Floats

    @property
    def views(self) -> Floats:
        """By user."""
        return np.bincount(self.user, minlength=len(self.users)).astype(np.float64)

    def rate(self, rng: np.random.Generator) -> Estimate:
        """Likes per view of the feed as it was."""
        sums = np.column_stack([self.views, np.bincount(self.user, self.liked, len(self.users))])
        drawn = resampled_means(sums, rng)
        return percentiles(float(self.liked.mean()), drawn[:, 1] / drawn[:, 0])


@dataclass(frozen=True)
class Slates:
    """What each user would be recommended. post_id, log_odds: shape (users, 5); fewer posts leave -1 and -inf."""

    post_id: Index
    log_odds: Floats

    @classmethod
    def empty(cls, users: int) -> Slates:
        return cls(np.full((users, K), -1, np.int64), np.full((users, K), -np.inf))

    def put(self, place: int, post_id: Index, log_odds: Floats) -> None:
        self.post_id[place, : len(post_id)], self.log_odds[place, : len(post_id)] = post_id, log_odds


@dataclass(frozen=True)
class Value:
    """What a policy would get. matched: views whose post it would have recommended."""

    matched: int
    replay: Estimate
    like_rate: Estimate
    hits: Estimate


def logged_views(feed: Feed, cut: datetime, end: datetime, posts: Index, seed: int) -> Logged:
    """Views of `posts` in [cut, end). Raises LentaError when there are none."""
    load(feed.database, "shown", {"post_id": posts})
    low, high = microseconds(cut), microseconds(end)
    columns = fetch(
        feed.database,
        "SELECT user_id, post_id, clicked, count(*) OVER (PARTITION BY post_id) / count(*) OVER () AS propensity "
        "FROM feed JOIN shown USING (post_id) "
        f"WHERE NOT is_like AND instant >= {low} AND instant < {high} ORDER BY ALL",
    )
    users = np.unique(columns["user_id"]).astype(np.int64)
    if not len(users):
        raise LentaError("no view in the window is of a post that was shown before it: nothing to estimate by")
    if len(users) > MOST_USERS:
        users = np.sort(np.random.default_rng(seed).choice(users, MOST_USERS, replace=False))
    own = np.isin(columns["user_id"], users)
    return Logged(
        users=users,
        user=np.searchsorted(users, columns["user_id"][own]).astype(np.int64),
        post_id=columns["post_id"][own].astype(np.int64),
        liked=columns["clicked"][own].astype(np.bool_),
        propensity=columns["propensity"][own].astype(np.float64),
    )


def value_of(logged: Logged, slates: Slates, rng: np.random.Generator) -> Value:
    """Raises LentaError when no view is of a post that the policy would recommend."""
    same = slates.post_id[logged.user] == logged.post_id[:, None]
    view, place = np.nonzero(same)
    if not len(view):
        raise LentaError("no view in the window is of a post that would be recommended: take more users or more days")
    user, liked = logged.user[view], logged.liked[view].astype(np.float64)
    weight = 1.0 / logged.propensity[view]
    said = expit(slates.log_odds[user, place][:, None] + SHIFTS)
    columns = np.column_stack([np.ones(len(view)), liked, weight, weight * liked, weight[:, None] * said])
    views = logged.views[:, None]
    missed = np.prod(1.0 - expit(slates.log_odds[:, :, None] + SHIFTS), axis=1)
    sums = np.column_stack([_by_user(columns, user, len(logged.users)), views, views * (1.0 - missed)])
    own, drawn = _figures(sums.mean(axis=0)[None])[0], _figures(resampled_means(sums, rng))
    replay, like_rate, hits = (percentiles(float(own[at]), drawn[:, at]) for at in range(3))
    return Value(len(view), replay, like_rate, hits)


def _by_user(columns: Floats, user: Index, users: int) -> Floats:
    """Sums of rows, shape (users, columns)."""
    sums = np.zeros((users, columns.shape[1]))
    np.add.at(sums, user, columns)
    return sums


def _figures(sums: Floats) -> Floats:
    """Replay, like rate, hit probability, shape (draws, 3). sums: shape (draws, columns), laid out as in `value_of`."""
    count, likes, weight, weighted = np.maximum(sums[:, :4], 1e-12).T
    said, views, hits = sums[:, 4 : 4 + len(SHIFTS)], sums[:, 4 + len(SHIFTS)], sums[:, 5 + len(SHIFTS) :]
    hit = [np.interp(got, *rows) for got, *rows in zip(weighted, said, hits, strict=True)]
    return np.column_stack([likes / count, weighted / weight, np.array(hit) / views])
