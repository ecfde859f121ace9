"""The feed as serving would hold it at a moment: the catalogue snapshot and users' rows. For golden requests and tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import numpy as np
import numpy.typing as npt
from contracts.catalogue import Catalogue, tick_of
from contracts.records import Counts, Profile, pack_row
from contracts.vocabulary import CATEGORIES

from pipeline.dataset.feed import MICROSECONDS, Feed, fetch, microseconds, places


def catalogue_at(feed: Feed, moment: datetime) -> Catalogue:
    """Every post of the feed's tables, with its counts before the last tick."""
    tick = tick_of(moment)
    found = fetch(
        feed.database,
        f"SELECT id, count(*) FILTER (WHERE is_like = false) AS views, count(*) FILTER (WHERE is_like) AS likes, "
        f"coalesce(min(instant) FILTER (WHERE is_like = false), 0) // {MICROSECONDS} AS first_view "
        f"FROM posts LEFT JOIN feed ON post_id = id AND instant < {tick * MICROSECONDS} GROUP BY id ORDER BY id",
    )
    return Catalogue(
        version=0,
        tick=tick,
        topics=np.array(feed.posts.topics, np.str_),
        post_id=feed.posts.ids,
        topic=feed.posts.topic.astype(np.int16),
        first_view_at=found["first_view"].astype(np.int64),
        views=found["views"].astype(np.int64),
        likes=found["likes"].astype(np.int64),
    )


def subset(catalogue: Catalogue, chosen: npt.NDArray[np.intp]) -> Catalogue:
    arrays = {
        name: getattr(catalogue, name)[chosen] for name in ("post_id", "topic", "first_view_at", "views", "likes")
    }
    return replace(catalogue, **arrays)


def rows_at(feed: Feed, users: Sequence[int], moment: datetime) -> list[bytes]:
    """Each user's packed row as of `moment`; of a user whom nobody knows, an empty one."""
    return [pack_row(_profile(feed, user), _counts(feed, user, moment), _hidden(feed, user, moment)) for user in users]


def _profile(feed: Feed, user: int) -> bytes:
    people = feed.people
    place = int(places(people.ids, np.array([user]), missing=-1)[0])
    if place < 0:
        return b""
    age, gender, exp_group = (None if np.isnan(value) else int(value) for value in people.plain[place])
    codes = {name: int(people.codes[name][place]) for name in CATEGORIES}
    return Profile(age, gender, exp_group, **codes).pack()


def _counts(feed: Feed, user: int, moment: datetime) -> bytes:
    found = feed.database.execute(
        f"SELECT topic, count(*) FILTER (WHERE NOT is_like), count(*) FILTER (WHERE is_like), "
        f"coalesce(max(instant) FILTER (WHERE NOT is_like), 0) // {MICROSECONDS}, "
        f"coalesce(max(instant) FILTER (WHERE is_like), 0) // {MICROSECONDS} "
        f"FROM feed WHERE user_id = {user} AND instant < {microseconds(moment)} GROUP BY topic"
    ).fetchall()
    if not found:
        return b""
    views, likes = (np.zeros(len(feed.posts.topics), np.uint32) for _ in range(2))
    for topic, viewed, liked, *_ in found:
        views[topic], likes[topic] = viewed, liked
    return Counts(max(row[3] for row in found), max(row[4] for row in found), views, likes).pack()


def _hidden(feed: Feed, user: int, moment: datetime) -> bytes:
    found = feed.database.execute(
        f"SELECT post_id FROM likes WHERE user_id = {user} AND instant < {microseconds(moment)} "
        "ORDER BY instant, post_id"
    ).fetchall()
    return np.array([post for (post,) in found], "<u4").tobytes()
