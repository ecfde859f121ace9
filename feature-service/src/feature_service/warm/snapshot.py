"""From one Postgres snapshot into a generation. Memory does not grow with the feed: Postgres groups, a server-side
cursor streams, Redis is written in chunks.

What the append script may have written meanwhile is not replaced (`SETNX`, `HSETNX`) but added to (`APPEND`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from itertools import groupby
from operator import attrgetter
from typing import TypeVar

import numpy as np
from contracts.catalogue import next_tick_after, tick_of
from contracts.own import OwnColumn, OwnColumns, pack
from contracts.records import AGE_BANDS, RECENT_VIEWS, SEGMENTS, Counts, Profile, latest
from contracts.wire import UserProfile
from sqlalchemy import Connection, Row, TextClause, text

from feature_service.database import offsets
from feature_service.database.engine import naive
from feature_service.database.own import declared
from feature_service.database.queries import query
from feature_service.keyspace.connection import Client, Pipeline
from feature_service.keyspace.keys import OWN_COLUMNS, Keys, all_shards
from feature_service.keyspace.posts import (
    COUNTER,
    COUNTERS,
    NEVER,
    POST_ID,
    SECOND,
    TOPIC_INDEX,
    counter_of,
    publish_snapshot,
    text_entry,
)
from feature_service.keyspace.scripts import DROP_GONE, LOAD_TEXT, LOAD_USERS

Progress = Callable[[str, int, int], None]
"""What is being loaded, how much of it is done, out of how much."""

UserRecord = tuple[int, str, bytes]
"""The user, a key, its value."""

CHUNK = 5_000
AT_ONCE = 500
"""Users whom one script writes: Redis serves others in between."""
POPULAR = 50
MAX_SECONDS = 2**32 - 1
T = TypeVar("T")
U = TypeVar("U")

_USERS = text("SELECT user_id, age, gender, country, city, exp_group, os, source FROM user_data")
_USERS_WITH_OWN = text(
    "SELECT user_id, age, gender, country, city, exp_group, os, source, own FROM user_data "
    "LEFT JOIN user_own USING (user_id)"
)
_OWN_OF_POSTS = text("SELECT own FROM post_text_df LEFT JOIN post_own ON post_id = id ORDER BY id")
_POSTS = text("SELECT id, text, topic, at AS gone FROM post_text_df LEFT JOIN posts_gone ON post_id = id ORDER BY id")
_POST_COUNTS = query(__package__, "post_counts")
_OPEN_HOURS = query(__package__, "open_hours")
_USER_COUNTS = query(__package__, "user_counts")
_RECENT_VIEWS = query(__package__, "recent_views")
_LIKES = query(__package__, "likes")
_TO_THE_END = text("SET LOCAL cursor_tuple_fraction = 1")
"""Otherwise a cursor is planned for its first tenth: by index, row by row, four times slower for all rows."""
_ESTIMATE = text("SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = 'user_data'::regclass")


class Loader:
    """Fills the keys of one generation from what the connection's snapshot shows.

    beside: another connection at the same snapshot, for what is read in parallel.
    """

    def __init__(
        self,
        client: Client,
        connection: Connection,
        beside: Connection,
        keys: Keys,
        now: datetime,
        progress: Progress,
    ) -> None:
        self._client, self._connection, self._beside, self._keys = client, connection, beside, keys
        self._now, self._tick, self._progress = int(now.timestamp()), tick_of(now), progress

    def load(self, shards: int) -> tuple[int, int]:
        """Everything, with the shards' offsets of the same snapshot. The numbers of users and posts."""
        for connection in (self._connection, self._beside):
            connection.execute(_TO_THE_END)
        for shard in all_shards(shards):
            self._client.set(self._keys.offset(shard), offsets.read(self._connection, shard))
        own = self._own_columns()
        users = self._profiles(own)
        topics, places = self._posts()
        self._own_of_posts(own)
        liked = self._post_counts(places)
        with ThreadPoolExecutor(1) as thread:
            hidden = thread.submit(self._hidden)
            self._counts(topics)
            hidden.result()
        self._popular(liked, places)
        publish_snapshot(self._client, self._keys)
        return users, len(places)

    def _own_columns(self) -> OwnColumns:
        """What the team declared: told to those who put profiles and posts before the first of them is read."""
        own = declared(self._connection)
        for key in (OWN_COLUMNS, self._keys.own_columns):
            self._client.set(key, own.model_dump_json())
        return own

    def _profiles(self, own: OwnColumns) -> int:
        total = int(self._connection.execute(_ESTIMATE).scalar_one())
        loaded = 0
        for rows in in_chunks(self._connection, _USERS_WITH_OWN if own.user else _USERS):
            profiles = [(row.user_id, self._keys.profile(row.user_id), _record(row, own.user)) for row in rows]
            self._write_users("SETNX", profiles)
            loaded += len(rows)
            self._progress("profiles", loaded, max(total, loaded))
        return loaded

    def _posts(self) -> tuple[list[str], dict[int, int]]:
        topics: list[str] = list(
            self._connection.execute(text("SELECT DISTINCT topic FROM post_text_df ORDER BY topic")).scalars()
        )
        place_of = {topic: place for place, topic in enumerate(topics)}
        ids: list[int] = []
        topic_of: list[int] = []
        gone_at: list[int] = []
        for rows in in_chunks(self._connection, _POSTS):
            with self._client.pipeline(transaction=False) as pipe:
                for row in rows:
                    self._text(pipe, row.id, text_entry(row.id, row.text, row.topic), _seconds(row.gone))
                pipe.execute()
            ids += [row.id for row in rows]
            gone_at += [_seconds(row.gone) for row in rows]
            topic_of += [place_of[row.topic] for row in rows]
            self._progress("posts", len(ids), len(ids))
        with self._client.pipeline() as pipe:
            pipe.set(self._keys.posts, np.array(ids, POST_ID).tobytes())
            pipe.set(self._keys.topic_of, np.array(topic_of, TOPIC_INDEX).tobytes())
            pipe.set(self._keys.gone_at, np.array(gone_at, SECOND).tobytes())
            if topics:
                pipe.rpush(self._keys.topics, *topics).sadd(self._keys.known_topics, *topics)
            pipe.execute()
        self._client.eval(DROP_GONE, 2, self._keys.texts, self._keys.gone)
        return topics, {post: place for place, post in enumerate(ids)}

    def _text(self, pipe: Pipeline, post_id: int, entry: bytes, gone: int) -> None:
        """Of a post that is there still. gone: since when it is not, in seconds, 0 for never."""
        if gone == NEVER:
            pipe.hsetnx(self._keys.texts, post_id, entry)
        elif gone > self._now:
            pipe.eval(LOAD_TEXT, 2, self._keys.texts, self._keys.expires, post_id, entry, gone)

    def _own_of_posts(self, own: OwnColumns) -> None:
        """In the order of `_posts`."""
        if own.post:
            packed = bytearray()
            for rows in in_chunks(self._connection, _OWN_OF_POSTS):
                packed += b"".join(pack(own.post, row.own or {}) for row in rows)
            self._client.set(self._keys.own, bytes(packed))

    def _post_counts(self, places: dict[int, int]) -> list[tuple[str, int, int]]:
        """(segment, post, likes of that segment for that post)."""
        liked: list[tuple[str, int, int]] = []
        counts = np.zeros((len(places), *COUNTERS), COUNTER)
        first_view, until = np.zeros(len(places), COUNTER), 0
        values = {"tick": naive(datetime.fromtimestamp(self._tick, UTC)), "bands": list(AGE_BANDS)}
        for row in self._connection.execute(_POST_COUNTS, values):
            if (place := places.get(row.post_id)) is not None:
                segment = _segment(row.band)
                counts[place, segment] = row.views, row.likes
                first_view[place] = _seconds(row.first_view)
                until = max(until, next_tick_after(_seconds(row.last))) if row.last else until
                liked.append((SEGMENTS[segment], row.post_id, row.all_likes))
        with self._client.pipeline() as pipe:
            pipe.set(self._keys.counts, counts.tobytes()).set(self._keys.first_view, first_view.tobytes())
            pipe.set(self._keys.tick, self._tick).set(self._keys.counted_until, until)
            for row in self._connection.execute(_OPEN_HOURS, values):
                if (place := places.get(row.post_id)) is not None:
                    counter = counter_of(place, _segment(row.band), row.action == "like")
                    pipe.hincrby(self._keys.hours, f"{_seconds(row.hour)}:{counter}", row.n)
            pipe.execute()
        return liked

    def _counts(self, topics: Sequence[str]) -> None:
        place_of = {topic: place for place, topic in enumerate(topics)}
        done = 0
        users = groupby(
            (row for rows in in_chunks(self._connection, _USER_COUNTS) for row in rows), attrgetter("user_id")
        )
        for chunk in _chunks(users, lambda pair: (pair[0], _counts(pair[1], place_of))):
            recent = self._recent([user_id for user_id, _ in chunk])
            records: list[UserRecord] = []
            for user_id, counts in chunk:
                viewed = latest(np.array(recent.get(user_id, []), np.int64).reshape(-1, 2))
                records.append((user_id, self._keys.user_counts(user_id), replace(counts, recent=viewed).pack()))
            self._write_users("SET", records)
            done += len(chunk)
            self._progress("counts", done, done)

    def _recent(self, users: list[int]) -> dict[int, list[tuple[int, int]]]:
        """Time and post of each user's last views."""
        views: dict[int, list[tuple[int, int]]] = {}
        for row in self._connection.execute(_RECENT_VIEWS, {"users": users, "recent": RECENT_VIEWS}):
            views.setdefault(row.user_id, []).append((_seconds(row.timestamp), row.post_id))
        return views

    def _hidden(self) -> None:
        done = 0
        users = groupby((row for rows in in_chunks(self._beside, _LIKES) for row in rows), attrgetter("user_id"))
        for chunk in _chunks(users, lambda pair: (pair[0], [row.post_id for row in pair[1]])):
            hidden = [(user, self._keys.hidden(user), np.array(posts, "<u4").tobytes()) for user, posts in chunk]
            self._write_users("APPEND", hidden)
            done += len(chunk)
            self._progress("likes", done, done)

    def _write_users(self, command: str, records: Sequence[UserRecord]) -> None:
        """But of users who were forgotten meanwhile: what they did after that is theirs at the next warm-up."""
        with self._client.pipeline(transaction=False) as pipe:
            for first in range(0, len(records), AT_ONCE):
                flat = [part for record in records[first : first + AT_ONCE] for part in record]
                pipe.eval(LOAD_USERS, 1, self._keys.forgotten, command, *flat)
            pipe.execute()

    def _popular(self, liked: list[tuple[str, int, int]], places: dict[int, int]) -> None:
        """Most liked first, and when each was first seen: the gateway's fallback."""
        by_segment: dict[str, list[tuple[int, int]]] = {}
        overall: dict[int, int] = {}
        for segment, post, likes in liked:
            by_segment.setdefault(segment, []).append((likes, post))
            overall[post] = overall.get(post, 0) + likes
        lists = {segment: _top(pairs) for segment, pairs in by_segment.items()}
        everyone = _top([(likes, post) for post, likes in overall.items()])
        if not everyone:
            everyone = list(
                self._connection.execute(text("SELECT id FROM post_text_df ORDER BY id LIMIT 50")).scalars()
            )
        texts = self._texts({post for posts in [everyone, *lists.values()] for post in posts})
        first_view = np.frombuffer(self._client.get(self._keys.first_view) or b"", COUNTER)
        popular = {
            "overall": [texts[post] for post in everyone if post in texts],
            "segments": {
                segment: [texts[post] for post in posts if post in texts] for segment, posts in sorted(lists.items())
            },
            "first_view_at": {post: int(first_view[places[post]]) for post in sorted(texts) if post in places},
        }
        self._client.set(self._keys.popular, json.dumps(popular, ensure_ascii=False))

    def _texts(self, posts: set[int]) -> dict[int, object]:
        ordered = sorted(posts)
        entries = self._client.hmget(self._keys.texts, ordered) if ordered else []
        return {post: json.loads(entry) for post, entry in zip(ordered, entries, strict=True) if entry is not None}


