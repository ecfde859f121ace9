"""What the service reads from Redis and appends to the log: every call is one round trip."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import redis.exceptions
from chassis.errors import InvalidParameter, Unavailable
from contracts.clock import Clock
from contracts.own import NOTHING_DECLARED, Entity, OwnColumns, OwnValueError, pack
from contracts.records import pack_row
from contracts.wire import (
    Assignments,
    EventBatch,
    OwnValues,
    PopularPosts,
    Post,
    PostContent,
    Shadowed,
    UserProfile,
)

from feature_service.experiments.published import running_now
from feature_service.keyspace import keys
from feature_service.keyspace.clock import ServiceClock
from feature_service.keyspace.connection import AsyncClient, AsyncScript
from feature_service.keyspace.scripts import APPEND, PUBLISH, READ_ROW, READ_TEXTS, READ_VALUE
from feature_service.log.entries import (
    NO_EFFECT,
    Body,
    Exposed,
    FeedEvent,
    Forgotten,
    Published,
    Registered,
    ShadowAnswered,
    TakenDown,
    UserAssigned,
    as_json,
    effect_of,
)
from feature_service.serving.together import Together

MAX_AHEAD = timedelta(minutes=5)
"""In real time: a client's clock may be wrong by this much."""
EMPTY = 'Redis holds no features: run "lenta warm"'


