"""What was liked beyond expectation, by user and post: the views of the feed as one sparse matrix."""

from __future__ import annotations

import numpy as np
from ranking.factors_fit import Residuals
from ranking.taste import Floats
from scipy.sparse import csr_matrix
from scipy.special import expit, logit

from pipeline.dataset.feed import Feed, fetch, places

VIEWS = 20_000_000
"""About as many, of whole users: beyond it factors of posts get no better, only slower."""
USER_SMOOTHING, POST_SMOOTHING = 20.0, 100.0
"""Views' worth of trust in the feed's rate."""
BATCH_ROWS = 1_000_000
PARTS = 1_000_000


def residuals_before(feed: Feed, instant: int, seed: int = 0, views: int = VIEWS) -> Residuals:
    """Of the views before `instant`, in microseconds. A like is expected by the rates of the user and of the post:
    their log-odds add up, less those of the feed's rate."""
    share = int(PARTS * min(1.0, views / max(feed.views, 1)))
    shown = f"FROM feed WHERE NOT is_like AND instant < {instant} AND hash(user_id, {seed}) % {PARTS} < {max(share, 1)}"
    counts = "count(*)::DOUBLE AS views, count(*) FILTER (WHERE clicked)::DOUBLE AS likes"
    by_user = fetch(feed.database, f"SELECT user_id, {counts} {shown} GROUP BY user_id ORDER BY user_id")
    by_post = fetch(feed.database, f"SELECT post_id, {counts} {shown} GROUP BY post_id ORDER BY post_id")
    place = places(feed.posts.ids, by_post["post_id"].astype(np.int64), missing=-1)
    of_posts = np.zeros((2, len(feed.posts.ids)))
    of_posts[:, place] = by_post["views"], by_post["likes"]
    of_users = np.stack([by_user["views"], by_user["likes"]]).astype(np.float64)
    rate = float((of_users[1].sum() + 1.0) / (of_users[0].sum() + 10.0))
    user_odds = logit(_shrunk(of_users, rate, USER_SMOOTHING))
    post_odds = logit(_shrunk(of_posts, rate, POST_SMOOTHING)) - logit(rate)
    start = np.append(0, np.cumsum(of_users[0])).astype(np.int64)
    post, sums = np.empty(start[-1], np.int32), np.empty(start[-1], np.float32)
    user_weight, post_weight = np.zeros(of_users.shape[1]), np.zeros(of_posts.shape[1])
    low = 0
    for batch in feed.database.sql(f"SELECT post_id, clicked {shown} ORDER BY user_id").to_arrow_reader(BATCH_ROWS):
        rows = slice(low, low + batch.num_rows)
        post[rows] = places(feed.posts.ids, batch["post_id"].to_numpy(), missing=-1)
        user = np.searchsorted(start, np.arange(rows.start, rows.stop), side="right") - 1
        expected = expit(user_odds[user] + post_odds[post[rows]])
        sums[rows] = batch["clicked"].to_numpy(zero_copy_only=False) - expected
        weight = expected * (1.0 - expected)
        user_weight += np.bincount(user, weight, len(user_weight))
        post_weight += np.bincount(post[rows], weight, len(post_weight))
        low = rows.stop
    matrix = csr_matrix((sums, post, start), (len(user_weight), len(post_weight)))
    people = feed.people
    profile = people.profiles(feed.vocabulary)[people.places(by_user["user_id"].astype(np.int64))]
    return Residuals(matrix, user_weight, post_weight, of_posts[1], rate, profile, post_odds)


def _shrunk(counts: Floats, rate: float, views: float) -> Floats:
    """counts: views and likes, shape (2, n)."""
    return np.asarray((counts[1] + views * rate) / (counts[0] + views))
