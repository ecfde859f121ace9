"""From the log into a generation's counts, for entries that Postgres holds: one atomic script per batch.

The generation's applied offset is the fence: a batch that starts from another offset is refused, so that a
crash between any two steps, or two processes at once, lose nothing and count nothing twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import structlog
from contracts.catalogue import TOPICS_MAX, tick_of
from contracts.own import VALUE, unpack
from contracts.records import Counts, Profile, latest
from sqlalchemy import Engine
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import String

from feature_service.database.queries import query
from feature_service.ingest.poison import PoisonErrors, first_line, is_poison
from feature_service.ingest.to_postgres import BATCH, COUNTED, Writer
from feature_service.keyspace.connection import Client
from feature_service.keyspace.keys import BEGINNING, DEAD_LETTERS, POSTS_SHARD, Keys
from feature_service.keyspace.posts import (
    LONG_AGO,
    POST_ID,
    SECOND,
    TOPIC_INDEX,
    Posts,
    counter_of,
    publish_snapshot,
    seconds_of,
)
from feature_service.keyspace.scripts import APPLY
from feature_service.log.entries import Entry, EventLog, FeedEvent, Forgotten, Published, TakenDown, letter, order

Command = Sequence[str | int | bytes]

log = structlog.get_logger()

_FATES = query(__package__, "fates", keys=ARRAY(String))


@dataclass(slots=True)
class _Tally:
    """A user's counts while a batch is added up. segment: by the profile as it is now, not as it was at the event."""

    counts: Counts
    segment: int
    views: dict[int, int] = field(default_factory=dict)
    likes: dict[int, int] = field(default_factory=dict)
    last_view_at: int = 0
    last_like_at: int = 0
    viewed: list[tuple[int, int]] = field(default_factory=list)

    def add(self, action: str, post: int, topic: int, at: int) -> None:
        by_topic = self.views if action == "view" else self.likes
        by_topic[topic] = by_topic.get(topic, 0) + 1
        if action == "view":
            self.last_view_at = max(self.last_view_at, at)
            self.viewed.append((at, post))
        else:
            self.last_like_at = max(self.last_like_at, at)

    @property
    def has_more(self) -> bool:
        """Whether anything was added."""
        return bool(self.views or self.likes)

    def pack(self, topics: int) -> bytes:
        wide = self.counts.over(topics)
        views, likes = np.array(wide.views, np.uint32), np.array(wide.likes, np.uint32)
        for totals, more in ((views, self.views), (likes, self.likes)):
            for topic, count in more.items():
                totals[topic] += count
        last_view_at, last_like_at = (
            max(wide.last_view_at, self.last_view_at),
            max(wide.last_like_at, self.last_like_at),
        )
        recent = latest(np.vstack([wide.recent, np.array(self.viewed, np.uint32).reshape(-1, 2)]))
        return Counts(last_view_at, last_like_at, views, likes, recent).pack()


