"""Rows that keep coming, into a platform that serves: through the event log, so that all of its promises hold.

What is there already is left out here, by a look into Postgres, so that a second run costs little; that nothing counts
twice is ingest's promise: a row with a `key` by user and key, any other by user, post, time and action.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeVar

from contracts.own import Entity, OwnColumns, OwnValueError, pack
from contracts.wire import Event, Key, OwnValues, PostContent, PostId, Strict, Text, Time, User, UserId, UserProfile
from feature_service.database.engine import naive
from feature_service.database.own import declare, declared
from feature_service.keyspace.posts import LONG_AGO
from feature_service.log.bulk import BulkAppender
from feature_service.log.entries import FeedEvent, Published, Registered
from pydantic import AliasChoices, BeforeValidator, ConfigDict, Field, ValidationError
from sqlalchemy import Connection, Engine, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY, TIMESTAMP
from sqlalchemy.types import Integer, String

from pipeline.errors import LentaError
from pipeline.tables.files import AHEAD
from pipeline.tables.formats import FEED, POSTS, USERS, TableFormat

BATCH = 5_000
"""Rows looked up and appended together."""
Row = Mapping[str, Any]
Where = Callable[[int], str]
"""Where a row stands, by its place in a batch, for an error."""
Append = Callable[[Sequence[Row], Where], None]

_LINE = ConfigDict(frozen=True, extra="ignore")


def _parsed(own: object) -> object:
    """Files bring own columns as JSON."""
    return json.loads(own) if isinstance(own, str) else own


Own = Annotated[OwnValues | None, BeforeValidator(_parsed)]


class UserLine(User):
    """A row of `user_data`. own: where a row says nothing, what is there stays."""

    model_config = _LINE
    own: Own = None
    user_id: Annotated[UserId, Strict]


class PostLine(PostContent):
    """A row of `post_text_df`. expires: from when on nobody is shown it. expires, own: what is there stays where a row
    says nothing."""

    model_config = _LINE
    own: Own = None
    id: Annotated[PostId, Strict] = Field(validation_alias=AliasChoices("id", "post_id"))
    text: Text | None = None  # type: ignore[assignment]


class FeedLine(Event):
    """A row of `feed_data`, and the `key` that it may have."""

    model_config = _LINE
    key: Key | None = None  # type: ignore[assignment]
    timestamp: Time
    target: Literal[0, 1] | None = None

    @property
    def identity(self) -> str:
        """Of a user: the row's key, or else the row itself."""
        if self.key is not None:
            return self.key
        microseconds = round(self.timestamp.timestamp() * 1_000_000)
        return f"row:{self.post_id}:{self.action[0]}:{microseconds}"


@dataclass(slots=True)
class Tally:
    """Of one table: rows that were read, those that were there already, those of posts that are not there (of feed
    rows: unknown; of posts: taken down), those that were appended."""

    read: int = 0
    known: int = 0
    absent: int = 0
    appended: int = 0


@dataclass(frozen=True, slots=True)
class AppendReport:
    users: Tally = field(default_factory=Tally)
    posts: Tally = field(default_factory=Tally)
    feed: Tally = field(default_factory=Tally)


L = TypeVar("L", UserLine, PostLine, FeedLine)

