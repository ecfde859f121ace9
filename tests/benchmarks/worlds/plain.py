"""Plain models that anybody would try first, on a world's own cut: EASE, the SVD of residuals, and tastes by texts.

They are tuned on the fifteen days before the cut, six tries each, and fitted anew on all before it.
"""

from __future__ import annotations

from datetime import datetime

import numpy as np
from pipeline.dataset.feed import Feed, fetch, microseconds, opened, places
from pipeline.dataset.samples import Viewed, viewed_in
from pipeline.evaluation.ladder import WINDOW
from pipeline.measures.accuracy import Floats
from pipeline.tables.folder import Tables
from scipy.sparse import csr_matrix
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfTransformer

from tests.benchmarks.public.comparison import side_of
from tests.benchmarks.public.peers import PEERS, by_taste
from tests.benchmarks.public.split import Index, Judged, Peer, Side, Split, Views, tuned_on

EASE_POSTS = 3_000
"""The inverse for a larger catalogue takes minutes."""


def texts(split: Split, side: Side, dimensions: int, ridge: float) -> Floats:
    """The post's rate, and the user's taste along the strongest directions of texts (tf-idf) by ridge regression."""
    words = csr_matrix(
        (np.ones(len(side.post)), (side.post, side.post_word)), (split.posts, int(side.post_word.max(initial=0)) + 1)
    )
    axes = TruncatedSVD(dimensions, random_state=0).fit_transform(TfidfTransformer().fit_transform(words))
    return by_taste(split, np.asarray(axes - axes.mean(axis=0), np.float64), ridge)


TEXTS = Peer(
    "tastes by texts",
    texts,
    [{"dimensions": n, "ridge": ridge} for n in (16, 64) for ridge in (10.0, 40.0, 160.0)],
)
COLLABORATIVE = {peer.name: peer for peer in PEERS if peer.name in ("EASE", "SVD of residuals")}
PLAIN = {**COLLABORATIVE, TEXTS.name: TEXTS}


def plain_scores(tables: Tables, cut: datetime, viewed: Viewed, name: str) -> Floats | None:
    """Of each row of `viewed`, what users viewed from `cut` on; None where it would take too long."""
    with opened(tables, cut) as feed:
        if name == "EASE" and len(feed.posts.ids) > EASE_POSTS:
            return None
        users = fetch(feed.database, "SELECT DISTINCT user_id FROM feed ORDER BY 1")["user_id"].astype(np.int64)
        views = _views(feed, users)
        valid = _split(views, feed, users, viewed_in(feed, cut - WINDOW, cut), cut - WINDOW)
        test = _split(views, feed, users, viewed, cut)
        return tuned_on(PLAIN[name], valid, test, side_of(feed, users)).scores


def _views(feed: Feed, users: Index) -> Views:
    rows = fetch(
        feed.database, "SELECT user_id, post_id, instant, clicked FROM feed WHERE NOT is_like ORDER BY instant, user_id"
    )
    user, post = (
        places(known, rows[name].astype(np.int64), missing=-1).astype(np.int64)
        for known, name in ((users, "user_id"), (feed.posts.ids, "post_id"))
    )
    return Views(user, post, rows["instant"].astype(np.int64), rows["clicked"].astype(np.bool_))


def _split(views: Views, feed: Feed, users: Index, viewed: Viewed, cut: datetime) -> Split:
    """Users whom nobody knew before the cut share a row behind the others', without views."""
    before = views.where(views.time < microseconds(cut))
    user = places(users, viewed.user_id, missing=len(users)).astype(np.int64)
    post = places(feed.posts.ids, viewed.post_id, missing=-1).astype(np.int64)
    judged = Judged(user, post, viewed.liked, np.full(len(user), microseconds(cut), np.int64))
    return Split(before, before, judged, len(users) + 1, len(feed.posts.ids))
