"""What the gateway keeps so that it can answer when something is down. Bounded, in this process only."""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Generic, TypeVar

from contracts.degradation import LAST_SLATE, POPULAR, POPULAR_IN_SEGMENT
from contracts.wire import PopularPosts, Post

from gateway.row import Row, packed_ids, unpacked_ids

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
ENTRY_BYTES = 300
"""What an entry weighs beside its value: its key, its place, the header of a bytes object."""
POST_BYTES = 700
"""What a post weighs beside its text."""


class Recent(Generic[K, V]):
    """The values that were put last, as many as weigh at most `capacity` together.

    cachetools' FIFOCache does the same with three dicts: twice the memory per entry (270 bytes rather than 130) and
    twice the time per `get` and `put`.
    """

    def __init__(self, capacity: int, weigh: Callable[[V], int]) -> None:
        self._capacity, self._weigh = capacity, weigh
        self._held = OrderedDict[K, V]()
        self.weight = 0

    def put(self, key: K, value: V) -> None:
        if (old := self._held.pop(key, None)) is not None:
            self.weight -= self._weigh(old)
        self._held[key] = value
        self.weight += self._weigh(value)
        while self.weight > self._capacity:
            _, oldest = self._held.popitem(last=False)
            self.weight -= self._weigh(oldest)

    def get(self, key: K) -> V | None:
        return self._held.get(key)


class Fallback:
    """Last slates, hidden ids and texts of earlier answers, and the popular posts."""

    def __init__(self, capacity: int) -> None:
        """capacity: bytes; half of it for texts, a quarter each for slates and for hidden ids."""
        self._slates: Recent[tuple[int, str], bytes] = Recent(capacity // 4, _weigh_ids)
        self._hidden: Recent[int, bytes] = Recent(capacity // 4, _weigh_ids)
        self._texts: Recent[int, Post] = Recent(capacity // 2, _weigh_post)
        self.popular: PopularPosts | None = None

    def keep_row(self, user_id: int, row: Row) -> None:
        self._hidden.put(user_id, row.hidden)

    def keep_like(self, user_id: int, post_id: int) -> None:
        """Accepted through this gateway: holds even while feature-service is down."""
        self._hidden.put(user_id, (self._hidden.get(user_id) or b"") + packed_ids(post_id))

    def keep_slate(self, user_id: int, model: str, posts: Sequence[Post]) -> None:
        self._slates.put((user_id, model), packed_ids(*(post.id for post in posts)))
        for post in posts:
            self._texts.put(post.id, post)

    def keep_popular(self, popular: PopularPosts) -> None:
        self.popular = popular

    def texts(self, ids: Iterable[int]) -> list[Post]:
        """Of the posts that are remembered, in order."""
        return [post for post_id in ids if (post := self._texts.get(post_id)) is not None]

    def instead(self, user_id: int, model: str, row: Row | None, limit: int) -> tuple[str, list[Post]]:
        """What to answer without a ranking, after the name of the source that comes first in it.

        The last slate, filled up with popular posts of the segment, then of all; without what is known to be hidden.
        """
        hidden = set(unpacked_ids(row.hidden if row is not None else self._hidden.get(user_id) or b""))
        sources = {
            LAST_SLATE: self.texts(unpacked_ids(self._slates.get((user_id, model)) or b"")),
            POPULAR_IN_SEGMENT: self._popular_in_segment(row),
            POPULAR: self.popular.overall if self.popular is not None else [],
        }
        name, chosen = POPULAR, dict[int, Post]()
        for source, posts in sources.items():
            left = [post for post in posts if post.id not in hidden and post.id not in chosen]
            if left and not chosen:
                name = source
            chosen |= {post.id: post for post in left[: limit - len(chosen)]}
        return name, list(chosen.values())

    def _popular_in_segment(self, row: Row | None) -> list[Post]:
        segment = row.segment if row is not None else None
        return self.popular.segments.get(segment, []) if self.popular is not None and segment is not None else []


def _weigh_ids(ids: bytes) -> int:
    return ENTRY_BYTES + len(ids)


def _weigh_post(post: Post) -> int:
    return ENTRY_BYTES + POST_BYTES + sys.getsizeof(post.text)
