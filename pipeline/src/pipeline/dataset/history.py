"""What the platform knew at a moment: the counts behind the features, for requests (user, post, time).

A request sees nothing at or after its own time; counts of posts, topics and segments are those of the last hourly tick, as while
serving. A user's segment is that of the profile as the tables have it. Counters run over every row of the feed, but in groups:
each feed row is added to the first moment of its user that comes after it, and the moments are then summed up. So the memory
grows with the requests and not with the feed.

The SQL is one text that DuckDB and Spark both run; windows take the place of ASOF joins, which Spark lacks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from contracts.catalogue import TICK_SECONDS
from contracts.features import SCHEMA, Pairs, derive
from contracts.records import RECENT_VIEWS, SEGMENTS
from contracts.vocabulary import Vocabulary
from ranking.encoder import Column, Matrix
from ranking.examples import Index, Liked

from pipeline.dataset.engine import DuckDB, Engine
from pipeline.dataset.feed import MICROSECONDS, Columns, Feed, load, places

TICK = TICK_SECONDS * MICROSECONDS
CHUNK = 200_000
_SEGMENT = f"coalesce(s.segment, {len(SEGMENTS) - 1}) AS segment"


@dataclass(frozen=True)
class Requests:
    """Shape (n,) each. time: microseconds since the epoch."""

    user_id: Index
    post_id: Index
    time: Index


@dataclass(frozen=True)
class Batch:
    """Requests in their order, with all that a model needs of them; n rows."""

    user_id: Index
    post_id: Index
    time: Index
    post: Index
    """Index in the feed's posts, -1 for one that does not exist."""
    profile: Column
    topic_views: Column
    """The user's, shape (n, topics of the model), and so the next."""
    topic_likes: Column
    liked_from: Index
    liked: Index
    pairs: Pairs

    def features(self, length: int = len(SCHEMA)) -> Matrix:
        out = np.empty((len(self.user_id), length), np.float32, order="F")
        derive(self.pairs, out)
        return out