_USERS = text(
    "SELECT user_id, age, gender, country, city, exp_group, os, source, own "
    "FROM user_data LEFT JOIN user_own USING (user_id) WHERE user_id = ANY(:ids)"
).bindparams(bindparam("ids", type_=ARRAY(Integer)))
_POSTS = text(
    "SELECT id, text, topic, at AS gone, own FROM post_text_df LEFT JOIN posts_gone g ON g.post_id = id "
    "LEFT JOIN post_own o ON o.post_id = id WHERE id = ANY(:ids)"
).bindparams(bindparam("ids", type_=ARRAY(Integer)))
_FEED = text(
    "SELECT n, NOT EXISTS (SELECT FROM post_text_df WHERE id = p) AS is_absent, CASE WHEN by_row"
    " THEN EXISTS (SELECT FROM feed_data WHERE user_id = u AND timestamp = at AND post_id = p AND action = a)"
    " ELSE EXISTS (SELECT FROM event_ledger WHERE user_id = u AND key = k AND fate <> 'unknown_post') END AS is_known "
    "FROM unnest(:users, :posts, :actions, :times, :keys, CAST(:by_row AS boolean[])) "
    "WITH ORDINALITY AS t(u, p, a, at, k, by_row, n)"
).bindparams(
    bindparam("users", type_=ARRAY(Integer)),
    bindparam("posts", type_=ARRAY(Integer)),
    bindparam("actions", type_=ARRAY(String)),
    bindparam("times", type_=ARRAY(TIMESTAMP)),
    bindparam("keys", type_=ARRAY(String)),
)


class Appending:
    """Appends rows of the three tables. A user, post or row that is there already, and says the same, costs a look."""

    def __init__(self, engine: Engine, log: BulkAppender, now: datetime | None = None, batch: int = BATCH) -> None:
        self._engine, self._log, self.batch = engine, log, batch
        self._latest = (now or datetime.now(UTC)) + AHEAD
        self._posts_wait = False
        with engine.connect() as connection:
            self._own = declared(connection)
        self.report = AppendReport()

    def declare(self, columns: OwnColumns) -> None:
        """Own columns that the rows have: new ones are kept from now on, and serve after a warm-up. Raises ValueError
        for one of another kind."""
        with self._engine.begin() as connection:
            self._own = declare(connection, columns)

    def of(self, table: TableFormat) -> Append:
        return {USERS.name: self.users, POSTS.name: self.posts, FEED.name: self.feed}[table.name]

    def users(self, rows: Sequence[Row], where: Where) -> None:
        """Raises LentaError for a row that is none, before any of these is appended."""
        lines = {line.user_id: line for line in _read(UserLine, rows, where)}
        with self._engine.connect() as connection:
            have = {row["user_id"]: dict(row) for row in _ask(connection, _USERS, {"ids": list(lines)})}
        said = {user: _profile(line, have.get(user)) for user, line in lines.items()}
        new = [user for user, profile in said.items() if have.get(user) != {"user_id": user, **profile.model_dump()}]
        self._log.append(
            [
                Registered(user_id=user, profile=said[user], own=self._packed("user", user, said[user].own))
                for user in new
            ]
        )
        _count(self.report.users, read=len(rows), appended=len(new))

    def posts(self, rows: Sequence[Row], where: Where) -> None:
        """What was taken down stays down: only a PUT brings it back."""
        lines = {line.id: line for line in _read(PostLine, rows, where)}
        with self._engine.connect() as connection:
            have = {row["id"]: row for row in _ask(connection, _POSTS, {"ids": list(lines)})}
        down = {post for post, row in have.items() if _is_down(row)}
        new = [_content(line, have.get(post)) for post, line in lines.items() if post not in down]
        changed = [
            post.model_copy(update={"own": self._packed("post", post.post_id, post.content.own)})
            for post in new
            if _differs(post, have.get(post.post_id))
        ]
        self._log.publish(changed)
        self._posts_wait |= bool(changed)
        _count(self.report.posts, read=len(rows), absent=len(down), appended=len(changed))

    def feed(self, rows: Sequence[Row], where: Where) -> None:
        """Rows of posts that are not there are left out: they can come again once their post has."""
        lines = _read(FeedLine, rows, where)
        for place, line in enumerate(lines):
            if line.timestamp > self._latest:
                raise LentaError(
                    f"{where(place)}, column timestamp: {line.timestamp:%Y-%m-%d %H:%M} lies in the future"
                )
        if self._posts_wait:
            self.settle()
        new, absent = self._new(lines)
        self._log.append([_event(line) for line in new])
        _count(self.report.feed, read=len(rows), absent=absent, appended=len(new))

    def settle(self) -> None:
        """Until what was appended is counted, and serves."""
        self._log.settle()
        self._posts_wait = False

    def _packed(self, entity: Entity, number: int, own: OwnValues | None) -> str | None:
        """Raises LentaError for a column that no import has declared, and for a value of another kind."""
        try:
            return pack(self._own.of(entity), own).hex() if own else None
        except OwnValueError as error:
            raise LentaError(f"{entity} {number}, column own.{error}") from error

    def _new(self, lines: Sequence[FeedLine]) -> tuple[list[FeedLine], int]:
        """Those that are not there yet, each once, and how many have no post."""
        values = {
            "users": [line.user_id for line in lines],
            "posts": [line.post_id for line in lines],
            "actions": [line.action for line in lines],
            "times": [naive(line.timestamp) for line in lines],
            "keys": [line.identity for line in lines],
            "by_row": [line.key is None for line in lines],
        }
        with self._engine.connect() as connection:
            looked_up = _ask(connection, _FEED, values)
        absent = sum(row["is_absent"] for row in looked_up)
        fresh = [lines[row["n"] - 1] for row in looked_up if not row["is_absent"] and not row["is_known"]]
        return list({(line.user_id, line.identity): line for line in fresh}.values()), absent


