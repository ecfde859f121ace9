"""What a model learns from: posts, and views with what the platform knew of the user just before each of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ranking.encoder import Column, Matrix, UserState
from ranking.last_likes import LAST, LastLikes
from ranking.liked_posts import LikedPosts

SPAN = 100_000
"""Likes whose running sums are held at once."""

Index = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Posts:
    """ids, ascending: shape (n,); topic: index in `topics`, shape (n,)."""

    ids: Index
    texts: list[str]
    topic: Index
    topics: list[str]

    @property
    def topic_names(self) -> list[str]:
        return [self.topics[place] for place in self.topic]


def topic_places(known: Sequence[str], topics: Sequence[str]) -> Index:
    """The index of each of `topics` among those known, -1 for another. Shape (len(topics),)."""
    place = {topic: number for number, topic in enumerate(known)}
    return np.array([place.get(topic, -1) for topic in topics], np.int64)


@dataclass(frozen=True)
class Liked:
    """The distinct posts that each user liked, oldest first, all users in one array. posts: index in `Posts`."""

    posts: Index

    def last(self, start: Index, count: Index) -> Index:
        """Of each row i the last of posts[start[i] : start[i] + count[i]], newest first, -1 behind the oldest; shape
        (rows, at most LAST)."""
        back = np.arange(min(LAST, int(count.max(initial=0))))
        place = (start + count)[:, None] - 1 - back
        return np.where(back < count[:, None], self.posts[np.maximum(place, 0)] if len(self.posts) else -1, -1)

    def sums(self, vectors: Matrix, start: Index, count: Index) -> Matrix:
        """Of each row i the sum of the vectors of posts[start[i] : start[i] + count[i]], shape (rows, dimensions)."""
        ranges, row = np.unique(np.stack([start, count], axis=1), axis=0, return_inverse=True)
        sums = np.zeros((len(ranges), vectors.shape[1]), np.float32)
        for block in _blocks(ranges):
            low, high = int(ranges[block, 0].min()), int(ranges[block].sum(axis=1).max())
            running = np.zeros((high - low + 1, vectors.shape[1]))
            np.cumsum(vectors[self.posts[low:high]], axis=0, dtype=np.float64, out=running[1:])
            begin = ranges[block, 0] - low
            sums[block] = running[begin + ranges[block, 1]] - running[begin]
        return sums[row.ravel()]


def _blocks(ranges: Index) -> Iterator[slice]:
    """Slices of ranges, ordered by start, that each span about SPAN likes."""
    first = 0
    while first < len(ranges):
        last = max(first + 1, int(np.searchsorted(ranges[:, 0], ranges[first, 0] + SPAN)))
        yield slice(first, last)
        first = last


@dataclass(frozen=True)
class Examples:
    """n views, in order of time. Nothing here was known only after its row's time, but `clicked`."""

    posts: Posts
    all_liked: Liked
    user: Index
    """User ids, shape (n,)."""
    post: Index
    """Index in `posts`, shape (n,)."""
    profile: Column
    """As `UserState`'s, and so the next two."""
    topic_views: Column
    topic_likes: Column
    liked_from: Index
    """Where the user's likes start in `all_liked`, shape (n,)."""
    liked: Index
    """How many of them came before the row, shape (n,)."""
    since_like: Column
    """Seconds since the last of them, infinite for none, shape (n,)."""
    post_odds: Column
    """Log-odds of a like by the post's own counts, shape (n,)."""
    clicked: Column
    """1 where a like followed, else 0, shape (n,)."""
    time: Index
    """Microseconds since the epoch, shape (n,)."""

    def __len__(self) -> int:
        return len(self.post)

    def where(self, rows: npt.NDArray[np.bool_] | Index | slice) -> Examples:
        return Examples(
            posts=self.posts,
            all_liked=self.all_liked,
            user=self.user[rows],
            post=self.post[rows],
            profile=self.profile[rows],
            topic_views=self.topic_views[rows],
            topic_likes=self.topic_likes[rows],
            liked_from=self.liked_from[rows],
            liked=self.liked[rows],
            since_like=self.since_like[rows],
            post_odds=self.post_odds[rows],
            clicked=self.clicked[rows],
            time=self.time[rows],
        )

    def state(self, vectors: Matrix) -> UserState:
        """Of every row's user just before it. vectors: of all posts, shape (posts, dimensions)."""
        return UserState(
            profile=self.profile,
            topic_views=self.topic_views,
            topic_likes=self.topic_likes,
            liked_sum=self.all_liked.sums(vectors, self.liked_from, self.liked),
            liked=self.liked.astype(np.float64),
            last=LastLikes(vectors, self.all_liked.last(self.liked_from, self.liked), self.since_like),
            liked_posts=LikedPosts(vectors, self.all_liked.posts, self.liked_from, self.liked),
        )

    def last_rows(self) -> Index:
        """Each user's last row, by which the most is known of the user."""
        _, from_the_end = np.unique(self.user[::-1], return_index=True)
        return np.asarray(len(self) - 1 - from_the_end, np.int64)

    def post_views(self) -> Column:
        """How often each post is shown in the rows, shape (posts,)."""
        return np.bincount(self.post, minlength=len(self.posts.ids)).astype(np.float64)
