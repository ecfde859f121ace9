"""Parts of the rows that users are judged by: each is ranked by itself, for users with enough rows there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from contracts.records import AGE_BANDS
from ranking.examples import Index

from pipeline.dataset.feed import Feed, fetch, load, microseconds, places
from pipeline.dataset.samples import LEAST_VIEWS, Viewed
from pipeline.evaluation.baselines import age_band
from pipeline.evaluation.ladder import Ladder, ladder
from pipeline.measures.accuracy import Floats

COLD_USER_VIEWS = 100
COLD_POST_TIME = timedelta(days=14)
Rows = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Segment:
    kind: str
    name: str


@dataclass(frozen=True)
class ViewCounts:
    """Of all posts and of each viewed row's user as of the cut.

    views: shape (posts,); first_view: microseconds since the epoch, 0 for never, (posts,); user_views: (rows,).
    """

    views: Floats
    first_view: Index
    user_views: Floats


def known_at_the_cut(feed: Feed, viewed: Viewed) -> ViewCounts:
    """feed: until the cut."""
    load(feed.database, "judged", {"user_id": np.unique(viewed.user_id)})
    posts = fetch(
        feed.database,
        "SELECT count(instant)::DOUBLE AS views, coalesce(min(instant), 0)::BIGINT AS first_view "
        "FROM posts LEFT JOIN (FROM feed WHERE NOT is_like) AS f ON f.post_id = posts.id "
        "GROUP BY posts.id ORDER BY posts.id",
    )
    users = fetch(
        feed.database,
        "SELECT user_id, count(instant)::DOUBLE AS views "
        "FROM judged LEFT JOIN (FROM feed WHERE NOT is_like) AS f USING (user_id) GROUP BY user_id ORDER BY user_id",
    )
    of_row = places(users["user_id"].astype(np.int64), viewed.user_id, missing=0)
    return ViewCounts(
        posts["views"].astype(np.float64),
        posts["first_view"].astype(np.int64),
        users["views"].astype(np.float64)[of_row],
    )


def segments(feed: Feed, viewed: Viewed, known: ViewCounts, cut: datetime) -> Iterator[tuple[Segment, Rows]]:
    """Rows by user, post, age and topic.

    Cold users have fewer than COLD_USER_VIEWS views before the cut; cold posts were first shown less than
    COLD_POST_TIME before it, or not yet.
    """
    post = places(feed.posts.ids, viewed.post_id, missing=0)
    few = known.user_views < COLD_USER_VIEWS
    yield Segment("users", f"fewer than {COLD_USER_VIEWS} views"), few
    yield Segment("users", f"{COLD_USER_VIEWS} views and more"), ~few
    first = known.first_view[post]
    cold = (first == 0) | (first >= microseconds(cut - COLD_POST_TIME))
    yield Segment("posts", f"new (under {COLD_POST_TIME.days} days)"), cold
    yield Segment("posts", "older"), ~cold
    band = age_band(feed, viewed.user_id)
    for place, name in enumerate(age_names()):
        yield Segment("age", name), band == place
    for place, topic in enumerate(feed.posts.topics):
        yield Segment("topic", topic), feed.posts.topic[post] == place


def age_names() -> list[str]:
    """In the order of `age_band`."""
    between = [f"{low} to {high - 1}" for low, high in pairwise(AGE_BANDS)]
    return [f"under {AGE_BANDS[0]}", *between, f"{AGE_BANDS[-1]} and more", "age unknown"]


def ladder_of(viewed: Viewed, scores: Mapping[str, Floats], rows: Rows) -> Ladder | None:
    """HitRate@5 among `rows` alone, of users with at least six of them; None when there are none."""
    users, counts = np.unique(viewed.user_id[rows], return_counts=True)
    chosen = rows & np.isin(viewed.user_id, users[counts >= LEAST_VIEWS])
    if not chosen.any():
        return None
    part = Viewed(viewed.user_id[chosen], viewed.post_id[chosen], viewed.liked[chosen])
    return ladder(part, {name: values[chosen] for name, values in scores.items()})