class Applier:
    """Brings a generation up to what Postgres holds."""

    def __init__(self, client: Client, engine: Engine, log: EventLog, writer: Writer) -> None:
        self._client, self._engine, self._log, self._writer = client, engine, log, writer
        self._held: tuple[tuple[str, str], Posts, dict[int, int]] | None = None

    def offset(self, keys: Keys, shard: int) -> str:
        at: bytes | None = self._client.get(keys.offset(shard))
        return at.decode() if at else BEGINNING

    def apply(self, keys: Keys, shard: int, up_to: str | None = None) -> int:
        """One batch; the number of entries that were applied. up_to: Postgres' offset, if the caller knows it."""
        start = self.offset(keys, shard)
        limit = up_to or self._writer.offset(shard)
        if order(start) >= order(limit):
            return 0
        entries = self._log.read(shard, start, BATCH, limit)
        if not entries:
            return 0
        flat = [part for command in self._commands(keys, shard, entries) for part in command]
        end = entries[-1].position
        names = (keys.offset(shard), keys.counts, keys.first_view, keys.tick, keys.hours, keys.counted_until)
        done = self._client.eval(APPLY, len(names), *names, start, end, *flat)
        if done and shard == POSTS_SHARD:
            publish_snapshot(self._client, keys)
        return len(entries) if done else 0

    def _commands(self, keys: Keys, shard: int, entries: Sequence[Entry]) -> list[Command]:
        """What a batch changes. An entry of which nothing can be made becomes a dead letter, the others count."""
        try:
            return self._make(keys, shard, entries)
        except PoisonErrors:
            faults = self._faults(keys, shard, entries)
        log.warning("entries_not_counted", shard=shard, faults=faults)
        letters = [_dead_letter(shard, entry, faults[entry.position]) for entry in entries if entry.position in faults]
        return letters + self._make(keys, shard, [entry for entry in entries if entry.position not in faults])

    def _faults(self, keys: Keys, shard: int, entries: Sequence[Entry]) -> dict[str, str]:
        """Why nothing can be made of an entry, by position: halves a batch down to it."""
        try:
            self._make(keys, shard, entries)
            return {}
        except PoisonErrors as error:
            if not is_poison(error):
                raise
            if len(entries) == 1:
                return {entries[0].position: f"not counted: {first_line(error)}"}
        middle = len(entries) // 2
        return self._faults(keys, shard, entries[:middle]) | self._faults(keys, shard, entries[middle:])

    def _make(self, keys: Keys, shard: int, entries: Sequence[Entry]) -> list[Command]:
        if shard == POSTS_SHARD:
            return self._post_commands(keys, entries)
        return self._event_commands(keys, shard, entries)

    def _post_commands(self, keys: Keys, entries: Sequence[Entry]) -> list[Command]:
        posts, index = self._known(keys)
        topics, places = list(posts.topics), dict(index)
        commands: list[Command] = [("changed", keys.changes)]
        for entry in entries:
            if isinstance(entry.body, TakenDown) and entry.body.post_id in places:
                commands.append(_gone_at(keys, places[entry.body.post_id], LONG_AGO))
            if not isinstance(entry.body, Published):
                continue
            post_id, content = entry.body.post_id, entry.body.content
            if content.topic not in topics:
                if len(topics) >= TOPICS_MAX:
                    commands.append(_dead_letter(POSTS_SHARD, entry, f"not counted: {TOPICS_MAX} topics already"))
                    continue
                topics.append(content.topic)
                commands.append(("push", keys.topics, content.topic))
            topic = np.array([topics.index(content.topic)], TOPIC_INDEX).tobytes()
            if post_id in places:
                commands.append(("patch", keys.topic_of, places[post_id] * len(topic), topic))
            else:
                places[post_id] = len(places)
                commands.append(("append", keys.posts, np.array([post_id], POST_ID).tobytes()))
                commands.append(("append", keys.topic_of, topic))
            commands.append(_gone_at(keys, places[post_id], seconds_of(content.expires)))
            if posts.own:
                own = unpack(posts.own, bytes.fromhex(entry.body.own or "")).astype(VALUE).tobytes()
                commands.append(("patch", keys.own, places[post_id] * len(own), own))
        return commands

    def _event_commands(self, keys: Keys, shard: int, entries: Sequence[Entry]) -> list[Command]:
        fates = self._fates(shard, entries)
        counted = [
            entry.body
            for entry in entries
            if isinstance(entry.body, Forgotten)
            or (isinstance(entry.body, FeedEvent) and fates.get(entry.position) == COUNTED)
        ]
        return self._count_commands(keys, counted) if counted else []

    def _count_commands(self, keys: Keys, bodies: Sequence[FeedEvent | Forgotten]) -> list[Command]:
        """In the order in which they came: a user who was forgotten begins anew."""
        needed = {body.event.post_id for body in bodies if isinstance(body, FeedEvent)}
        posts, index = self._holding(keys, needed) if needed else self._known(keys)
        tallies = self._tallies(keys, {_user_of(body) for body in bodies})
        commands: list[Command] = []
        for body in bodies:
            if isinstance(body, Forgotten):
                commands.append(("del", keys.user_counts(body.user_id)))
                tallies[body.user_id] = _Tally(Counts(), Profile().segment_index)
                continue
            if body.event.post_id not in index:
                continue
            event, at = body.event, int(body.at.timestamp())
            place = index[event.post_id]
            tally, is_like = tallies[event.user_id], event.action == "like"
            tally.add(event.action, event.post_id, int(posts.topic[place]), at)
            commands.append(("count", counter_of(place, tally.segment, is_like), at, tick_of(at)))
            if not is_like:
                commands.append(("first", place, at))
        topics = len(posts.topics)
        commands += [
            ("set", keys.user_counts(user), tally.pack(topics)) for user, tally in tallies.items() if tally.has_more
        ]
        return commands

    def _tallies(self, keys: Keys, users: set[int]) -> dict[int, _Tally]:
        ordered = sorted(users)
        records = self._client.mget([*map(keys.user_counts, ordered), *map(keys.profile, ordered)])
        counts, profiles = records[: len(ordered)], records[len(ordered) :]
        return {
            user: _Tally(Counts.unpack(own or b""), Profile.unpack(profile or b"").segment_index)
            for user, own, profile in zip(ordered, counts, profiles, strict=True)
        }

    def _holding(self, keys: Keys, needed: set[int]) -> tuple[Posts, dict[int, int]]:
        """The generation's posts, once those that another process wrote but has not applied yet are applied.

        A post that reached Postgres without the log (an import) is in no generation before the next warm-up, which
        counts its events.
        """
        posts, index = self._known(keys)
        if not needed <= index.keys():
            while self.apply(keys, POSTS_SHARD):
                pass
            posts, index = self._known(keys)
        if missing := needed - index.keys():
            log.warning("posts_wait_for_a_warm_up", posts=sorted(missing)[:10], many=len(missing))
        return posts, index

    def _known(self, keys: Keys) -> tuple[Posts, dict[int, int]]:
        """The generation's posts as of its offset in the posts' shard; read again only when that has moved."""
        state = (keys.prefix, self.offset(keys, POSTS_SHARD))
        if self._held is None or self._held[0] != state:
            posts = Posts.read(self._client, keys)
            self._held = (state, posts, posts.index())
        return self._held[1:]

    def _fates(self, shard: int, entries: Sequence[Entry]) -> dict[str, str]:
        """By position; a missing entry repeats an earlier one."""
        events = [entry.body.event for entry in entries if isinstance(entry.body, FeedEvent)]
        if not events:
            return {}
        with self._engine.connect() as connection:
            rows = connection.execute(
                _FATES,
                {"shard": shard, "users": [event.user_id for event in events], "keys": [event.key for event in events]},
            )
            return {row.position: row.fate for row in rows}


def _user_of(body: FeedEvent | Forgotten) -> int:
    return body.user_id if isinstance(body, Forgotten) else body.event.user_id


def _gone_at(keys: Keys, place: int, second: int) -> Command:
    value = np.array([second], SECOND).tobytes()
    return ("patch", keys.gone_at, place * len(value), value)


def _dead_letter(shard: int, entry: Entry, reason: str) -> Command:
    return ("hset", DEAD_LETTERS, *letter(shard, entry, reason))