class History:
    """Answers requests over one feed, in the terms of one model: its topics and its vocabulary. `engine` counts."""

    def __init__(
        self,
        feed: Feed,
        topics: Sequence[str] | None = None,
        vocabulary: Vocabulary | None = None,
        engine: Engine | None = None,
    ) -> None:
        self.feed = feed
        self.engine = engine or DuckDB(feed.database)
        self.topics = list(feed.posts.topics if topics is None else topics)
        self.vocabulary = vocabulary or feed.people.vocabulary
        self.liked: Liked
        self.liked, self._likers, self._liked_from = feed.liked()
        self._profiles = feed.people.profiles(self.vocabulary)
        own = {topic: place for place, topic in enumerate(self.topics)}
        self._to_model = np.array([*(own.get(topic, -1) for topic in feed.posts.topics), -1], np.int64)
        self._in_feed = np.array([_place(feed.posts.topics, topic) for topic in self.topics], np.intp)

    def ask(self, requests: Requests) -> None:
        """Makes `requests` the ones that `batches` answers."""
        rows = np.arange(len(requests.user_id), dtype=np.int64)
        columns = {
            "row": rows,
            "user_id": requests.user_id,
            "post_id": requests.post_id,
            "instant": requests.time,
        }
        load(self.feed.database, "requests", columns)
        self.prepare()

    def prepare(self) -> None:
        """Sums up what the table `requests(row, user_id, post_id, instant)` asks for; rows count from 0 without a gap."""
        self.engine.take("feed", "likes", "posts", "segments", "requests")
        self._sum_users()
        self._sum_ticks()
        self._sum_segments()
        self._find_repeats()

    def batches(self, chunk: int = CHUNK) -> Iterator[Batch]:
        """In the order of the requests' rows."""
        found = self.feed.database.execute("SELECT count(*) FROM requests").fetchone()
        for low in range(0, found[0] if found else 0, chunk):
            yield self._batch(self.engine.fetch(self._select(low, low + chunk)))

    @property
    def _topic_columns(self) -> list[str]:
        return [f"{kind}{place}" for kind in ("v", "l") for place in range(len(self.feed.posts.topics))]

    def _sum_users(self) -> None:
        """`known(user_id, instant, v0.., l0.., last_view, last_like, liked)`: as of each moment of each user."""
        counts = "".join(
            f", CAST(count(*) FILTER (WHERE {'' if kind == 'l' else 'NOT '}is_like AND topic = {place}) AS DOUBLE) "
            f"AS {kind}{place}"
            for kind in ("v", "l")
            for place in range(len(self.feed.posts.topics))
        )
        sums = "".join(f", sum({name}) OVER so_far AS {name}" for name in self._topic_columns)
        self.engine.keep("moments", "SELECT DISTINCT user_id, instant FROM requests")
        self.engine.keep(
            "known",
            f"""
            WITH added AS (
                SELECT user_id, moment AS instant, max(instant) FILTER (WHERE NOT is_like) AS last_view,
                    max(instant) FILTER (WHERE is_like) AS last_like{counts}
                FROM ({_before_moments("feed", "moments", "is_like", "topic")}) GROUP BY user_id, moment
            ), new_likes AS (
                SELECT user_id, moment AS instant, CAST(count(*) AS DOUBLE) AS liked
                FROM ({_before_moments("likes", "moments", "post_id")}) GROUP BY user_id, moment
            )
            SELECT user_id, instant, max(last_view) OVER so_far AS last_view, max(last_like) OVER so_far AS last_like,
                sum(liked) OVER so_far AS liked{sums}
            FROM moments LEFT JOIN added USING (user_id, instant) LEFT JOIN new_likes USING (user_id, instant)
            WINDOW so_far AS (PARTITION BY user_id ORDER BY instant ROWS UNBOUNDED PRECEDING)
            """,
        )

    def _sum_ticks(self) -> None:
        """`known_by_post`, `known_by_topic`, `known_by_everything`: as of each tick that is asked for."""
        self.engine.keep(
            "request_ticks",
            f"""
            SELECT r.row, r.user_id, r.post_id, r.instant, {_tick("r.instant")} AS tick, coalesce(p.topic, -1) AS topic,
                {_SEGMENT}, 0 AS everything
            FROM requests AS r LEFT JOIN posts AS p ON p.id = r.post_id LEFT JOIN segments AS s ON s.user_id = r.user_id
            """,
        )
        self.engine.keep(
            "ticks",
            f"""
            SELECT post_id, topic, 0 AS everything, {_tick("instant")} AS tick,
                CAST(count(*) FILTER (WHERE NOT is_like) AS DOUBLE) AS views,
                CAST(count(*) FILTER (WHERE is_like) AS DOUBLE) AS likes,
                min(instant) FILTER (WHERE NOT is_like) AS first_view, {_tick("instant")} + {TICK} AS counted_until
            FROM feed GROUP BY post_id, topic, {_tick("instant")}
            """,
        )
        self.engine.keep(
            "first_ticks",
            f"""
            SELECT topic, {_tick("first_view")} AS tick, CAST(count(*) AS DOUBLE) AS posts,
                CAST(sum({_second("first_view")}) AS DOUBLE) AS first_views
            FROM (SELECT post_id, topic, min(first_view) AS first_view FROM ticks GROUP BY post_id, topic)
            WHERE first_view IS NOT NULL GROUP BY topic, {_tick("first_view")}
            """,
        )
        for name, of_key, more in (
            ("post", "post_id", {"first_view": "min"}),
            ("topic", "topic", {}),
            ("everything", "everything", {"counted_until": "max"}),
        ):
            self.engine.keep(f"known_by_{name}", _before_ticks(of_key, "ticks", views="sum", likes="sum", **more))
        self.engine.keep("known_by_first", _before_ticks("topic", "first_ticks", posts="sum", first_views="sum"))

    def _sum_segments(self) -> None:
        """`known_by_segment_topic`, `known_by_segment_post`: as of each tick that is asked for.

        Posts, segments and hours together are nearly as many as the feed's rows: those rows are not grouped by hours, but
        added to the first tick of their post and segment that is asked for, as rows of a user are.
        """
        audience = f"""
            (SELECT f.post_id, f.topic, {_tick("f.instant")} AS tick, f.is_like, {_SEGMENT}
            FROM feed AS f LEFT JOIN segments AS s ON s.user_id = f.user_id)
        """
        self.engine.keep(
            "segment_ticks",
            f"""
            SELECT topic, segment, tick, CAST(count(*) FILTER (WHERE NOT is_like) AS DOUBLE) AS views,
                CAST(count(*) FILTER (WHERE is_like) AS DOUBLE) AS likes
            FROM {audience} GROUP BY topic, segment, tick
            """,
        )
        self.engine.keep(
            "known_by_segment_topic", _before_ticks("topic, segment", "segment_ticks", views="sum", likes="sum")
        )
        self.engine.keep("post_ticks", "SELECT DISTINCT post_id, segment, tick FROM request_ticks")
        self.engine.keep(
            "known_by_segment_post",
            f"""
            WITH added AS (
                SELECT post_id, segment, moment AS tick, CAST(count(*) FILTER (WHERE NOT is_like) AS DOUBLE) AS views,
                    CAST(count(*) FILTER (WHERE is_like) AS DOUBLE) AS likes
                FROM ({_before_moments(audience, "post_ticks", "is_like", key="post_id, segment", time="tick")})
                GROUP BY post_id, segment, moment
            )
            SELECT post_id, segment, tick, sum(views) OVER so_far AS views, sum(likes) OVER so_far AS likes
            FROM post_ticks LEFT JOIN added USING (post_id, segment, tick)
            WINDOW so_far AS (PARTITION BY post_id, segment ORDER BY tick ROWS UNBOUNDED PRECEDING)
            """,
        )

    def _find_repeats(self) -> None:
        """`seen(row)`: the requests for a post that is among the user's last views, of which one second's come in the order of posts.

        Few requests are repeats at all: only for them is counted what the user viewed since.
        """
        self.engine.keep(
            "repeats",
            """
            SELECT r.row, r.user_id, r.post_id, r.instant, max(f.instant) AS viewed_at
            FROM requests AS r JOIN feed AS f ON f.user_id = r.user_id AND f.post_id = r.post_id
            WHERE NOT f.is_like AND f.instant < r.instant GROUP BY r.row, r.user_id, r.post_id, r.instant
            """,
        )
        then, since = _second("r.viewed_at"), _second("f.instant")
        self.engine.keep(
            "seen",
            f"""
            SELECT r.row FROM repeats AS r JOIN feed AS f ON f.user_id = r.user_id
            WHERE NOT f.is_like AND f.instant < r.instant GROUP BY r.row
            HAVING count(*) FILTER (WHERE {since} > {then} OR ({since} = {then} AND f.post_id > r.post_id)) < {RECENT_VIEWS}
            """,
        )

    def _select(self, low: int, high: int) -> str:
        topics = "".join(f", coalesce(k.{name}, 0) AS {name}" for name in self._topic_columns)
        count = "CAST(coalesce({0}, 0) AS DOUBLE) AS {1}".format
        return f"""
            SELECT a.user_id, a.post_id, a.instant, a.topic, {count("k.last_view", "last_view")},
                {count("k.last_like", "last_like")}, CAST(coalesce(k.liked, 0) AS BIGINT) AS liked,
                {count("p.views", "post_views")}, {count("p.likes", "post_likes")}, {count("p.first_view", "first_view")},
                {count("t.views", "live_topic_views")}, {count("t.likes", "live_topic_likes")},
                {count("fi.posts", "topic_posts")}, {count("fi.first_views", "topic_first_views")},
                {count("e.views", "total_views")}, {count("e.likes", "total_likes")}, {count("e.counted_until", "counted_until")},
                {count("st.views", "segment_topic_views")}, {count("st.likes", "segment_topic_likes")},
                CAST(CASE WHEN seen.row IS NULL THEN 0 ELSE 1 END AS DOUBLE) AS seen,
                {count("sp.views", "segment_post_views")}, {count("sp.likes", "segment_post_likes")}{topics}
            FROM (SELECT * FROM request_ticks WHERE row >= {low} AND row < {high}) AS a
            LEFT JOIN known AS k ON k.user_id = a.user_id AND k.instant = a.instant
            LEFT JOIN known_by_post AS p ON p.post_id = a.post_id AND p.tick = a.tick
            LEFT JOIN known_by_topic AS t ON t.topic = a.topic AND t.tick = a.tick
            LEFT JOIN known_by_first AS fi ON fi.topic = a.topic AND fi.tick = a.tick
            LEFT JOIN known_by_everything AS e ON e.tick = a.tick
            LEFT JOIN known_by_segment_topic AS st ON st.topic = a.topic AND st.segment = a.segment AND st.tick = a.tick
            LEFT JOIN known_by_segment_post AS sp ON sp.post_id = a.post_id AND sp.segment = a.segment AND sp.tick = a.tick
            LEFT JOIN seen ON seen.row = a.row
            ORDER BY a.row
        """

    def _batch(self, found: Columns) -> Batch:
        users, posts = found["user_id"].astype(np.int64), found["post_id"].astype(np.int64)
        live = found["topic"].astype(np.intp)
        views, likes = (self._by_topic(found, kind) for kind in ("v", "l"))
        profile = self._profiles[self.feed.people.places(users)]
        liker = places(self._likers, users, missing=len(self._likers))
        return Batch(
            user_id=users,
            post_id=posts,
            time=found["instant"].astype(np.int64),
            post=places(self.feed.posts.ids, posts, missing=-1).astype(np.int64),
            profile=profile,
            topic_views=views[:, self._in_feed],
            topic_likes=likes[:, self._in_feed],
            liked_from=np.append(self._liked_from, 0)[liker],
            liked=found["liked"].astype(np.int64),
            pairs=self._pairs(found, profile, live, views, likes),
        )

    def _by_topic(self, found: Columns, kind: str) -> Column:
        """Shape (n, topics of the feed + 1); the last column, of no topic, is 0."""
        columns = [found[f"{kind}{place}"].astype(np.float64) for place in range(len(self.feed.posts.topics))]
        return np.column_stack([*columns, np.zeros(len(found["user_id"]))])

    def _pairs(
        self, found: Columns, profile: Column, live: npt.NDArray[np.intp], views: Column, likes: Column
    ) -> Pairs:
        rows = np.arange(len(live))
        return Pairs(
            **dict(zip(("age", "gender", "exp_group", "os", "source", "country", "city"), profile.T, strict=True)),
            user_views=views.sum(axis=1),
            user_likes=likes.sum(axis=1),
            last_view_at=_seconds(found["last_view"]),
            last_like_at=_seconds(found["last_like"]),
            user_topic_views=views[rows, live],
            user_topic_likes=likes[rows, live],
            seen=found["seen"].astype(np.float64),
            topic=self._to_model[live].astype(np.float64),
            topic_views=found["live_topic_views"].astype(np.float64),
            topic_likes=found["live_topic_likes"].astype(np.float64),
            topic_posts=found["topic_posts"].astype(np.float64),
            topic_first_views=_seconds(found["topic_first_views"]),
            total_views=found["total_views"].astype(np.float64),
            total_likes=found["total_likes"].astype(np.float64),
            post_views=found["post_views"].astype(np.float64),
            post_likes=found["post_likes"].astype(np.float64),
            segment_topic_views=found["segment_topic_views"].astype(np.float64),
            segment_topic_likes=found["segment_topic_likes"].astype(np.float64),
            segment_post_views=found["segment_post_views"].astype(np.float64),
            segment_post_likes=found["segment_post_likes"].astype(np.float64),
            first_view_at=_seconds(found["first_view"]),
            counted_until=_seconds(found["counted_until"]),
            now=_seconds(found["instant"]),
        )


