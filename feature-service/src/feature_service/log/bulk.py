"""Many entries at once into the log, no faster than ingest takes them: Redis holds the log in memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from contracts.catalogue import TOPICS_MAX

from feature_service.keyspace.connection import Client, Value
from feature_service.keyspace.keys import BEGINNING, GENERATION, POSTS_SHARD, Keys, all_shards, log_key, shard_of
from feature_service.keyspace.scripts import APPEND, PUBLISH
from feature_service.log.entries import Body, FeedEvent, Published, Registered, StreamLog, as_json, effect_of, order

T = TypeVar("T", bound=Body)

AT_ONCE = 250
"""Entries of one script: Redis serves others in between."""
AHEAD = 50_000
"""Entries that may wait for ingest, some 15 MB."""
PATIENCE_SECONDS = 120.0
POLL_SECONDS = 0.1


class BulkError(RuntimeError):
    """The log takes no more. What was appended before stays; the message says what to do."""


class BulkAppender:
    def __init__(self, client: Client, shards: int, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._client, self._shards, self._patience = client, shards, patience_seconds
        self._log = StreamLog(client)

    def append(self, bodies: Sequence[FeedEvent | Registered]) -> None:
        """Durable when it returns. Raises BulkError when ingest stands still, or no generation is in service."""
        for part in _parts(bodies):
            self._make_room()
            arguments: list[Value] = []
            for body in part:
                log = log_key(shard_of(_user_of(body), self._shards))
                arguments += (log, as_json(body), *effect_of(body))
            self._checked(self._client.eval(APPEND, 0, *arguments))

    def publish(self, posts: Sequence[Published]) -> None:
        """As `append`. Raises BulkError for a topic too many."""
        for part in _parts(posts):
            self._make_room()
            with self._client.pipeline(transaction=False) as pipe:
                for post in part:
                    arguments = (log_key(POSTS_SHARD), as_json(post), *effect_of(post), post.content.topic, TOPICS_MAX)
                    pipe.eval(PUBLISH, 0, *arguments)
                answers = pipe.execute()
            for answer in answers:
                if self._checked(answer) == 0:
                    raise BulkError(f"there are {TOPICS_MAX} topics already; merge some of them")

    def settle(self) -> None:
        """Waits until all that was appended is counted, and serves. Raises BulkError when ingest stands still."""
        ends = {shard: self._log.end(shard) for shard in all_shards(self._shards)}
        self._wait(lambda: all(order(self._applied(shard)) >= order(end) for shard, end in ends.items()))

    def _make_room(self) -> None:
        self._wait(lambda: sum(self._client.xlen(log_key(shard)) for shard in all_shards(self._shards)) < AHEAD)

    def _wait(self, holds: Callable[[], bool]) -> None:
        """As long as ingest moves."""
        if holds():
            return
        seen, moved = self._places(), time.monotonic()
        while not holds():
            time.sleep(POLL_SECONDS)
            if (places := self._places()) != seen:
                seen, moved = places, time.monotonic()
            if time.monotonic() - moved > self._patience:
                raise BulkError(
                    "ingest takes nothing out of the log: does it run (`lenta status`)? Then run this again"
                )

    def _places(self) -> list[str]:
        return [self._applied(shard) for shard in all_shards(self._shards)]

    def _applied(self, shard: int) -> str:
        generation = self._checked(self._client.get(GENERATION))
        return (self._client.get(Keys(int(generation)).offset(shard)) or BEGINNING.encode()).decode()

    def _checked(self, answer: object) -> int:
        if answer is None:
            raise BulkError("Redis holds no features: run `lenta warm` first")
        return int(answer) if isinstance(answer, int | bytes) else 1


def _parts(bodies: Sequence[T]) -> Iterator[Sequence[T]]:
    for first in range(0, len(bodies), AT_ONCE):
        yield bodies[first : first + AT_ONCE]


def _user_of(body: FeedEvent | Registered) -> int:
    return body.user_id if isinstance(body, Registered) else body.event.user_id
