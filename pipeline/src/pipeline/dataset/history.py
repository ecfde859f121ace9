"""What the platform knew at a moment: the counts behind the features, for requests (user, post, time).

A request sees nothing at or after its own time; posts' and topics' counts are those of the last hourly tick, as while
serving. Counters run over every row of the feed, but in groups: each feed row is added to the first moment of its user that
comes after it, and the moments are then summed up. So the memory grows with the requests and not with the feed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from contracts.catalogue import TICK_SECONDS
from contracts.features import SCHEMA, Pairs, derive
from contracts.vocabulary import Vocabulary
from ranking.encoder import Column, Matrix
from ranking.examples import Index, Liked

from pipeline.dataset.feed import MICROSECONDS, Columns, Feed, fetch, load, places

TICK = TICK_SECONDS * MICROSECONDS
CHUNK = 200_000


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
    """Answers requests over one feed, in the terms of one model: its topics and its vocabulary."""

    def __init__(self, feed: Feed, topics: Sequence[str] | None = None, vocabulary: Vocabulary | None = None) -> None:
        self.feed = feed
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
        self._sum_users()
        self._sum_posts()

    def batches(self, chunk: int = CHUNK) -> Iterator[Batch]:
        """In the order of the requests' rows."""
        database = self.feed.database
        found = database.execute("SELECT count(*) FROM requests").fetchone()
        for low in range(0, found[0] if found else 0, chunk):
            yield self._batch(fetch(database, self._select(low, low + chunk)))

    @property
    def _topic_columns(self) -> list[str]:
        return [f"{kind}{place}" for kind in ("v", "l") for place in range(len(self.feed.posts.topics))]

    def _sum_users(self) -> None:
        """`known(user_id, instant, v0.., l0.., last_view, last_like, liked)`: as of each moment of each user."""
        counts = "".join(
            f", (count(*) FILTER (WHERE {'' if kind == 'l' else 'NOT '}is_like AND topic = {place}))::DOUBLE AS {kind}{place}"
            for kind in ("v", "l")
            for place in range(len(self.feed.posts.topics))
        )
        sums = "".join(f", sum({name}) OVER so_far AS {name}" for name in self._topic_columns)
        self.feed.database.execute(
            f"""
            CREATE OR REPLACE TEMP TABLE moments AS SELECT DISTINCT user_id, instant FROM requests;
            CREATE OR REPLACE TEMP TABLE known AS
            WITH added AS (
                SELECT m.user_id, m.instant, max(f.instant) FILTER (WHERE NOT is_like) AS last_view,
                    max(f.instant) FILTER (WHERE is_like) AS last_like{counts}
                FROM feed AS f ASOF JOIN moments AS m ON f.user_id = m.user_id AND f.instant < m.instant GROUP BY ALL
            ), new_likes AS (
                SELECT m.user_id, m.instant, count(*)::DOUBLE AS liked
                FROM likes AS l ASOF JOIN moments AS m ON l.user_id = m.user_id AND l.instant < m.instant GROUP BY ALL
            )
            SELECT user_id, instant, max(last_view) OVER so_far AS last_view, max(last_like) OVER so_far AS last_like,
                sum(liked) OVER so_far AS liked{sums}
            FROM moments LEFT JOIN added USING (user_id, instant) LEFT JOIN new_likes USING (user_id, instant)
            WINDOW so_far AS (PARTITION BY user_id ORDER BY instant ROWS UNBOUNDED PRECEDING)
            """
        )

    def _sum_posts(self) -> None:
        """`hours`: what happened up to and with each hour, by post, by topic, and in all."""
        self.feed.database.execute(
            f"""
            CREATE OR REPLACE TEMP TABLE hours AS
            SELECT post_id, topic, instant // {TICK} AS hour, (count(*) FILTER (WHERE NOT is_like))::DOUBLE AS views,
                (count(*) FILTER (WHERE is_like))::DOUBLE AS likes, min(instant) FILTER (WHERE NOT is_like) AS first_view
            FROM feed GROUP BY ALL;
            CREATE OR REPLACE TEMP TABLE post_hours AS
            SELECT post_id, hour, sum(views) OVER so_far AS views, sum(likes) OVER so_far AS likes,
                min(first_view) OVER so_far AS first_view
            FROM hours WINDOW so_far AS (PARTITION BY post_id ORDER BY hour);
            CREATE OR REPLACE TEMP TABLE topic_hours AS
            SELECT topic, hour, sum(sum(views)) OVER so_far AS views, sum(sum(likes)) OVER so_far AS likes
            FROM hours GROUP BY topic, hour WINDOW so_far AS (PARTITION BY topic ORDER BY hour);
            CREATE OR REPLACE TEMP TABLE all_hours AS
            SELECT hour, sum(sum(views)) OVER so_far AS views, sum(sum(likes)) OVER so_far AS likes
            FROM hours GROUP BY hour WINDOW so_far AS (ORDER BY hour)
            """
        )

    def _select(self, low: int, high: int) -> str:
        topics = "".join(f", coalesce({name}, 0) AS {name}" for name in self._topic_columns)
        count = "CAST(coalesce({0}, 0) AS DOUBLE) AS {1}".format
        return f"""
            WITH asked AS (
                SELECT r.row, r.user_id, r.post_id, r.instant, r.instant // {TICK} AS hour, coalesce(p.topic, -1) AS topic
                FROM requests AS r LEFT JOIN posts AS p ON p.id = r.post_id WHERE r.row >= {low} AND r.row < {high}
            )
            SELECT a.user_id, a.post_id, a.instant, a.topic, {count("k.last_view", "last_view")},
                {count("k.last_like", "last_like")}, coalesce(k.liked, 0)::BIGINT AS liked,
                {count("p.views", "post_views")}, {count("p.likes", "post_likes")}, {count("p.first_view", "first_view")},
                {count("t.views", "live_topic_views")}, {count("t.likes", "live_topic_likes")},
                {count("e.views", "total_views")}, {count("e.likes", "total_likes")}{topics}
            FROM asked AS a
            LEFT JOIN known AS k ON k.user_id = a.user_id AND k.instant = a.instant
            ASOF LEFT JOIN post_hours AS p ON p.post_id = a.post_id AND p.hour < a.hour
            ASOF LEFT JOIN topic_hours AS t ON t.topic = a.topic AND t.hour < a.hour
            ASOF LEFT JOIN all_hours AS e ON e.hour < a.hour
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
            topic=self._to_model[live].astype(np.float64),
            topic_views=found["live_topic_views"].astype(np.float64),
            topic_likes=found["live_topic_likes"].astype(np.float64),
            total_views=found["total_views"].astype(np.float64),
            total_likes=found["total_likes"].astype(np.float64),
            post_views=found["post_views"].astype(np.float64),
            post_likes=found["post_likes"].astype(np.float64),
            first_view_at=_seconds(found["first_view"]),
            now=_seconds(found["instant"]),
        )


def _place(topics: Sequence[str], topic: str) -> int:
    """-1, the column of no topic, for one that the feed doesn't have."""
    return topics.index(topic) if topic in topics else -1


def _seconds(at: npt.NDArray[np.generic]) -> Column:
    """Whole seconds, as the records keep them."""
    return np.floor(at.astype(np.float64) / MICROSECONDS)
