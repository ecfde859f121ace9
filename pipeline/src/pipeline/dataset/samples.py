"""Samples of the feed: the views that a model learns from, and those that it is evaluated on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
from ranking.examples import Examples, Index

from pipeline.dataset.feed import Feed, fetch, microseconds
from pipeline.dataset.history import Batch, History, Requests
from pipeline.errors import LentaError

MILLION = 1_000_000
LEAST_VIEWS = 6
"""A user with fewer views in the test window is left out."""


class NothingToLearnError(LentaError):
    """A feed that a model cannot be trained on."""


def training_requests(feed: Feed, seed: int, rows: int) -> tuple[Requests, npt.NDArray[np.float64]]:
    """About `rows` views, drawn by a hash of (user, post, time), in order of time, and whether a like followed each.

    Like rows are no examples: they are counted as likes, never as views that nobody liked.
    Raises NothingToLearnError for a feed without views, LentaError where `rows` is so small that none was drawn.
    """
    if feed.rows == 0:
        raise NothingToLearnError(f"{feed.why_empty}: nothing to learn from")
    if feed.views == 0:
        raise NothingToLearnError("feed_data has likes but no views: a model learns from views that were liked or not")
    share = max(1, int(MILLION * min(1.0, rows / feed.views)))
    drawn = fetch(
        feed.database,
        f"SELECT instant, user_id, post_id, clicked FROM feed WHERE NOT is_like "
        f"AND hash(user_id, post_id, instant, {seed}) % {MILLION} < {share} ORDER BY instant, user_id, post_id",
    )
    clicked = drawn["clicked"].astype(np.float64)
    if not len(clicked):
        raise LentaError(f"{rows} of {feed.views:,} views are so few that none was drawn; ask for more rows")
    users, posts, times = (drawn[name].astype(np.int64) for name in ("user_id", "post_id", "instant"))
    return Requests(users, posts, times), clicked


def _check_classes(feed: Feed, clicked: npt.NDArray[np.float64]) -> None:
    """Raises NothingToLearnError when all of what was drawn was liked, or nothing."""
    where = "feed_data" if len(clicked) == feed.views else f"{len(clicked):,} drawn from feed_data"
    if not clicked.any():
        raise NothingToLearnError(f"no view in {where} was liked (target is never 1): nothing to learn from")
    if clicked.all():
        raise NothingToLearnError(f"every view in {where} was liked (target is always 1): nothing to learn from")


def learn_from(
    history: History, requests: Requests, clicked: npt.NDArray[np.float64]
) -> tuple[Examples, npt.NDArray[np.float32]]:
    """The examples and their features, float32 in Fortran order, shape (n, schema + own columns).

    Raises NothingToLearnError when all were liked, or none.
    """
    from contracts.features import SCHEMA

    _check_classes(history.feed, clicked)
    history.ask(requests)
    width = len(SCHEMA) + len(history.own.features)
    features = np.empty((len(clicked), width), np.float32, order="F")
    parts: list[Batch] = []
    low = 0
    for batch in history.batches():
        high = low + len(batch.user_id)
        features[low:high] = batch.features()
        parts.append(batch)
        low = high
    return _examples(history, parts, features[:, SCHEMA.index("post_rate")], clicked), features


def _examples(
    history: History, parts: list[Batch], post_odds: npt.NDArray[np.float32], clicked: npt.NDArray[np.float64]
) -> Examples:
    joined: dict[str, npt.NDArray[np.generic]] = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in (
            "user_id",
            "post",
            "profile",
            "topic_views",
            "topic_likes",
            "liked_from",
            "liked",
            "since_like",
            "time",
        )
    }
    return Examples(
        posts=history.feed.posts,
        all_liked=history.liked,
        user=joined["user_id"].astype(np.int64),
        post=joined["post"].astype(np.int64),
        profile=joined["profile"].astype(np.float64),
        topic_views=joined["topic_views"].astype(np.float64),
        topic_likes=joined["topic_likes"].astype(np.float64),
        liked_from=joined["liked_from"].astype(np.int64),
        liked=joined["liked"].astype(np.int64),
        since_like=joined["since_like"].astype(np.float64),
        time=joined["time"].astype(np.int64),
        post_odds=post_odds.astype(np.float64),
        clicked=clicked,
    )


@dataclass(frozen=True)
class Viewed:
    """The distinct posts that each evaluated user viewed in a test window; shape (n,), by user, then post."""

    user_id: Index
    post_id: Index
    liked: npt.NDArray[np.bool_]


def viewed_in(feed: Feed, start: datetime, end: datetime) -> Viewed:
    """Of users with at least LEAST_VIEWS views in [start, end). liked: by a like row there, or a view with target 1."""
    low, high = microseconds(start), microseconds(end)
    viewed = fetch(
        feed.database,
        f"""
        WITH shown AS (SELECT * FROM feed WHERE instant >= {low} AND instant < {high}),
        evaluated AS (SELECT user_id FROM shown WHERE NOT is_like GROUP BY 1 HAVING count(*) >= {LEAST_VIEWS})
        SELECT user_id, post_id, bool_or(is_like OR clicked) AS liked FROM shown JOIN evaluated USING (user_id)
        GROUP BY 1, 2 HAVING bool_or(NOT is_like) ORDER BY 1, 2
        """,
    )
    return Viewed(
        viewed["user_id"].astype(np.int64), viewed["post_id"].astype(np.int64), viewed["liked"].astype(np.bool_)
    )
