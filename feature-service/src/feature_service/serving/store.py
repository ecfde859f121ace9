"""What the service asks of Redis: every call is one round trip."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import redis.exceptions
from chassis.errors import InvalidParameter, Unavailable
from contracts.clock import Clock
from contracts.records import Profile, pack_row
from contracts.wire import Assignments, EventBatch, Exposure, PostContent, Shadowed, UserProfile

from feature_service.experiments.published import running_now
from feature_service.keyspace import keys
from feature_service.keyspace.connection import Client
from feature_service.keyspace.posts import text_entry
from feature_service.keyspace.scripts import APPEND, READ_ROW, READ_TEXTS, READ_VALUE
from feature_service.log.entries import Exposed, FeedEvent, Published, Registered, ShadowAnswered, UserAssigned

MAX_AHEAD = timedelta(minutes=5)
"""In real time: a client's clock may go wrong by this much."""
EMPTY = 'Redis holds no features: run "lenta warm"'

Append = tuple[str, str, str, int | str, bytes]
"""An entry of the append script: log, body, effect, its key, its value."""


class Store:
    """Raises Unavailable when Redis is down, full or empty."""

    def __init__(self, client: Client, shards: int) -> None:
        self._client, self._shards = client, shards
        self._read_row = client.register_script(READ_ROW)
        self._read_value = client.register_script(READ_VALUE)
        self._read_texts = client.register_script(READ_TEXTS)
        self._append = client.register_script(APPEND)

    async def row(self, user_id: int) -> bytes:
        """The user's row, packed; an empty one for a user whom nobody knows."""
        profile, counts, hidden = await self._ask(self._read_row, user_id)
        return pack_row(profile or b"", counts or b"", hidden or b"")

    async def value(self, name: str) -> bytes:
        """`catalogue`, `catalogue_version` or `popular`."""
        found: bytes | None = await self._ask(self._read_value, name)
        if found is None:
            raise Unavailable(EMPTY)
        return found

    async def running(self) -> tuple[bytes, str]:
        """`Running` as JSON, and its ETag."""
        try:
            published, clock = await self._client.mget(keys.EXPERIMENTS, keys.CLOCK)
        except (redis.exceptions.RedisError, OSError) as error:
            raise Unavailable("the store does not answer") from error
        if published is None:
            raise Unavailable(EMPTY)
        return running_now(published, clock)

    async def texts(self, ids: Sequence[int]) -> list[bytes]:
        """Each known post as JSON, in the order of ids."""
        if not ids:
            return []
        return [found for found in await self._ask(self._read_texts, *ids) if found is not None]

    async def append_events(self, batch: EventBatch, clock: Clock) -> None:
        """Durable when it returns. Raises InvalidParameter for an event from the future, or from before 1970."""
        entries: list[Append] = []
        now = clock.now()
        latest = now + max(clock.speed, 1.0) * MAX_AHEAD
        for place, event in enumerate(batch.events):
            at = event.timestamp or now
            if fault := _fault(at, latest):
                field = f"events.{place}.timestamp"
                raise InvalidParameter(f"{field}: {at.isoformat()} lies {fault}", field=field)
            body = FeedEvent(event=event, at=at).model_dump_json()
            is_like = event.action == "like"
            hidden = event.post_id.to_bytes(4, "little") if is_like else b""
            entries.append((self._user_log(event.user_id), body, "hide" if is_like else "", event.user_id, hidden))
        await self._write(entries)

    async def append_user(self, user_id: int, profile: UserProfile) -> None:
        body = Registered(user_id=user_id, profile=profile).model_dump_json()
        await self._write([(self._user_log(user_id), body, "profile", user_id, Profile.of(profile).pack())])

    async def append_post(self, post_id: int, content: PostContent) -> None:
        body = Published(post_id=post_id, content=content).model_dump_json()
        entry = text_entry(post_id, content.text, content.topic)
        await self._write([(keys.log_key(keys.POSTS_SHARD), body, "text", post_id, entry)])

    async def append_exposure(self, exposure: Exposure) -> None:
        body = Exposed(exposure=exposure).model_dump_json()
        await self._write([(self._user_log(exposure.user_id), body, "", "", b"")])

    async def append_assignments(self, batch: Assignments) -> None:
        entries: list[Append] = []
        for assigned in batch.assigned:
            body = UserAssigned(assigned=assigned).model_dump_json()
            entries.append((self._user_log(assigned.user_id), body, "", "", b""))
        await self._write(entries)

    async def append_shadow(self, shadow: Shadowed) -> None:
        body = ShadowAnswered(shadow=shadow).model_dump_json()
        await self._write([(self._user_log(shadow.user_id), body, "", "", b"")])

    async def _write(self, entries: Sequence[Append]) -> None:
        await self._ask(self._append, *(part for entry in entries for part in entry))

    async def _ask(self, script: Client, *arguments: object) -> Client:
        try:
            found = await script(args=arguments)
        except redis.exceptions.OutOfMemoryError as error:
            raise Unavailable("the store is full", retry_after=10) from error
        except (redis.exceptions.RedisError, OSError) as error:
            raise Unavailable("the store does not answer") from error
        if found is None:
            raise Unavailable(EMPTY)
        return found

    def _user_log(self, user_id: int) -> str:
        return keys.log_key(keys.shard_of(user_id, self._shards))


def _fault(at: datetime, latest: datetime) -> str | None:
    """Records count seconds since the epoch, with 0 for never."""
    if at > latest:
        return "in the future"
    return "before 1970" if at.timestamp() < 1 else None
