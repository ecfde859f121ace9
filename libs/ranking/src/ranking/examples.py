"""What a model learns from: posts, and views with what the platform knew of the user just before each of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ranking.encoder import Column, Matrix, UserState

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
    expected: Column
    """Log-odds of a like by the counts alone: the user's rate of the topic and the post's own, shape (n,)."""
    clicked: Column
    """1 where a like followed, else 0, shape (n,)."""
    time: Index
    """Microseconds since the epoch, shape (n,)."""

    def __len__(self) -> int:
        return len(self.post)

    def where(self, rows: npt.NDArray[np.bool_] | slice) -> Examples:
        return Examples(
            posts=self.posts,
            all_liked=self.all_liked,
            post=self.post[rows],
            profile=self.profile[rows],
            topic_views=self.topic_views[rows],
            topic_likes=self.topic_likes[rows],
            liked_from=self.liked_from[rows],
            liked=self.liked[rows],
            expected=self.expected[rows],
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
        )

    def last_of_each_user(self) -> tuple[Index, Index]:
        """Start and count of the likes of each user who has any, as of the user's last row."""
        order = np.lexsort((self.liked, self.liked_from))
        start, count = self.liked_from[order], self.liked[order]
        last = np.append(start[1:] != start[:-1], True) if len(start) else np.zeros(0, bool)
        chosen = last & (count > 0)
        return start[chosen], count[chosen]

    def post_likes(self) -> Column:
        """How often each post was liked in the rows, shape (posts,)."""
        return np.bincount(self.post, self.clicked, len(self.posts.ids)).astype(np.float64)
