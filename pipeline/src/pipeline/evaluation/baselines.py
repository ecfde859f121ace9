"""What an evening's work would give: popular posts of the user's segment, and matrix factorisation."""

from __future__ import annotations

import numpy as np
from contracts.features import POST_SMOOTHING, logit
from contracts.records import AGE_BANDS
from ranking.examples import Index
from scipy.special import expit

from pipeline.dataset.feed import Feed, fetch, load, places
from pipeline.dataset.samples import Viewed
from pipeline.measures.accuracy import Floats

FACTORS = 32
SEGMENT_POPULAR, PURE_SVD = "segment popular", "PureSVD"


def age_band(feed: Feed, users: Index) -> Index:
    """The index of each user's age band in AGE_BANDS: its length for the oldest, one more for an unknown age."""
    age = np.append(feed.people.plain[:, 0], np.nan)[feed.people.places(users)]
    band = np.searchsorted(AGE_BANDS, age, side="right")
    return np.where(np.isnan(age), len(AGE_BANDS) + 1, band).astype(np.int64)


def segment_popular_scores(feed: Feed, viewed: Viewed, popular: Floats) -> Floats:
    """A post's like rate among users of the same age band, in log-odds. Shape (n,).

    Shrunk towards `popular`, the log-odds of its rate among all users.
    """
    users = fetch(feed.database, "SELECT DISTINCT user_id FROM feed")["user_id"].astype(np.int64)
    load(feed.database, "bands", {"user_id": users, "band": age_band(feed, users)})
    asked = {"row": np.arange(len(popular)), "post_id": viewed.post_id, "band": age_band(feed, viewed.user_id)}
    load(feed.database, "asked_bands", asked)
    counts = fetch(
        feed.database,
        """
        WITH counts AS (
            SELECT post_id, band, count(*) FILTER (WHERE NOT is_like) AS views, count(*) FILTER (WHERE is_like) AS likes
            FROM feed JOIN bands USING (user_id) GROUP BY ALL
        )
        SELECT coalesce(views, 0)::DOUBLE AS views, coalesce(likes, 0)::DOUBLE AS likes
        FROM asked_bands LEFT JOIN counts USING (post_id, band) ORDER BY row
        """,
    )
    prior = expit(popular)
    views, likes = (counts[name].astype(np.float64) for name in ("views", "likes"))
    rate = (likes + POST_SMOOTHING * prior) / (views + POST_SMOOTHING)
    return np.asarray(logit(np.clip(rate, 1e-4, 1 - 1e-4)))


def pure_svd_scores(feed: Feed, viewed: Viewed, seed: int) -> Floats:
    """PureSVD on all likes before the feed's end (Cremonesi, Koren & Turrin 2010).

    Shape (n,); 0 where nothing is known.
    """
    from scipy.sparse import csr_matrix
    from scipy.sparse.linalg import svds

    liked, users, starts = feed.liked()
    size = (len(users), len(feed.posts.ids))
    factors = min(FACTORS, *(side - 1 for side in size))
    if factors < 1:
        return np.zeros(len(viewed.post_id))
    ends = np.append(starts, len(liked.posts))
    likes = csr_matrix((np.ones(len(liked.posts)), liked.posts, ends), shape=size)
    _, _, directions = svds(likes, k=factors, rng=np.random.default_rng(seed))
    of_users, of_posts = (np.vstack([part, np.zeros((1, factors))]) for part in (likes @ directions.T, directions.T))
    user = places(users, viewed.user_id, missing=size[0])
    post = places(feed.posts.ids, viewed.post_id, missing=size[1])
    return np.asarray(np.einsum("nd,nd->n", of_users[user], of_posts[post]), np.float64)
