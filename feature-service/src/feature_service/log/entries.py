"""The event log: what was accepted and waits for ingest. Sharded by user; posts have a shard of their own.

`EventLog` is all that the platform needs of a log, so that another one could replace Redis Streams.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Annotated, Literal, Protocol

import redis
from contracts.records import Profile
from contracts.wire import Assigned, Event, Exposure, Message, PostContent, PostId, Shadowed, UserId, UserProfile
from pydantic import AwareDatetime, Field, TypeAdapter, ValidationError

from feature_service.keyspace.connection import Client
from feature_service.keyspace.keys import BEGINNING, DEAD_LETTERS, FORGETTING, POSTS_SHARD, log_key
from feature_service.keyspace.posts import seconds_of, text_entry
from feature_service.keyspace.scripts import READ_LOG

Moment = Annotated[
    AwareDatetime, Field(ge=datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC), lt=datetime(2106, 1, 1, tzinfo=UTC))
]
"""What records hold: seconds in 32 bits, 0 for never."""


OwnRecord = Annotated[str, Field(pattern=r"^([0-9a-f]{8})*$")]
"""What `contracts.own.pack` gives, in hexadecimal: packed at the door, by the columns that are declared then."""


class FeedEvent(Message):
    kind: Literal["event"] = "event"
    event: Event
    at: Moment
    """The event's timestamp, or the time of arrival where it had none."""
    by_row: bool | None = None
    """Its user, post, time and action are its identity: it is not counted where `feed_data` has that row."""
    target: Literal[0, 1] | None = None
    """Of a view: whether a like followed it, where its source knows."""


class Registered(Message):
    kind: Literal["user"] = "user"
    user_id: UserId
    profile: UserProfile
    own: OwnRecord | None = None


class Forgotten(Message):
    """What the platform holds of a user before this entry is erased; what comes after it is a new user's."""

    kind: Literal["forgotten"] = "forgotten"
    user_id: UserId


class Published(Message):
    kind: Literal["post"] = "post"
    post_id: PostId
    content: PostContent
    own: OwnRecord | None = None


class TakenDown(Message):
    """Nobody is shown the post again, and what it said is erased, until it is published anew."""

    kind: Literal["gone"] = "gone"
    post_id: PostId


class Exposed(Message):
    kind: Literal["exposure"] = "exposure"
    exposure: Exposure

    @staticmethod
    def around(exposure: bytes) -> bytes:
        """As JSON, of an exposure as JSON: read once at the door, it need not be written anew."""
        return b'{"kind":"exposure","exposure":%s}' % exposure


class UserAssigned(Message):
    kind: Literal["assignment"] = "assignment"
    assigned: Assigned


class ShadowAnswered(Message):
    kind: Literal["shadow"] = "shadow"
    shadow: Shadowed


Body = FeedEvent | Registered | Forgotten | Published | TakenDown | Exposed | UserAssigned | ShadowAnswered
_body: TypeAdapter[Body] = TypeAdapter(Annotated[Body, Field(discriminator="kind")])


ENOUGH = 16 * 1024 * 1024
"""Bytes of bodies in one answer: a thousand posts of a megabyte each would fill ingest's memory and Redis'."""


@dataclass(frozen=True, slots=True)
class Entry:
    position: str
    body: Body | None
    raw: bytes
    fault: str | None = None
    """Why `body` is None: a poisoned entry."""


class EventLog(Protocol):
    def read(self, shard: int, after: str, count: int, up_to: str | None = None) -> Sequence[Entry]: ...

    def end(self, shard: int) -> str: ...

    def trim(self, shard: int, up_to: str) -> None: ...

    def put_aside(self, shard: int, letters: Sequence[tuple[Entry, str]]) -> None: ...

    def forget_put_aside(self, keep: int) -> None: ...

    def forget_user(self, user_id: int) -> None: ...