def _read(kind: type[L], rows: Sequence[Row], where: Where) -> list[L]:
    """Raises LentaError naming place and column."""
    lines: list[L] = []
    for place, row in enumerate(rows):
        try:
            lines.append(kind.model_validate(row))
        except ValidationError as error:
            first = error.errors()[0]
            column = ".".join(map(str, first["loc"])) or "row"
            said = f"{str(first['input'])[:60]!r}: {first['msg']}"
            raise LentaError(f"{where(place)}, column {column}: {said}") from error
    return lines


def _profile(line: UserLine, have: Row | None) -> UserProfile:
    values = {name: getattr(line, name) for name in UserProfile.model_fields}
    return UserProfile.model_construct(**{**values, "own": _own(line.own, have)})


def _own(said: OwnValues | None, have: Row | None) -> OwnValues | None:
    """None for nothing."""
    return have["own"] if said is None and have is not None else said or None


def _content(line: PostLine, have: Row | None) -> Published:
    """When it expires stays where the row does not say."""
    expires = line.expires
    if "expires" not in line.model_fields_set and have is not None and have["gone"] is not None:
        expires = have["gone"].replace(tzinfo=UTC)
    own = _own(line.own, have)
    content = PostContent.model_construct(text=line.text or "", topic=line.topic, expires=expires, own=own)
    return Published(post_id=line.id, content=content)


def _is_down(row: Row) -> bool:
    return row["gone"] is not None and row["gone"].replace(tzinfo=UTC).timestamp() <= LONG_AGO


def _differs(post: Published, have: Row | None) -> bool:
    content = post.content
    if have is None:
        return True
    gone = have["gone"].replace(tzinfo=UTC) if have["gone"] is not None else None
    said = (content.text, content.topic, content.expires, content.own)
    return said != (have["text"], have["topic"], gone, have["own"])


def _event(line: FeedLine) -> FeedEvent:
    event = Event.model_construct(
        key=line.identity,
        user_id=line.user_id,
        post_id=line.post_id,
        action=line.action,
        timestamp=None,
        request_id=line.request_id,
    )
    return FeedEvent(event=event, at=line.timestamp, by_row=line.key is None or None, target=line.target or None)


def _ask(connection: Connection, statement: Any, values: dict[str, object]) -> list[Row]:
    return [dict(row) for row in connection.execute(statement, values).mappings()]


def _count(tally: Tally, *, read: int, absent: int = 0, appended: int) -> None:
    tally.read += read
    tally.absent += absent
    tally.appended += appended
    tally.known += read - absent - appended
