"""From the log into Postgres: rows, ledger and offset in one transaction."""

from __future__ import annotations

from collections.abc import Container, Sequence

import structlog
from contracts.wire import Event
from sqlalchemy import Connection, Engine, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY, TIMESTAMP
from sqlalchemy.types import Integer, String

from feature_service.database import offsets
from feature_service.database.engine import naive
from feature_service.database.queries import query
from feature_service.ingest.attribution import attribute
from feature_service.ingest.exposures import record_assignments, record_exposures, record_shadows
from feature_service.ingest.own import write_own
from feature_service.ingest.poison import PoisonErrors, first_line, is_poison
from feature_service.keyspace.keys import POSTS_SHARD
from feature_service.log.entries import (
    Entry,
    EventLog,
    Exposed,
    FeedEvent,
    Forgotten,
    Published,
    Registered,
    ShadowAnswered,
    TakenDown,
    UserAssigned,
)

log = structlog.get_logger()

BATCH = 2_000
COUNTED = "counted"
UNKNOWN_POST = "unknown_post"
REPEATED = "repeated"
"""Fate of a row that `feed_data` has already."""

_KNOWN_POSTS = text("SELECT id FROM post_text_df WHERE id = ANY(:ids)").bindparams(
    bindparam("ids", type_=ARRAY(Integer))
)
_LEDGER = query(
    __package__, "ledger", users=ARRAY(Integer), keys=ARRAY(String), positions=ARRAY(String), fates=ARRAY(String)
)
_FEED = query(
    __package__,
    "feed",
    times=ARRAY(TIMESTAMP),
    users=ARRAY(Integer),
    posts=ARRAY(Integer),
    actions=ARRAY(String),
    targets=ARRAY(Integer),
)
_REPEATED = query(
    __package__, "repeated", times=ARRAY(TIMESTAMP), users=ARRAY(Integer), posts=ARRAY(Integer), actions=ARRAY(String)
)
_TARGETS = query(__package__, "targets", users=ARRAY(Integer), posts=ARRAY(Integer), times=ARRAY(TIMESTAMP))
_USER = query(__package__, "user")
_FORGET = query(__package__, "forget")
_POST = query(__package__, "post", expires=TIMESTAMP())
_GONE = query(__package__, "gone")


class Writer:
    """Moves a shard's entries into Postgres, exactly once: whoever holds an older offset changes nothing."""

    def __init__(self, engine: Engine, log: EventLog) -> None:
        self._engine, self._log = engine, log

    def offsets(self) -> dict[int, str]:
        """How far each shard has been written; a shard that never was is not in it."""
        with self._engine.connect() as connection:
            return offsets.read_all(connection)

    def offset(self, shard: int) -> str:
        with self._engine.connect() as connection:
            return offsets.read(connection, shard)

    def write(self, shard: int) -> int:
        """One batch; the number of entries that were written or put aside."""
        with self._engine.begin() as connection:
            after = offsets.lock(connection, shard)
            entries = self._log.read(shard, after, BATCH)
            entries = self._decidable(connection, _up_to_forgotten(entries))
            if not entries:
                return 0
            self._write_or_put_aside(connection, shard, entries)
            offsets.move(connection, shard, entries[-1].position)
        return len(entries)

    def _forget(self, connection: Connection, user_id: int) -> None:
        connection.execute(_FORGET, {"user": user_id})
        self._log.forget_user(user_id)

    def _decidable(self, connection: Connection, entries: Sequence[Entry]) -> Sequence[Entry]:
        """Entries up to the first event on a post that is unknown but still waits in the posts' shard."""
        events = [entry.body.event for entry in entries if isinstance(entry.body, FeedEvent)]
        unknown = {event.post_id for event in events} - _known(connection, events)
        if not unknown:
            return entries
        coming = self._coming(self.offset(POSTS_SHARD))
        for place, entry in enumerate(entries):
            if isinstance(entry.body, FeedEvent) and entry.body.event.post_id in coming & unknown:
                return entries[:place]
        return entries

    def _coming(self, after: str) -> set[int]:
        """Posts that wait in the posts' shard."""
        coming: set[int] = set()
        while waiting := self._log.read(POSTS_SHARD, after, BATCH):
            coming |= {entry.body.post_id for entry in waiting if isinstance(entry.body, Published)}
            after = waiting[-1].position
        return coming

    def _write_or_put_aside(self, connection: Connection, shard: int, entries: Sequence[Entry]) -> None:
        """Halves a batch that Postgres refuses, down to the entry that it cannot hold; the others are written."""
        try:
            with connection.begin_nested():
                self._write(connection, shard, entries)
        except PoisonErrors as error:
            if not is_poison(error):
                raise
            if len(entries) == 1:
                self._log.put_aside(shard, [(entries[0], f"refused: {first_line(error)}")])
                log.warning("entry_refused", shard=shard, position=entries[0].position, reason=first_line(error))
                return
            middle = len(entries) // 2
            self._write_or_put_aside(connection, shard, entries[:middle])
            self._write_or_put_aside(connection, shard, entries[middle:])

    def _write(self, connection: Connection, shard: int, entries: Sequence[Entry]) -> None:
        for entry in entries:
            if isinstance(entry.body, Forgotten):
                self._forget(connection, entry.body.user_id)
            elif isinstance(entry.body, Registered):
                connection.execute(_USER, {"user_id": entry.body.user_id, **entry.body.profile.model_dump()})
                write_own(connection, "user", entry.body.user_id, entry.body.profile.own)
            elif isinstance(entry.body, Published):
                connection.execute(_POST, _post_values(entry.body))
                write_own(connection, "post", entry.body.post_id, entry.body.content.own)
            elif isinstance(entry.body, TakenDown):
                connection.execute(_GONE, {"id": entry.body.post_id})
        bodies = [entry.body for entry in entries]
        exposures = [body.exposure for body in bodies if isinstance(body, Exposed)]
        record_exposures(connection, exposures)
        record_shadows(connection, [body.shadow for body in bodies if isinstance(body, ShadowAnswered)])
        # In this order: a like needs its exposure, an assignment needs the user's earlier events.
        unknown = _write_events(connection, shard, entries)
        assigned = [body.assigned for body in bodies if isinstance(body, UserAssigned)]
        record_assignments(connection, assigned, exposures)
        self._log.put_aside(
            shard, _letters(entries, unknown)
        )  # before the commit: whatever dies then, it is done again