class StreamLog:
    """On Redis Streams. Appending is `keyspace.scripts.APPEND`: it must be atomic with hiding a liked post."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._last: tuple[tuple[int, str], Sequence[Entry]] | None = None

    def read(self, shard: int, after: str, count: int, up_to: str | None = None) -> Sequence[Entry]:
        """Entries after the position, oldest first; fewer than `count` where they are big. up_to: the last to read.

        The last answer is kept: ingest writes a batch into Postgres, then applies the same one.
        """
        place, last = (shard, after), self._last
        if up_to is not None and last is not None and last[0] == place and order(last[1][-1].position) >= order(up_to):
            return [entry for entry in last[1][:count] if order(entry.position) <= order(up_to)]
        answer = self._client.eval(READ_LOG, 1, log_key(shard), f"({after}", up_to or "+", count, ENOUGH)
        entries = [in_place(shard, entry) for entry in _entries(*answer)]
        if entries:
            self._last = place, entries
        return entries

    def end(self, shard: int) -> str:
        """The position of the last entry that was ever written."""
        try:
            last: bytes = self._client.xinfo_stream(log_key(shard))["last-generated-id"]
        except redis.ResponseError:
            return BEGINNING  # nothing was ever written
        return last.decode()

    def trim(self, shard: int, up_to: str) -> None:
        """Drops the entries up to the position, which everybody has read."""
        milliseconds, sequence = order(up_to)
        self._client.xtrim(log_key(shard), minid=f"{milliseconds}-{sequence + 1}", approximate=False)

    def put_aside(self, shard: int, letters: Sequence[tuple[Entry, str]]) -> None:
        """Keeps entries that could not be counted, each with its reason. Repeating it changes nothing."""
        if letters:
            self._client.hset(DEAD_LETTERS, mapping=dict(letter(shard, *each) for each in letters))

    def forget_put_aside(self, keep: int) -> None:
        """Deletes all but the newest `keep`."""
        if (many := self._client.hlen(DEAD_LETTERS) - keep) > 0:
            names = [name.decode() for name in self._client.hkeys(DEAD_LETTERS)]
            oldest = sorted(names, key=lambda name: order(name.split(":")[1]))[:many]
            for first in range(0, len(oldest), 1_000):
                self._client.hdel(DEAD_LETTERS, *oldest[first : first + 1_000])

    def forget_user(self, user_id: int) -> None:
        """Deletes the user's dead letters, readable or not; what comes from now on is a new user's."""
        names = f'"user_id":\\s*{user_id}(?!\\d)'.encode()
        letters = self._client.hgetall(DEAD_LETTERS)
        if theirs := [name.decode() for name, value in letters.items() if re.search(names, value)]:
            self._client.hdel(DEAD_LETTERS, *theirs)
        self._client.srem(FORGETTING, user_id)


def _entries(positions: bytes, lengths: bytes, bodies: bytes) -> list[Entry]:
    entries, start = list[Entry](), 0
    for position, length in zip(positions.decode().split(), map(int, lengths.split()), strict=True):
        entries.append(parse(position, bodies[start : start + length]))
        start += length
    return entries


def letter(shard: int, entry: Entry, reason: str) -> tuple[str, bytes]:
    """An entry as a dead letter: its id; its reason in one line, and body."""
    line = " ".join(reason.split()).encode(errors="backslashreplace")
    return f"{shard}:{entry.position}", line + b"\n" + entry.raw


def parse(position: str, raw: bytes) -> Entry:
    try:
        return Entry(position, _body.validate_json(raw), raw)
    except ValidationError as error:
        return Entry(position, None, raw, fault=f"unreadable: {error.errors()[0]['msg']}")


def in_place(shard: int, entry: Entry) -> Entry:
    """Posts lie in their shard and nothing else does: an entry in another's place is poisoned."""
    if entry.body is None or isinstance(entry.body, Published | TakenDown) == (shard == POSTS_SHARD):
        return entry
    return replace(entry, body=None, fault=f"unreadable: {entry.body.kind} in shard {shard}")


def as_json(body: Body) -> str:
    """What is missing stays out: an ingest of an older build knows nothing of it."""
    return body.model_dump_json(exclude_none=True)


Effect = tuple[str, int, bytes]
"""What an entry does at once, as `keyspace/scripts/effect.lua` takes it: the effect, its key, its value."""


NO_EFFECT: Effect = ("", 0, b"")


def effect_of(body: Body | None) -> Effect:
    """A like hides its post, a profile or text replaces the old one, a post or user goes; all else waits for ingest."""
    if isinstance(body, FeedEvent) and body.event.action == "like":
        return "hide", body.event.user_id, body.event.post_id.to_bytes(4, "little")
    if isinstance(body, Registered):
        return "profile", body.user_id, Profile.of(body.profile, bytes.fromhex(body.own or "")).pack()
    if isinstance(body, Forgotten):
        return "forget", body.user_id, b""
    if isinstance(body, Published):
        effect = f"text:{seconds_of(body.content.expires)}" if body.content.expires else "text"
        return effect, body.post_id, text_entry(body.post_id, body.content.text, body.content.topic)
    if isinstance(body, TakenDown):
        return "gone", body.post_id, b""
    return NO_EFFECT


def lowest(positions: Iterable[str]) -> str:
    """The earliest of the positions."""
    return min(positions, key=order)


def order(position: str) -> tuple[int, int]:
    milliseconds, sequence = position.split("-")
    return int(milliseconds), int(sequence)
