"""Builds the next generation in Redis from one Postgres snapshot, catches up with the log, and puts it into service.

While it builds, likes and profiles go into both generations (the append script sees to it), so that only counts have
to be replayed. Memory here does not grow with the feed: Postgres groups, a server-side cursor streams.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from operator import attrgetter
from typing import TypeVar

import numpy as np
from chassis.settings import SettingsError
from contracts.catalogue import tick_of
from contracts.records import AGE_BANDS, Counts, Profile
from contracts.wire import UserProfile
from sqlalchemy import Connection, Engine, Row, text

from feature_service.applying import Applier
from feature_service.client import Client, connect_redis, wrong_settings
from feature_service.database import connect, naive
from feature_service.layout import BUILDING, GENERATION, RETIRED, Keys, all_shards
from feature_service.log import StreamLog, order
from feature_service.posts import COUNTER, POST_ID, TOPIC_INDEX, publish_snapshot, text_entry
from feature_service.scripts import FLIP
from feature_service.settings import Settings
from feature_service.writing import Writer

Progress = Callable[[str, int, int], None]
"""What is loaded, how much of it, out of how much."""

OLD_GENERATION_LIVES_SECONDS = 60
DRAIN_SECONDS = 60.0
CHUNK = 5_000
T = TypeVar("T")
U = TypeVar("U")
POPULAR = 50

_USERS = text("SELECT user_id, age, gender, country, city, exp_group, os, source FROM user_data")
_POSTS = text("SELECT id, text, topic FROM post_text_df ORDER BY id")
_POST_COUNTS = text(
    "SELECT post_id, count(*) FILTER (WHERE action = 'view' AND timestamp < :tick) AS views, "
    "count(*) FILTER (WHERE action = 'like' AND timestamp < :tick) AS likes, "
    "min(timestamp) FILTER (WHERE action = 'view') AS first_view FROM feed_data GROUP BY post_id"
)
_OPEN_HOURS = text(
    "SELECT post_id, action, date_trunc('hour', timestamp) AS hour, count(*) AS n FROM feed_data "
    "WHERE timestamp >= :tick GROUP BY 1, 2, 3"
)
_USER_COUNTS = text(
    "SELECT user_id, topic, count(*) FILTER (WHERE action = 'view') AS views, "
    "count(*) FILTER (WHERE action = 'like') AS likes, max(timestamp) FILTER (WHERE action = 'view') AS last_view, "
    "max(timestamp) FILTER (WHERE action = 'like') AS last_like "
    "FROM feed_data JOIN post_text_df ON id = post_id GROUP BY user_id, topic ORDER BY user_id"
)
_LIKES = text(
    "SELECT user_id, post_id FROM feed_data WHERE action = 'like' GROUP BY user_id, post_id "
    "ORDER BY user_id, min(timestamp), post_id"
)
_POPULAR = text(
    "SELECT CASE WHEN age IS NULL THEN 'unknown' ELSE width_bucket(age, CAST(:bands AS int[]))::text END AS segment, "
    "post_id, count(*) FILTER (WHERE action = 'view') AS views, count(*) FILTER (WHERE action = 'like') AS likes "
    "FROM feed_data LEFT JOIN user_data USING (user_id) JOIN post_text_df ON id = post_id GROUP BY 1, 2"
)
_EXPERIMENTS = text("SELECT definition FROM experiments WHERE running ORDER BY name")
_ESTIMATES = text("SELECT relname, greatest(reltuples, 0)::bigint AS n FROM pg_class WHERE relname IN ('user_data')")


class WarmError(RuntimeError):
    """Nothing was put into service; the generation before goes on. The message says why."""


@dataclass(frozen=True, slots=True)
class WarmReport:
    generation: int
    users: int
    posts: int
    seconds: float


def warm(
    redis_url: str,
    postgres_url: str,
    *,
    shards: int = 4,
    now: datetime | None = None,
    progress: Progress = lambda what, done, total: None,
) -> WarmReport:
    """Raises WarmError when Redis has the wrong settings or the log cannot be drained."""
    started = time.monotonic()
    engine = connect(postgres_url, pool_size=4, connect_seconds=10)
    try:
        with connect_redis(redis_url) as client:
            if fault := wrong_settings(client.config_get("*")):
                raise WarmError(fault)
            return _Warm(client, engine, shards, now or datetime.now(UTC), progress).run(started)
    finally:
        engine.dispose()


class _Warm:
    def __init__(self, client: Client, engine: Engine, shards: int, now: datetime, progress: Progress) -> None:
        self._client, self._engine, self._shards, self._progress = client, engine, shards, progress
        self._tick = tick_of(now)
        event_log = StreamLog(client)
        self._log = event_log
        self._writer = Writer(engine, event_log)
        self._applier = Applier(client, engine, event_log, self._writer)

    def run(self, started: float) -> WarmReport:
        delete_retired(self._client, time.time())
        generation = self._begin()
        keys = Keys(generation)
        try:
            self._drain()
            users, posts = self._load(keys)
            self._catch_up_and_flip(keys, generation)
        except BaseException:
            self._client.delete(BUILDING)
            delete_generation(self._client, generation)
            raise
        return WarmReport(generation, users, posts, time.monotonic() - started)

    def _begin(self) -> int:
        """The next generation's number. From here on likes and profiles go into both."""
        held = [int(value) for value in self._client.mget(GENERATION, BUILDING) if value]
        generation = max(held, default=0) + 1
        delete_generation(self._client, generation)
        self._client.set(BUILDING, generation)
        return generation

    def _drain(self) -> None:
        """Waits until Postgres holds what was appended before the generation began."""
        ends = {shard: self._log.end(shard) for shard in all_shards(self._shards)}
        deadline = time.monotonic() + DRAIN_SECONDS
        for shard, end in ends.items():
            while order(self._writer.offset(shard)) < order(end):
                if self._writer.write(shard) == 0:
                    if time.monotonic() > deadline:
                        raise WarmError(f"shard {shard} of the event log was not drained in {DRAIN_SECONDS:.0f} s")
                    time.sleep(0.05)

    def _load(self, keys: Keys) -> tuple[int, int]:
        with self._engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
            for shard in all_shards(self._shards):
                self._client.set(keys.offset(shard), _position(connection, shard))
            users = self._load_profiles(connection, keys)
            topics, places = self._load_posts(connection, keys)
            self._load_post_counts(connection, keys, places)
            self._load_counts(connection, keys, topics)
            self._load_hidden(connection, keys)
            self._load_popular(connection, keys)
            definitions = connection.execute(_EXPERIMENTS).scalars().all()
            self._client.set(keys.experiments, json.dumps(definitions))
        publish_snapshot(self._client, keys)
        return users, len(places)

    def _load_profiles(self, connection: Connection, keys: Keys) -> int:
        total = connection.execute(_ESTIMATES).one().n
        loaded = 0
        for rows in _stream(connection, _USERS):
            with self._client.pipeline(transaction=False) as pipe:
                for row in rows:
                    pipe.setnx(keys.profile(row.user_id), Profile.of(_profile(row)).pack())
                pipe.execute()
            loaded += len(rows)
            self._progress("profiles", loaded, max(total, loaded))
        return loaded

    def _load_posts(self, connection: Connection, keys: Keys) -> tuple[list[str], dict[int, int]]:
        topics: list[str] = list(
            connection.execute(text("SELECT DISTINCT topic FROM post_text_df ORDER BY topic")).scalars()
        )
        place_of = {topic: place for place, topic in enumerate(topics)}
        ids: list[int] = []
        topic_of: list[int] = []
        for rows in _stream(connection, _POSTS):
            with self._client.pipeline(transaction=False) as pipe:
                for row in rows:
                    pipe.hsetnx(keys.texts, row.id, text_entry(row.id, row.text, row.topic))
                pipe.execute()
            ids += [row.id for row in rows]
            topic_of += [place_of[row.topic] for row in rows]
            self._progress("posts", len(ids), len(ids))
        with self._client.pipeline() as pipe:
            pipe.set(keys.posts, np.array(ids, POST_ID).tobytes())
            pipe.set(keys.topic_of, np.array(topic_of, TOPIC_INDEX).tobytes())
            if topics:
                pipe.rpush(keys.topics, *topics)
            pipe.execute()
        return topics, {post: place for place, post in enumerate(ids)}

    def _load_post_counts(self, connection: Connection, keys: Keys, places: dict[int, int]) -> None:
        counts = np.zeros((len(places), 2), COUNTER)
        first_view = np.zeros(len(places), COUNTER)
        tick = {"tick": naive(datetime.fromtimestamp(self._tick, UTC))}
        for row in connection.execute(_POST_COUNTS, tick):
            if (place := places.get(row.post_id)) is not None:
                counts[place] = row.views, row.likes
                first_view[place] = _seconds(row.first_view)
        with self._client.pipeline() as pipe:
            pipe.set(keys.counts, counts.tobytes()).set(keys.first_view, first_view.tobytes()).set(
                keys.tick, self._tick
            )
            for row in connection.execute(_OPEN_HOURS, tick):
                if (place := places.get(row.post_id)) is not None:
                    pipe.hincrby(keys.hour(_seconds(row.hour)), f"{row.action[0]}{place}", row.n)
            pipe.execute()

    def _load_counts(self, connection: Connection, keys: Keys, topics: Sequence[str]) -> None:
        place_of = {topic: place for place, topic in enumerate(topics)}
        done = 0
        users = groupby((row for rows in _stream(connection, _USER_COUNTS) for row in rows), attrgetter("user_id"))
        for chunk in _chunks(users, lambda pair: (pair[0], _counts(pair[1], place_of))):
            with self._client.pipeline(transaction=False) as pipe:
                for user_id, counts in chunk:
                    pipe.set(keys.user_counts(user_id), counts.pack())
                pipe.execute()
            done += len(chunk)
            self._progress("counts", done, done)

    def _load_hidden(self, connection: Connection, keys: Keys) -> None:
        done = 0
        users = groupby((row for rows in _stream(connection, _LIKES) for row in rows), attrgetter("user_id"))
        for chunk in _chunks(users, lambda pair: (pair[0], [row.post_id for row in pair[1]])):
            with self._client.pipeline(transaction=False) as pipe:
                for user_id, posts in chunk:
                    pipe.append(keys.hidden(user_id), np.array(posts, "<u4").tobytes())
                pipe.execute()
            done += len(chunk)
            self._progress("likes", done, done)

    def _load_popular(self, connection: Connection, keys: Keys) -> None:
        """Most liked first: what the gateway falls back on."""
        by_segment: dict[str, list[tuple[int, int]]] = {}
        overall: dict[int, int] = {}
        for row in connection.execute(_POPULAR, {"bands": list(AGE_BANDS)}):
            by_segment.setdefault(row.segment, []).append((row.likes, row.post_id))
            overall[row.post_id] = overall.get(row.post_id, 0) + row.likes
        lists = {segment: _top(likes) for segment, likes in by_segment.items()}
        everyone = _top([(likes, post) for post, likes in overall.items()])
        if not everyone:
            everyone = list(connection.execute(text("SELECT id FROM post_text_df ORDER BY id LIMIT 50")).scalars())
        texts = self._texts(keys, {post for posts in [everyone, *lists.values()] for post in posts})
        popular = {
            "overall": [texts[post] for post in everyone],
            "segments": {segment: [texts[post] for post in posts] for segment, posts in sorted(lists.items())},
        }
        self._client.set(keys.popular, json.dumps(popular, ensure_ascii=False))

    def _texts(self, keys: Keys, posts: set[int]) -> dict[int, object]:
        ordered = sorted(posts)
        entries = self._client.hmget(keys.texts, ordered) if ordered else []
        return {post: json.loads(entry) for post, entry in zip(ordered, entries, strict=True)}

    def _catch_up_and_flip(self, keys: Keys, generation: int) -> None:
        retire_at = time.time() + OLD_GENERATION_LIVES_SECONDS
        while True:
            for shard in all_shards(self._shards):
                while self._applier.apply(keys, shard):
                    pass
            flipped = self._client.eval(FLIP, 0, generation, retire_at, self._shards)
            if flipped == 1:
                return
            if flipped == -1:
                raise WarmError("another `lenta warm` began meanwhile; its generation goes into service")


