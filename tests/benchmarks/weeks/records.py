"""What feature-service would hold while the weeks pass: users' rows at once, posts' counts as of the hour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from contracts.catalogue import Catalogue, next_tick_after
from contracts.records import RECENT_VIEWS, Counts, Profile, UserRow
from pipeline.dataset.feed import Feed
from pipeline.dataset.snapshots import catalogue_at, rows_at
from pipeline.world.simulation import FEED

LIKE_AFTER_SECONDS = 20


@dataclass
class _User:
    profile: Profile
    views: npt.NDArray[np.uint32]
    likes: npt.NDArray[np.uint32]
    recent: list[tuple[int, int]]
    hidden: list[int]
    last_view_at: int = 0
    last_like_at: int = 0


class Records:
    """feed: of the whole world, whose posts have yet to appear in part. now: from when on is recorded.

    births: when each of the feed's posts appears, in seconds since the epoch.
    """

    def __init__(self, feed: Feed, users: Sequence[int], now: datetime, births: npt.NDArray[np.float64]) -> None:
        self._counted, self._births = catalogue_at(feed, now), births
        self._rows: list[tuple[int, int, int, bool]] = []
        self._views, self._likes = self._counted.segment_views.copy(), self._counted.segment_likes.copy()
        self._first_view_at = self._counted.first_view_at.copy()
        topics = len(self._counted.topics)
        self._users = {
            user: _user(UserRow.unpack(row), topics) for user, row in zip(users, rows_at(feed, users, now), strict=True)
        }

    def catalogue(self, now: float) -> Catalogue:
        """Of the posts that exist, with all that was recorded before: called on the hour."""
        counted = replace(
            self._counted,
            counted_until=next_tick_after(now - 1),
            first_view_at=self._first_view_at.copy(),
            segment_views=self._views.copy(),
            segment_likes=self._likes.copy(),
        )
        return counted.only(np.flatnonzero(self._births <= now))

    def row(self, user: int) -> UserRow:
        held = self._users[user]
        counts = Counts(
            held.last_view_at, held.last_like_at, held.views, held.likes, np.array(held.recent).reshape(-1, 2)
        )
        return UserRow(held.profile, counts, np.array(held.hidden, np.uint32), known=True)

    def record(self, user: int, posts: Sequence[int], liked: npt.NDArray[np.bool_], at: int) -> None:
        """at: seconds since the epoch."""
        self._rows += [(at, user, post, bool(likes)) for post, likes in zip(posts, liked, strict=True)]
        held = self._users[user]
        place = self._counted.index_of(np.array(posts, np.int64))
        topic = self._counted.topic[place]
        np.add.at(held.views, topic, 1)
        np.add.at(held.likes, topic[liked], 1)
        held.recent = [*held.recent, *((at, post) for post in posts)][-RECENT_VIEWS:]
        held.hidden += [post for post, likes in zip(posts, liked, strict=True) if likes]
        held.last_view_at, held.last_like_at = at, at if liked.any() else held.last_like_at
        segment = held.profile.segment_index
        self._views[place, segment] += 1
        self._likes[place[liked], segment] += 1
        first = self._first_view_at[place]
        self._first_view_at[place] = np.where(first > 0, first, at)

    def played(self) -> pa.Table:
        """All that was recorded, as rows of the feed: a like some seconds after its view."""
        at, user, post, liked = (
            (np.array(column) for column in zip(*self._rows, strict=True)) if self._rows else [np.zeros(0, int)] * 4
        )
        likes = np.flatnonzero(liked)
        order = np.append(np.arange(len(at)), likes)
        is_like = np.arange(len(order)) >= len(at)
        return pa.table(
            {
                "timestamp": pa.array(at[order] + LIKE_AFTER_SECONDS * is_like, pa.timestamp("s")),
                "user_id": pa.array(user[order], pa.int32()),
                "post_id": pa.array(post[order], pa.int32()),
                "action": pa.array(np.where(is_like, "like", "view"), pa.string()),
                "target": pa.array(liked[order].astype(np.int8), pa.int8(), mask=is_like),
            },
            schema=FEED,
        )


def _user(row: UserRow, topics: int) -> _User:
    counts = row.counts.over(topics)
    recent = [(int(at), int(post)) for at, post in counts.recent]
    return _User(
        row.profile,
        counts.views.astype(np.uint32),
        counts.likes.astype(np.uint32),
        recent,
        row.hidden.tolist(),
        int(counts.last_view_at),
        int(counts.last_like_at),
    )