def _tick(instant: str) -> str:
    """SQL: the start of the hour."""
    return f"({instant} - {instant} % {TICK})"


def _second(instant: str) -> str:
    """SQL: the start of the second; records keep no more."""
    return f"({instant} - {instant} % {MICROSECONDS})"


def _before_moments(events: str, moments: str, *columns: str, key: str = "user_id", time: str = "instant") -> str:
    """SQL: the rows of `events` before the last of `moments` of their key, each with `moment`, the first that comes after it.

    It goes back in time, so that both engines pass once over a key's rows; of what happens at once, moments come last.
    """
    own, none = ", ".join(columns), ", ".join(["NULL"] * len(columns))
    return f"""
        SELECT {key}, {time}, moment, {own} FROM (
            SELECT {key}, {time}, {own}, is_event, min(moment) OVER (
                PARTITION BY {key} ORDER BY {time} DESC, is_event DESC ROWS UNBOUNDED PRECEDING) AS moment
            FROM (
                SELECT {key}, {time}, {own}, 1 AS is_event, CAST(NULL AS BIGINT) AS moment FROM {events}
                UNION ALL SELECT {key}, {time}, {none}, 0, {time} FROM {moments}
            )
        ) WHERE is_event = 1 AND moment IS NOT NULL
    """


def _before_ticks(key: str, ticks: str, **columns: str) -> str:
    """SQL: for each value of `key` and each tick that is asked for, columns of `ticks` summed, or so, over what lies in earlier ticks."""
    names = ", ".join(columns)
    in_tick = ", ".join(f"{how}({name}) AS {name}" for name, how in columns.items())
    so_far = ", ".join(f"{how}({name}) OVER so_far AS {name}" for name, how in columns.items())
    nothing = ", ".join("NULL" for _ in columns)
    return f"""
        SELECT {key}, tick, {names} FROM (
            SELECT {key}, tick, is_event, {so_far}
            FROM (
                SELECT {key}, tick, {in_tick}, 1 AS is_event FROM {ticks} GROUP BY {key}, tick
                UNION ALL SELECT DISTINCT {key}, tick, {nothing}, 0 FROM request_ticks
            )
            WINDOW so_far AS (PARTITION BY {key} ORDER BY tick, is_event ROWS UNBOUNDED PRECEDING)
        ) WHERE is_event = 0
    """


def _place(topics: Sequence[str], topic: str) -> int:
    """-1, the column of no topic, for one that the feed doesn't have."""
    return topics.index(topic) if topic in topics else -1


def _seconds(at: npt.NDArray[np.generic]) -> Column:
    """Whole seconds, as the records keep them."""
    return np.floor(at.astype(np.float64) / MICROSECONDS)