def delete_retired(client: Client, now: float) -> None:
    """Deletes the generations whose time is over."""
    for generation in client.zrangebyscore(RETIRED, "-inf", now):
        delete_generation(client, int(generation))
        client.zrem(RETIRED, generation)


def delete_generation(client: Client, generation: int) -> None:
    batch: list[bytes] = []
    for key in client.scan_iter(match=f"{Keys(generation).prefix}:*", count=1000):
        batch.append(key)
        if len(batch) == CHUNK:
            client.unlink(*batch)
            batch.clear()
    if batch:
        client.unlink(*batch)


def _stream(connection: Connection, statement: object) -> Iterator[Sequence[Row[tuple[object, ...]]]]:
    """Rows in chunks from a server-side cursor."""
    found = connection.execution_options(yield_per=CHUNK).execute(statement)  # type: ignore[call-overload]
    yield from found.partitions()


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


def _profile(row: Row[tuple[object, ...]]) -> UserProfile:
    return UserProfile.model_construct(**{name: value for name, value in row._mapping.items() if name != "user_id"})


def _top(likes: list[tuple[int, int]]) -> list[int]:
    return [post for count, post in sorted(likes, key=lambda pair: (-pair[0], pair[1]))[:POPULAR] if count > 0]


def _position(connection: Connection, shard: int) -> str:
    found = connection.execute(text("SELECT position FROM shard_offsets WHERE shard = :shard"), {"shard": shard})
    return found.scalar_one_or_none() or "0-0"


def _seconds(moment: datetime | None) -> int:
    return 0 if moment is None else int(moment.replace(tzinfo=UTC).timestamp())


def main() -> None:
    try:
        settings = Settings.read()
        report = warm(settings.redis_url, settings.postgres_url, shards=settings.shards)
    except (SettingsError, WarmError) as error:
        sys.exit(f"feature-service: {error}")
    print(f"generation {report.generation}: {report.users} users, {report.posts} posts in {report.seconds:.1f} s")


if __name__ == "__main__":
    main()
