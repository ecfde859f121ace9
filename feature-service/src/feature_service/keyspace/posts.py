"""The posts of a generation: which exist, in which order, and the catalogue snapshot made of their counts."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import numpy.typing as npt
from contracts.catalogue import Catalogue
from contracts.own import NOTHING_DECLARED, VALUE, OwnColumn, OwnColumns, nothing
from contracts.records import SEGMENTS

from feature_service.keyspace.clock import read_clock
from feature_service.keyspace.connection import Client
from feature_service.keyspace.keys import TEXTS_CHANGED, Keys
from feature_service.keyspace.scripts import CLOSE_HOURS, EXPIRE, PUT_SNAPSHOT, READ_POSTS

COUNTER = ">u4"
"""As BITFIELD stores it."""
POST_ID = "<i4"
TOPIC_INDEX = "<i2"
SECOND = "<u4"
NEVER, LONG_AGO = 0, 1
"""Since when a post is gone: a post that was taken down is gone whatever the clock says."""
LATELY_SECONDS = 120
"""How long rows name a post that is gone: until no ranker's catalogue shows it any more. After that its missing text
keeps it from being shown."""
COUNTERS = (len(SEGMENTS), 2)
"""Of each post: views and likes by each segment."""


def counter_of(place: int, segment: int, is_like: bool) -> int:
    """The counter's number among those of all posts."""
    return (place * len(SEGMENTS) + segment) * 2 + is_like


@dataclass(frozen=True)
class Posts:
    """Which posts a generation holds. ids, topic: shape (posts,), in order of arrival."""

    ids: npt.NDArray[np.int32]
    topic: npt.NDArray[np.int16]
    topics: list[str]
    own: tuple[OwnColumn, ...] = ()
    """The columns of its posts that the team had declared when the generation was built."""

    @classmethod
    def read(cls, client: Client, keys: Keys) -> Posts:
        with client.pipeline(transaction=True) as pipe:
            pipe.get(keys.posts).get(keys.topic_of).lrange(keys.topics, 0, -1).get(keys.own_columns)
            ids, topic, topics, own = pipe.execute()
        return cls(
            np.frombuffer(ids or b"", POST_ID),
            np.frombuffer(topic or b"", TOPIC_INDEX),
            [t.decode() for t in topics],
            _columns(own).post,
        )

    def index(self) -> dict[int, int]:
        return {int(post_id): place for place, post_id in enumerate(self.ids)}


def publish_snapshot(client: Client, keys: Keys) -> None:
    """Builds the catalogue from what the generation holds now, by the platform's clock."""
    of_posts = (keys.posts, keys.topic_of, keys.topics, keys.counts, keys.first_view)
    names = (*of_posts, keys.tick, keys.counted_until, keys.gone_at, keys.changes)
    *parts, changes = client.eval(READ_POSTS, len(names), *names)
    catalogue = _catalogue(*parts, now=read_clock(client).now().timestamp())
    catalogue = _with_own(catalogue, *client.mget([keys.own_columns, keys.own]))
    places = (keys.catalogue, keys.catalogue_version, keys.snapshot_of)
    client.eval(PUT_SNAPSHOT, len(places), *places, catalogue.version, catalogue.pack(), changes)


def publish_missed_snapshot(client: Client, keys: Keys) -> None:
    """The one that is due since ingest died between a change and its snapshot."""
    changes, shown = client.mget([keys.changes, keys.snapshot_of])
    if int(changes or 0) != int(shown or 0):
        publish_snapshot(client, keys)


def _catalogue(
    version: int,
    ids: bytes,
    topic: bytes,
    topics: Sequence[bytes],
    counts: bytes,
    first_view: bytes,
    tick: bytes,
    until: bytes,
    gone_at: bytes,
    *,
    now: float,
) -> Catalogue:
    """Of what READ_POSTS answers, in its order."""
    post_id = np.frombuffer(ids, POST_ID).astype(np.int64)
    by_segment = _padded(counts, len(post_id) * math.prod(COUNTERS)).reshape(-1, *COUNTERS)
    first = _padded(first_view, len(post_id)).astype(np.int64)
    gone = np.frombuffer(gone_at, SECOND)[: len(post_id)]
    gone_places = np.flatnonzero((gone != NEVER) & (gone <= now))
    return Catalogue(
        version=version,
        counted_until=int(until),
        topics=np.array([name.decode() for name in topics], dtype=np.str_),
        post_id=post_id,
        topic=np.frombuffer(topic, TOPIC_INDEX).astype(np.int16),
        first_view_at=np.where(first < int(tick), first, 0),
        segment_views=by_segment[:, :, 0],
        segment_likes=by_segment[:, :, 1],
        gone=post_id[gone_places],
    )


def _columns(declared: bytes | None) -> OwnColumns:
    """Generations of before had none."""
    return NOTHING_DECLARED if declared is None else OwnColumns.model_validate_json(declared)


def _with_own(catalogue: Catalogue, declared: bytes | None, own: bytes | None) -> Catalogue:
    """own: read after the posts, so that it may hold more of them, or newer values."""
    columns = _columns(declared)
    if not columns.post:
        return replace(catalogue, own_columns=columns)
    whole = nothing(columns.post, len(catalogue))
    values = np.frombuffer(own or b"", VALUE).reshape(-1, len(columns.post))[: len(whole)]
    whole[: len(values)] = values
    return replace(catalogue, own_columns=columns, own=whole)


def _padded(data: bytes, length: int) -> npt.NDArray[np.uint32]:
    """Redis keeps counters up to the last one written; the others are 0."""
    values = np.frombuffer(data, COUNTER)[:length].astype(np.uint32)
    return np.pad(values, (0, length - len(values)))


def close_hours(client: Client, keys: Keys, tick: int) -> bool:
    """Moves to a new hourly tick: closes the hours before it, publishes a snapshot. False if there was none."""
    at = int(client.get(keys.tick) or 0)
    if tick <= at:
        return False
    names = [keys.tick, keys.counts, keys.hours, keys.changes, keys.counted_until]
    if not client.eval(CLOSE_HOURS, len(names), *names, at, tick):
        return False
    publish_snapshot(client, keys)
    return True


def seconds_of(expires: datetime | None) -> int:
    """Since when a post is gone, as records hold it: at least LONG_AGO, at most what 32 bits hold."""
    return NEVER if expires is None else min(max(LONG_AGO, int(expires.timestamp())), 2**32 - 1)


def expire(client: Client, keys: Keys, now: float) -> None:
    """Takes down the posts that have expired by `now`; their snapshot is due then."""
    names = (keys.texts, keys.expires, keys.gone, keys.changes, TEXTS_CHANGED)
    client.eval(EXPIRE, len(names), *names, int(now), LATELY_SECONDS)


def text_entry(post_id: int, text: str, topic: str) -> bytes:
    """A post's text as Redis holds it: the JSON that is answered."""
    return json.dumps({"id": post_id, "text": text, "topic": topic}, ensure_ascii=False).encode()
