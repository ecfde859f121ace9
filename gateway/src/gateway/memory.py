"""What the gateway remembers so that it can answer when something is down. Bounded, in this process only."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable, Sequence
from typing import Generic, TypeVar

import numpy as np
from contracts.records import BadRecordError, Profile, split_row
from contracts.wire import PopularPosts, Post

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Recent(Generic[K, V]):
    """The values that were last put, at most `size`."""

    def __init__(self, size: int) -> None:
        self._size, self._held = size, OrderedDict[K, V]()

    def put(self, key: K, value: V) -> None:
        self._held[key] = value
        self._held.move_to_end(key)
        if len(self._held) > self._size:
            self._held.popitem(last=False)

    def get(self, key: K) -> V | None:
        return self._held.get(key)


class Memory:
    """Last slates, hidden ids and texts that passed by, and the popular posts."""

    def __init__(self, users: int, texts: int) -> None:
        self._slates: Recent[tuple[int, str], list[int]] = Recent(users)
        self._hidden: Recent[int, set[int]] = Recent(users)
        self._texts: Recent[int, Post] = Recent(texts)
        self.popular: PopularPosts | None = None

    def saw_row(self, user_id: int, row: bytes) -> None:
        self._hidden.put(user_id, hidden_in(row))

    def saw_like(self, user_id: int, post_id: int) -> None:
        """Accepted through this gateway: holds even while feature-service is down."""
        self._hidden.put(user_id, (self._hidden.get(user_id) or set()) | {post_id})

    def saw_slate(self, user_id: int, model: str, posts: Sequence[Post]) -> None:
        self._slates.put((user_id, model), [post.id for post in posts])
        for post in posts:
            self._texts.put(post.id, post)

    def saw_popular(self, popular: PopularPosts) -> None:
        self.popular = popular

    def texts(self, ids: Iterable[int]) -> list[Post]:
        """Of the posts that are remembered, in order."""
        return [post for post_id in ids if (post := self._texts.get(post_id)) is not None]

    def instead(self, user_id: int, model: str, row: bytes | None, limit: int) -> tuple[str, list[Post]]:
        """What to answer without a ranking, and what that is: the last slate, else popular posts of the segment, else of all."""
        hidden = hidden_in(row) if row is not None else (self._hidden.get(user_id) or set())
        slate = [post for post in self.texts(self._slates.get((user_id, model)) or []) if post.id not in hidden]
        if len(slate) >= limit:
            return "last_slate", slate[:limit]
        segment = _segment(row)
        if self.popular is None:
            return "last_slate", slate
        in_segment = self.popular.segments.get(segment, []) if segment else []
        name = "popular_in_segment" if in_segment else "popular"
        chosen: dict[int, Post] = {}
        for post in [*in_segment, *self.popular.overall]:
            if post.id not in hidden and len(chosen) < limit:
                chosen.setdefault(post.id, post)
        return name, list(chosen.values())


def hidden_in(row: bytes) -> set[int]:
    """The post ids that a packed row hides."""
    return {int(post) for post in np.frombuffer(split_row(row)[2], "<u4")}


def _segment(row: bytes | None) -> str | None:
    if row is None:
        return None
    try:
        profile = split_row(row)[0]
        return Profile.unpack(profile).segment if profile else None
    except BadRecordError:
        return None