def _post_values(body: Published) -> dict[str, object]:
    expires = body.content.expires
    return {"id": body.post_id, **body.content.model_dump(), "expires": naive(expires) if expires else None}


def _up_to_forgotten(entries: Sequence[Entry]) -> Sequence[Entry]:
    """A user is forgotten in a transaction of its own: what a batch holds is written kind by kind, not in order."""
    places = (place for place, entry in enumerate(entries) if isinstance(entry.body, Forgotten))
    first = next(places, len(entries))
    return entries[: max(first, 1)]


def _letters(entries: Sequence[Entry], unknown: Container[str]) -> list[tuple[Entry, str]]:
    """What is in no table. unknown: positions of events on posts that do not exist."""
    letters = [(entry, entry.fault or "unreadable") for entry in entries if entry.body is None]
    return letters + [(entry, UNKNOWN_POST) for entry in entries if entry.position in unknown]


def _write_events(connection: Connection, shard: int, entries: Sequence[Entry]) -> set[str]:
    """The positions of those whose posts do not exist."""
    firsts: dict[tuple[int, str], tuple[str, FeedEvent]] = {}
    for entry in entries:
        if isinstance(entry.body, FeedEvent):
            firsts.setdefault((entry.body.event.user_id, entry.body.event.key), (entry.position, entry.body))
    bodies = list(firsts.values())
    if not bodies:
        return set()
    known = _known(connection, [body.event for _, body in bodies])
    repeated = _repeated(connection, list(firsts.values()))
    ledger = {
        "shard": shard,
        "users": [body.event.user_id for _, body in bodies],
        "keys": [body.event.key for _, body in bodies],
        "positions": [position for position, _ in bodies],
        "fates": [_fate(body, position in repeated, known) for position, body in bodies],
    }
    new = set(connection.execute(_LEDGER, ledger).scalars())
    rows = [body for position, body in bodies if position in new - repeated and body.event.post_id in known]
    if rows:
        _write_rows(connection, rows)
    return new - {position for position, body in bodies if body.event.post_id in known}


def _fate(body: FeedEvent, is_repeated: bool, known: Container[int]) -> str:
    if body.event.post_id not in known:
        return UNKNOWN_POST
    return REPEATED if is_repeated else COUNTED


def _repeated(connection: Connection, bodies: Sequence[tuple[str, FeedEvent]]) -> set[str]:
    """The positions of those whose row is their identity and is there already."""
    by_row = [(position, body) for position, body in bodies if body.by_row]
    if not by_row:
        return set()
    rows = [body for _, body in by_row]
    places = connection.execute(_REPEATED, _columns(rows) | {"actions": [body.event.action for body in rows]}).scalars()
    return {by_row[place - 1][0] for place in places}


def _write_rows(connection: Connection, rows: Sequence[FeedEvent]) -> None:
    others = {"actions": [body.event.action for body in rows], "targets": [body.target for body in rows]}
    connection.execute(_FEED, _columns(rows) | others)
    if likes := [body for body in rows if body.event.action == "like"]:
        connection.execute(_TARGETS, _columns(likes))
        attribute(connection, likes)


def _columns(rows: Sequence[FeedEvent]) -> dict[str, list[object]]:
    return {
        "times": [naive(body.at) for body in rows],
        "users": [body.event.user_id for body in rows],
        "posts": [body.event.post_id for body in rows],
    }


def _known(connection: Connection, events: Sequence[Event]) -> set[int]:
    return set(connection.execute(_KNOWN_POSTS, {"ids": sorted({event.post_id for event in events})}).scalars())