def in_chunks(connection: Connection, statement: TextClause) -> Iterator[Sequence[Row[tuple[object, ...]]]]:
    """Rows in chunks from a server-side cursor. The option is set for this statement alone: the connection's others may
    be planned for all their rows at once, in parallel."""
    yield from connection.execute(statement, execution_options={"yield_per": CHUNK}).partitions(CHUNK)


def _chunks(items: Iterator[T], make: Callable[[T], U]) -> Iterator[list[U]]:
    chunk: list[U] = []
    for item in items:
        chunk.append(make(item))
        if len(chunk) == CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _counts(rows: Iterator[Row[tuple[object, ...]]], place_of: dict[str, int]) -> Counts:
    views, likes = np.zeros(len(place_of), np.uint32), np.zeros(len(place_of), np.uint32)
    last_view = last_like = 0
    for row in rows:
        views[place_of[row.topic]], likes[place_of[row.topic]] = row.views, row.likes
        last_view, last_like = max(last_view, _seconds(row.last_view)), max(last_like, _seconds(row.last_like))
    return Counts(last_view, last_like, views, likes)


def _record(row: Row[tuple[object, ...]], own: Sequence[OwnColumn]) -> bytes:
    """A profile as Redis holds it. own: the columns of users that are declared."""
    return Profile.of(_profile(row), pack(own, row.own or {}) if own else b"").pack()


def _profile(row: Row[tuple[object, ...]]) -> UserProfile:
    return UserProfile.model_construct(
        **{name: value for name, value in row._mapping.items() if name not in {"user_id", "own"}}
    )


def _top(likes: list[tuple[int, int]]) -> list[int]:
    return [post for count, post in sorted(likes, key=lambda pair: (-pair[0], pair[1]))[:POPULAR] if count > 0]


def _segment(band: int | None) -> int:
    """As `contracts.records.segments_of`: an unknown age is the last."""
    return len(SEGMENTS) - 1 if band is None else band


def _seconds(moment: datetime | None) -> int:
    """As records hold it, 0 for never; clipped to 1970..2106, since an import may hold anything."""
    return 0 if moment is None else min(max(0, int(moment.replace(tzinfo=UTC).timestamp())), MAX_SECONDS)
