"""The feed as serving would hold it at a moment: catalogue snapshot and users' rows, for golden requests and tests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

import numpy as np
import numpy.typing as npt
from contracts.catalogue import Catalogue, next_tick_after, tick_of
from contracts.records import SEGMENTS, Counts, IntArray, Profile, latest, pack_row
from contracts.vocabulary import CATEGORIES

from pipeline.dataset.feed import MICROSECONDS, Columns, Feed, fetch, load, microseconds, places

NEVER = 2**62
NO_VIEWS = np.zeros((0, 2), np.int64)


def catalogue_at(feed: Feed, moment: datetime) -> Catalogue:
    """Every post of the feed's tables, with its counts before the last tick."""
    tick = tick_of(moment)
    counted = fetch(
        feed.database,
        f"SELECT post_id, coalesce(segment, {len(SEGMENTS) - 1}) AS segment, "
        f"count(*) FILTER (WHERE NOT is_like) AS views, "
        f"count(*) FILTER (WHERE is_like) AS likes, "
        f"coalesce(min(instant) FILTER (WHERE NOT is_like) // {MICROSECONDS}, 0) AS first_view, "
        f"max(instant) // {MICROSECONDS} AS last "
        f"FROM feed LEFT JOIN segments USING (user_id) WHERE instant < {tick * MICROSECONDS} GROUP BY ALL",
    )
    post = np.searchsorted(feed.posts.ids, counted["post_id"])
    first_view = np.full(len(feed.posts.ids), NEVER)
    seen = counted["views"].astype(np.int64) > 0
    np.minimum.at(first_view, post[seen], counted["first_view"][seen])
    return Catalogue(
        version=0,
        counted_until=next_tick_after(int(counted["last"].max())) if len(post) else 0,
        topics=np.array(feed.posts.topics, np.str_),
        post_id=feed.posts.ids,
        topic=feed.posts.topic.astype(np.int16),
        first_view_at=np.where(first_view < NEVER, first_view, 0),
        segment_views=_by_segment(feed, post, counted, "views"),
        segment_likes=_by_segment(feed, post, counted, "likes"),
        own_columns=feed.own.columns,
        own=feed.own.post,
    )


def _by_segment(feed: Feed, post: npt.NDArray[np.intp], counted: Columns, what: str) -> npt.NDArray[np.uint32]:
    counts = np.zeros((len(feed.posts.ids), len(SEGMENTS)), np.uint32)
    counts[post, counted["segment"]] = counted[what]
    return counts


def rows_at(feed: Feed, users: Sequence[int], moment: datetime) -> list[bytes]:
    """Each user's packed row as of `moment`; an empty one for an unknown user."""
    load(feed.database, "asked", {"user_id": np.unique(np.array(users, np.int64))})
    counts, hidden = _counts(feed, moment), _hidden(feed, moment)
    return [pack_row(_profile(feed, user), counts.get(user, b""), hidden.get(user, b"")) for user in users]


def _profile(feed: Feed, user: int) -> bytes:
    people = feed.people
    place = int(places(people.ids, np.array([user]), missing=-1)[0])
    if place < 0:
        return b""
    age, gender, exp_group = (None if np.isnan(value) else int(value) for value in people.plain[place])
    codes = {name: int(people.codes[name][place]) for name in CATEGORIES}
    own = feed.own.user[place].astype("<u4").tobytes() if feed.own.columns.user else b""
    return Profile(age, gender, exp_group, **codes, own=own).pack()


def _counts(feed: Feed, moment: datetime) -> dict[int, bytes]:
    """Of each of the users in `asked` who did anything before `moment`."""
    counted = fetch(
        feed.database,
        f"SELECT user_id, topic, count(*) FILTER (WHERE NOT is_like) AS views, "
        f"count(*) FILTER (WHERE is_like) AS likes, "
        f"coalesce(max(instant) FILTER (WHERE NOT is_like), 0) // {MICROSECONDS} AS last_view, "
        f"coalesce(max(instant) FILTER (WHERE is_like), 0) // {MICROSECONDS} AS last_like "
        f"FROM feed JOIN asked USING (user_id) WHERE instant < {microseconds(moment)} GROUP BY ALL ORDER BY user_id",
    )
    recent = _recent(feed, moment)
    packed: dict[int, bytes] = {}
    for user, rows in _by_user(counted):
        views, likes = (np.zeros(len(feed.posts.topics), np.uint32) for _ in range(2))
        views[counted["topic"][rows]], likes[counted["topic"][rows]] = counted["views"][rows], counted["likes"][rows]
        last_view, last_like = counted["last_view"][rows].max(), counted["last_like"][rows].max()
        packed[user] = Counts(last_view, last_like, views, likes, recent.get(user, NO_VIEWS)).pack()
    return packed


def _recent(feed: Feed, moment: datetime) -> dict[int, IntArray]:
    viewed = fetch(
        feed.database,
        f"SELECT user_id, instant // {MICROSECONDS} AS at, post_id FROM feed JOIN asked USING (user_id) "
        f"WHERE NOT is_like AND instant < {microseconds(moment)} ORDER BY user_id",
    )
    views = np.column_stack([viewed["at"], viewed["post_id"]]).astype(np.int64)
    return {user: latest(views[rows]) for user, rows in _by_user(viewed)}


def _hidden(feed: Feed, moment: datetime) -> dict[int, bytes]:
    liked = fetch(
        feed.database,
        f"SELECT user_id, post_id FROM likes JOIN asked USING (user_id) WHERE instant < {microseconds(moment)} "
        "ORDER BY user_id, instant, post_id",
    )
    return {user: liked["post_id"][rows].astype("<u4").tobytes() for user, rows in _by_user(liked)}


def _by_user(rows: Columns) -> Iterator[tuple[int, slice]]:
    """rows: in the order of `user_id`."""
    users, starts, counts = np.unique(rows["user_id"], return_index=True, return_counts=True)
    for user, low, count in zip(users, starts, counts, strict=True):
        yield int(user), slice(low, low + count)