class Store:
    """Raises Unavailable when Redis is down, full or empty."""

    def __init__(self, client: AsyncClient, clock: ServiceClock, shards: int, max_topics: int) -> None:
        self._client, self._clock, self._shards, self._max_topics = client, clock, shards, max_topics
        self._read_row = client.register_script(READ_ROW)
        self._read_value = client.register_script(READ_VALUE)
        self._read_texts = client.register_script(READ_TEXTS)
        self._append = client.register_script(APPEND)
        self._publish = client.register_script(PUBLISH)
        self._rows: Together[int, bytes] = Together(self._read_rows)
        self._exposures: Together[tuple[str, bytes], None] = Together(self._append_exposures)

    async def row(self, user_id: int) -> bytes:
        """The user's row, packed; an empty one for an unknown user."""
        return await self._rows.ask(user_id)

    async def value(self, name: str) -> bytes:
        """`catalogue` or `catalogue_version`."""
        value: bytes = await self._ask(self._read_value, name)
        return value

    async def popular(self) -> PopularPosts:
        """As of the warm-up, with the texts of now, without posts that are gone."""
        popular = PopularPosts.model_validate_json(await self._ask(self._read_value, "popular"))
        lists = [popular.overall, *popular.segments.values()]
        texts = await self.texts(sorted({post.id for posts in lists for post in posts}))
        there = {post.id: post for post in map(Post.model_validate_json, texts)}
        overall, *segments = ([there[post.id] for post in posts if post.id in there] for posts in lists)
        named = dict(zip(popular.segments, segments, strict=True))
        return PopularPosts(overall=overall, segments=named, first_view_at=popular.first_view_at)

    async def gone(self) -> bytes:
        """Posts that went lately, as uint32 each: what may still be remembered somewhere."""
        (gone,) = await self._ask(self._read_row, await self._now())
        return bytes(gone)

    async def running(self) -> tuple[bytes, str, str]:
        """`Running` as JSON, its ETag, and the version of all texts: another one once any of them has changed."""
        names = [keys.EXPERIMENTS, keys.CLOCK, keys.GENERATION, keys.TEXTS_CHANGED]
        try:
            published, clock, generation, changed = await self._client.mget(names)
        except (redis.exceptions.RedisError, OSError) as error:
            raise Unavailable("the store does not answer") from error
        if published is None:
            raise Unavailable(EMPTY)
        return *running_now(published, clock), f"{(generation or b'').decode()}.{(changed or b'0').decode()}"

    async def texts(self, ids: Sequence[int]) -> list[bytes]:
        """Each known post as JSON, in the order of ids."""
        if not ids:
            return []
        return [post for post in await self._ask(self._read_texts, await self._now(), *ids) if post is not None]

    async def append_events(self, batch: EventBatch, clock: Clock) -> None:
        """Durable when it returns. Raises InvalidParameter for an event from the future or from before 1970."""
        entries: list[tuple[str, Body]] = []
        now = clock.now()
        latest = now + max(clock.speed, 1.0) * MAX_AHEAD
        for place, event in enumerate(batch.events):
            at = event.timestamp or now
            if fault := timestamp_fault(at, latest):
                field = f"events.{place}.timestamp"
                raise InvalidParameter(f"{field}: {at.isoformat()} lies {fault}", field=field)
            entries.append((self._user_log(event.user_id), FeedEvent(event=event, at=at)))
        await self._write(entries)

    async def append_user(self, user_id: int, profile: UserProfile) -> None:
        own = await self._packed("user", profile.own)
        await self._write([(self._user_log(user_id), Registered(user_id=user_id, profile=profile, own=own))])

    async def forget_user(self, user_id: int) -> None:
        """Durable when it returns; Postgres follows."""
        await self._write([(self._user_log(user_id), Forgotten(user_id=user_id))])

    async def append_post(self, post_id: int, content: PostContent) -> None:
        """Durable when it returns. Raises InvalidParameter for a topic beyond those that there may be."""
        own, log = await self._packed("post", content.own), keys.log_key(keys.POSTS_SHARD)
        body = Published(post_id=post_id, content=content, own=own)
        arguments = (log, as_json(body), *effect_of(body), content.topic, self._max_topics)
        if not await self._ask(self._publish, *arguments):
            fault = f"there are {self._max_topics} topics already, and {content.topic[:50]!r} is none of them"
            raise InvalidParameter(f"topic: {fault}", field="topic")

    async def take_down(self, post_id: int) -> None:
        """Durable, and gone from the very next answer, when it returns."""
        await self._write([(keys.log_key(keys.POSTS_SHARD), TakenDown(post_id=post_id))])

    async def append_exposure(self, user_id: int, exposure: bytes) -> None:
        """exposure: JSON that has been read as an `Exposure` of this user."""
        await self._exposures.ask((self._user_log(user_id), Exposed.around(exposure)))

    async def append_assignments(self, batch: Assignments) -> None:
        await self._write([(self._user_log(each.user_id), UserAssigned(assigned=each)) for each in batch.assigned])

    async def append_shadow(self, shadow: Shadowed) -> None:
        await self._write([(self._user_log(shadow.user_id), ShadowAnswered(shadow=shadow))])

    async def _read_rows(self, users: Sequence[int]) -> list[bytes]:
        *parts, gone = [part or b"" for part in await self._ask(self._read_row, await self._now(), *users)]
        rows = zip(parts[0::3], parts[1::3], parts[2::3], strict=True)
        return [pack_row(profile, counts, hidden, gone) for profile, counts, hidden in rows]

    async def _now(self) -> int:
        return int((await self._clock.now()).timestamp())

    async def _append_exposures(self, entries: Sequence[tuple[str, bytes]]) -> list[None]:
        await self._ask(self._append, *(part for log, body in entries for part in (log, body, *NO_EFFECT)))
        return [None] * len(entries)

    async def _write(self, entries: Sequence[tuple[str, Body]]) -> None:
        """Each entry into its log, by name, and what it does at once."""
        arguments: list[str | int | bytes] = []
        for log, body in entries:
            arguments += (log, as_json(body), *effect_of(body))
        await self._ask(self._append, *arguments)

    async def _packed(self, entity: Entity, values: OwnValues | None) -> str | None:
        """As an entry holds them; asked for only where there are any. Raises InvalidParameter naming the column."""
        if not values:
            return None
        try:
            declared = await self._client.get(keys.OWN_COLUMNS)
        except (redis.exceptions.RedisError, OSError) as error:
            raise Unavailable("the store does not answer") from error
        columns = NOTHING_DECLARED if declared is None else OwnColumns.model_validate_json(declared)
        try:
            return pack(columns.of(entity), values).hex()
        except OwnValueError as error:
            raise InvalidParameter(f"own.{error}", field=f"own.{error.name}") from error

    async def _ask(self, script: AsyncScript, *arguments: str | int | bytes) -> Any:
        """What the script answers, never None."""
        try:
            answer = await script(args=arguments)
        except redis.exceptions.OutOfMemoryError as error:
            raise Unavailable("the store is full", retry_after=10) from error
        except (redis.exceptions.RedisError, OSError) as error:
            raise Unavailable("the store does not answer") from error
        if answer is None:
            raise Unavailable(EMPTY)
        return answer

    def _user_log(self, user_id: int) -> str:
        return keys.log_key(keys.shard_of(user_id, self._shards))


def timestamp_fault(at: datetime, latest: datetime) -> str | None:
    """Records count seconds since the epoch, with 0 for never."""
    if at > latest:
        return "in the future"
    return "before 1970" if at.timestamp() < 1 else None
