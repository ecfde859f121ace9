"""The tables, opened: DuckDB over the feed's files, posts and profiles as arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from tempfile import TemporaryDirectory

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from contracts.own import Entity
from contracts.records import code, segments_of
from contracts.vocabulary import CATEGORIES, Vocabulary
from ranking.encoder import Column
from ranking.examples import Liked, Posts

from pipeline.dataset.own import OwnTable, read_own
from pipeline.errors import LentaError
from pipeline.tables.files import hide_progress
from pipeline.tables.folder import Tables, naive_literal

MEMORY = "1500MB"
RESTING_MEMORY = "500MB"
THREADS = 2
MICROSECONDS = 1_000_000
_PLAIN = ("age", "gender", "exp_group")

Columns = dict[str, npt.NDArray[np.generic]]


@dataclass(frozen=True)
class People:
    """Profiles. ids: ascending, shape (users,); plain: age, gender, exp_group, NaN if missing, shape (users, 3);
    codes: `contracts.records.code` of each category, shape (users,)."""

    ids: npt.NDArray[np.int64]
    plain: Column
    codes: dict[str, npt.NDArray[np.int64]]

    def profiles(self, vocabulary: Vocabulary) -> Column:
        """Shape (users + 1, 7), as `UserState.profile`; the last row is of a user without profile."""
        ranks = [vocabulary.ranks(name, self.codes[name]) for name in CATEGORIES]
        known = np.column_stack([self.plain, *ranks]) if len(self.ids) else np.zeros((0, len(_PLAIN) + len(CATEGORIES)))
        return np.vstack([known, np.full((1, known.shape[1]), np.nan)])

    def places(self, ids: npt.NDArray[np.integer]) -> npt.NDArray[np.intp]:
        """Each user's row in `profiles`."""
        return places(self.ids, ids, missing=len(self.ids))


def places(known: npt.NDArray[np.int64], wanted: npt.NDArray[np.integer], missing: int) -> npt.NDArray[np.intp]:
    """Where each of `wanted` stands in `known`, which ascends."""
    if not len(known):
        return np.full(len(wanted), missing, np.intp)
    place = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    return np.where(known[place] == wanted, place, missing).astype(np.intp)


@dataclass(frozen=True)
class Feed:
    """What happened before `until`. In `database`: `feed(instant, user_id, post_id, topic, is_like, clicked)` of posts
    that exist, instant in microseconds; `likes(instant, user_id, post_id)`, the first like of each user and post;
    `segments(user_id, segment)` of users with a profile."""

    database: duckdb.DuckDBPyConnection
    posts: Posts
    people: People
    until: datetime
    first: datetime
    rows: int
    views: int
    fingerprint: str
    own: OwnTable
    why_empty: str = ""
    """The cause, where `rows` is 0."""

    @property
    def vocabulary(self) -> Vocabulary:
        return Vocabulary.of(self.people.codes, self.own.codes)

    def rest(self) -> None:
        """Gives memory back by spilling to disk: the steps that follow read little of the feed."""
        self.database.execute(f"SET memory_limit = '{RESTING_MEMORY}'")

    def liked(self) -> tuple[Liked, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """All likes by user and time; the users, ascending, and where each one's likes start."""
        likes = fetch(self.database, "SELECT user_id, post_id FROM likes ORDER BY user_id, instant, post_id")
        posts = np.searchsorted(self.posts.ids, likes["post_id"].astype(np.int64))
        users, start = np.unique(likes["user_id"].astype(np.int64), return_index=True)
        return Liked(posts.astype(np.int64)), users, start.astype(np.int64)


def fetch(database: duckdb.DuckDBPyConnection, query: str) -> Columns:
    """Columns as plain arrays; what may be NULL must be coalesced in the query."""
    return {name: np.ma.getdata(values) for name, values in database.execute(query).fetchnumpy().items()}


def load(database: duckdb.DuckDBPyConnection, name: str, columns: Mapping[str, npt.NDArray[np.generic]]) -> None:
    """Makes the temporary table `name` of arrays."""
    database.register("arrays", pa.table(dict(columns)))
    database.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT * FROM arrays")
    database.unregister("arrays")


def microseconds(moment: datetime) -> int:
    """Since the epoch, exactly."""
    since = moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * MICROSECONDS + since.microseconds


def moment_of(at: int) -> datetime:
    seconds, rest = divmod(at, MICROSECONDS)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest)


@contextmanager
def opened(tables: Tables, until: datetime | None = None, memory: str = MEMORY) -> Iterator[Feed]:
    """until: None for everything that the tables hold. Raises LentaError for tables that cannot be read."""
    with TemporaryDirectory(prefix="lenta-") as folder, duckdb.connect() as database:
        database.execute(f"SET memory_limit = '{memory}'; SET threads = {THREADS}; SET TimeZone = 'UTC'")
        database.execute(f"SET temp_directory = '{folder}/spill'")
        hide_progress(database)
        try:
            feed = _open(database, tables, until)
        except duckdb.Error as error:
            raise LentaError(f"the tables cannot be read: {str(error).splitlines()[0]}") from error
        yield feed


