"""What the platform knew at a moment: the counts behind the features, for requests (user, post, time).

A request sees nothing at or after its own time; counts of posts, topics and segments are those of the last hourly tick,
as while serving. A user's segment is that of the profile as the tables have it. `pipeline.dataset.counters` counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from contracts.features import POST_INPUTS, PROFILE, SCHEMA, Pairs, derive
from contracts.own import OwnColumns
from contracts.vocabulary import Vocabulary
from ranking.artefact import Manifest
from ranking.encoder import Column, Matrix
from ranking.examples import Index, Liked
from ranking.last_likes import seconds_since

from pipeline.dataset.counters import sum_up, sums_of
from pipeline.dataset.engine import DuckDB, Engine
from pipeline.dataset.feed import Columns, Feed, load, places
from pipeline.errors import LentaError

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
    own: Column
    """The team's own columns that the model needs, of users and then of posts, shape (n, columns)."""

    @property
    def since_like(self) -> Column:
        """Seconds since the user's last like, infinite for none."""
        return seconds_since(self.pairs.last_like_at, self.pairs.now)

    def features(self, length: int = len(SCHEMA)) -> Matrix:
        """Shape (n, length + own columns): the first `length` of the schema, and the team's own behind them."""
        out = np.empty((len(self.user_id), length + self.own.shape[1]), np.float32, order="F")
        derive(self.pairs, out[:, :length])
        out[:, length:] = self.own
        return out


class History:
    """Answers requests over one feed, in the terms of one model: its topics, its vocabulary, its own columns (if not
    given, the feed's). `engine` counts."""

    def __init__(
        self,
        feed: Feed,
        topics: Sequence[str] | None = None,
        vocabulary: Vocabulary | None = None,
        engine: Engine | None = None,
        own: OwnColumns | None = None,
    ) -> None:
        self.feed = feed
        self.own = feed.own.columns if own is None else own
        self.engine = engine or DuckDB(feed.database)
        self.topics = list(feed.posts.topics if topics is None else topics)
        self.vocabulary = vocabulary or feed.vocabulary
        self._own_of_users = feed.own.features("user", self.own, self.vocabulary)
        self._own_of_posts = feed.own.features("post", self.own, self.vocabulary)
        self.liked: Liked
        self.liked, self._likers, self._liked_from = feed.liked()
        self._profiles = feed.people.profiles(self.vocabulary)
        known = {topic: place for place, topic in enumerate(self.topics)}
        self._to_model = np.array([*(known.get(topic, -1) for topic in feed.posts.topics), -1], np.int64)
        self._in_feed = np.array([_place(feed.posts.topics, topic) for topic in self.topics], np.intp)

    @classmethod
    def of_model(cls, feed: Feed, manifest: Manifest) -> History:
        """Raises LentaError where the tables lack a column that the model needs."""
        if not feed.own.columns.holds(manifest.own):
            needs, have = ", ".join(manifest.own.marks), ", ".join(feed.own.columns.marks) or "none"
            raise LentaError(
                f"model {manifest.name}@{manifest.version} needs the own columns {needs}; the tables have {have}: "
                "give their --mapping"
            )
        return cls(feed, manifest.topics, manifest.vocabulary, own=manifest.own)

    def ask(self, requests: Requests) -> None:
        """Sets the requests that `batches` answers."""
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
        """Counts for the table `requests(row, user_id, post_id, instant)`, whose rows go from 0 on without a gap."""
        sum_up(self.engine, len(self.feed.posts.topics))

    def batches(self, chunk: int = CHUNK) -> Iterator[Batch]:
        """In the order of the requests' rows."""
        (requests,) = self.feed.database.execute("SELECT count(*) FROM requests").fetchall()[0]
        for low in range(0, requests, chunk):
            yield self._batch(self.engine.fetch(sums_of(low, low + chunk, len(self.feed.posts.topics))))

    def _batch(self, counted: Columns) -> Batch:
        users, posts = counted["user_id"].astype(np.int64), counted["post_id"].astype(np.int64)
        live = counted["topic"].astype(np.intp)
        views, likes = (self._by_topic(counted, kind) for kind in ("v", "l"))
        person = self.feed.people.places(users)
        post = places(self.feed.posts.ids, posts, missing=-1).astype(np.int64)
        profile = self._profiles[person]
        liker = places(self._likers, users, missing=len(self._likers))
        return Batch(
            user_id=users,
            post_id=posts,
            time=counted["instant"].astype(np.int64),
            post=post,
            profile=profile,
            topic_views=views[:, self._in_feed],
            topic_likes=likes[:, self._in_feed],
            liked_from=np.append(self._liked_from, 0)[liker],
            liked=counted["liked"].astype(np.int64),
            pairs=self._pairs(counted, profile, live, views, likes),
            own=np.hstack([self._own_of_users[person], self._own_of_posts[post]]),
        )

    def _by_topic(self, counted: Columns, kind: str) -> Column:
        """Shape (n, topics of the feed + 1); the last column, of no topic, is 0."""
        columns = [counted[f"{kind}{place}"].astype(np.float64) for place in range(len(self.feed.posts.topics))]
        return np.column_stack([*columns, np.zeros(len(counted["user_id"]))])

    def _pairs(
        self, counted: Columns, profile: Column, live: npt.NDArray[np.intp], views: Column, likes: Column
    ) -> Pairs:
        rows = np.arange(len(live))
        return Pairs(
            **{name: counted[name].astype(np.float64) for name in POST_INPUTS},
            **dict(zip(PROFILE, profile.T, strict=True)),
            user_views=views.sum(axis=1),
            user_likes=likes.sum(axis=1),
            last_view_at=counted["last_view_at"].astype(np.float64),
            last_like_at=counted["last_like_at"].astype(np.float64),
            user_topic_views=views[rows, live],
            user_topic_likes=likes[rows, live],
            seen=counted["seen"].astype(np.float64),
            topic=self._to_model[live].astype(np.float64),
            now=counted["now"].astype(np.float64),
            spread=None,
        )


def _place(topics: Sequence[str], topic: str) -> int:
    """-1, the column of no topic, for one that the feed doesn't have."""
    return topics.index(topic) if topic in topics else -1