def _open(database: duckdb.DuckDBPyConnection, tables: Tables, until: datetime | None) -> Feed:
    posts = _posts(database, tables)
    database.execute(
        f"""
        CREATE TEMP TABLE feed AS
        SELECT epoch_us(f.timestamp) AS instant, CAST(f.user_id AS BIGINT) AS user_id,
            p.id AS post_id, p.topic, f.action = 'like' AS is_like,
            f.action = 'view' AND coalesce(f.target, 0) = 1 AS clicked
        FROM {tables.feed} AS f JOIN posts AS p ON p.id = f.post_id
        WHERE f.action IN ('view', 'like') {_before(until)};
        CREATE TEMP TABLE likes AS
        SELECT min(instant) AS instant, user_id, post_id FROM feed WHERE is_like GROUP BY user_id, post_id
        """
    )
    totals = database.execute(
        "SELECT count(*), count(*) FILTER (WHERE NOT is_like), coalesce(min(instant), 0), coalesce(max(instant), -1), "
        "coalesce(sum(hash(instant, user_id, post_id, is_like, clicked)), 0)::VARCHAR FROM feed"
    ).fetchone()
    assert totals is not None
    rows, views, first, last, content = totals
    people = _people(database, tables)
    end = until or moment_of(last + 1)
    own = _own(database, tables, len(people.ids), len(posts.ids))
    said = repr((rows, last, content, len(people.ids), len(posts.ids), sha256(repr(posts.texts).encode()).hexdigest()))
    if own.columns:
        said += own.fingerprint
    fingerprint = sha256(said.encode()).hexdigest()[:16]
    why_empty = "" if rows else _why_empty(database, tables, until)
    return Feed(database, posts, people, end, moment_of(first), rows, views, fingerprint, own, why_empty)


def _own(database: duckdb.DuckDBPyConnection, tables: Tables, users: int, posts: int) -> OwnTable:
    sources: dict[Entity, str] = {
        "user": f"(SELECT user_id AS id, * FROM {tables.users})",
        "post": tables.posts,
    }
    return read_own(database, tables.own, sources, {"user": users, "post": posts})


def _why_empty(database: duckdb.DuckDBPyConnection, tables: Tables, until: datetime | None) -> str:
    if database.execute(f"SELECT 1 FROM {tables.feed} AS f WHERE TRUE {_before(until)} LIMIT 1").fetchone():
        return "no post of feed_data is in post_text_df"
    return f"feed_data has no rows before {until:%Y-%m-%d %H:%M}" if until else "feed_data has no rows"


def _before(until: datetime | None) -> str:
    return f"AND f.timestamp < TIMESTAMP {naive_literal(until)}" if until else ""


def _posts(database: duckdb.DuckDBPyConnection, tables: Tables) -> Posts:
    """Topics in alphabetical order, as a warm-up of the platform lists them."""
    rows = database.execute(f"SELECT id, coalesce(text, ''), topic FROM {tables.posts} ORDER BY id").fetchall()
    topics = sorted({topic for _, _, topic in rows})
    place = {topic: number for number, topic in enumerate(topics)}
    posts = Posts(
        ids=np.array([post for post, _, _ in rows], np.int64),
        texts=[text for _, text, _ in rows],
        topic=np.array([place[topic] for _, _, topic in rows], np.int64),
        topics=topics,
    )
    load(database, "posts", {"id": posts.ids, "topic": posts.topic})
    return posts


def _people(database: duckdb.DuckDBPyConnection, tables: Tables) -> People:
    plain = ", ".join(f"coalesce(CAST({name} AS DOUBLE), 'NaN'::DOUBLE) AS {name}" for name in _PLAIN)
    database.execute(
        f"CREATE TEMP TABLE people AS SELECT CAST(user_id AS BIGINT) AS user_id, {plain}, {', '.join(CATEGORIES)} "
        f"FROM {tables.users}"
    )
    people = fetch(database, f"SELECT user_id, {', '.join(_PLAIN)} FROM people ORDER BY user_id")
    ids = people["user_id"].astype(np.int64)
    load(database, "segments", {"user_id": ids, "segment": segments_of(people["age"].astype(np.float64))})
    return People(
        ids=ids,
        plain=np.column_stack([people[name].astype(np.float64) for name in _PLAIN]),
        codes={name: _codes(database, name) for name in CATEGORIES},
    )


def _codes(database: duckdb.DuckDBPyConnection, name: str) -> npt.NDArray[np.int64]:
    """Hashed once a value, not once a user."""
    values = [text for (text,) in database.execute(f"SELECT DISTINCT {name} FROM people").fetchall()]
    codes = pa.table({"text": pa.array(values, pa.string()), "code": pa.array(map(code, values), pa.int64())})
    database.register("codes", codes)
    query = f"SELECT code FROM people JOIN codes ON text IS NOT DISTINCT FROM {name} ORDER BY user_id"
    return fetch(database, query)["code"].astype(np.int64)
