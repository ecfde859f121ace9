"""What the gateway keeps so that it can answer when something is down. Bounded, in this process only."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Generic, NamedTuple, TypeVar

from contracts.degradation import LAST_SLATE, POPULAR, POPULAR_IN_SEGMENT
from contracts.wire import PopularPosts, Post

from gateway.row import Row, packed_ids, unpacked_ids

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
ENTRY_BYTES = 300
"""What an entry weighs beside its value: its key, its place, the header of a bytes object."""
Texts = dict[int, bytes]
"""Posts as JSON, as they are answered, by id."""


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

    def drop(self, key: K) -> None:
        if (old := self._held.pop(key, None)) is not None:
            self.weight -= self._weigh(old)


class _Text(NamedTuple):
    post: bytes
    version: str


class Fallback:
    """Last slates, hidden ids and texts of earlier answers, and the popular posts."""

    def __init__(self, capacity: int) -> None:
        """capacity: bytes; half of it for texts, a quarter each for slates and for hidden ids."""
        self._slates: Recent[tuple[int, str], bytes] = Recent(capacity // 4, _weigh_ids)
        self._hidden: Recent[int, bytes] = Recent(capacity // 4, _weigh_ids)
        self._texts: Recent[int, _Text] = Recent(capacity // 2, _weigh_text)
        self.texts_version = ""
        """Of all texts, as feature-service said last: a text that was kept under another may have changed."""
        self.popular: PopularPosts | None = None
        self._popular: Texts = {}
        self._gone, self._gone_ids = b"", frozenset[int]()

    def keep_row(self, user_id: int, row: Row) -> None:
        self._hidden.put(user_id, row.hidden)
        self.keep_gone(row.gone)

    def keep_gone(self, gone: bytes) -> None:
        """Posts that went lately, uint32: whatever remembers them, nobody is shown them."""
        if gone != self._gone:
            self._gone, self._gone_ids = gone, frozenset(unpacked_ids(gone))
            self.drop_texts(self._gone_ids)

    def keep_gone_too(self, post_id: int) -> None:
        """Taken down through this gateway: holds before feature-service says so, and while it is down."""
        self._gone_ids |= {post_id}
        self.drop_texts([post_id])

    def keep_like(self, user_id: int, post_id: int) -> None:
        """Accepted through this gateway: holds even while feature-service is down."""
        self._hidden.put(user_id, (self._hidden.get(user_id) or b"") + packed_ids(post_id))

    def forget_user(self, user_id: int, kept_as: Iterable[str]) -> None:
        """kept_as: the names under which slates are kept."""
        self._hidden.drop(user_id)
        for name in kept_as:
            self._slates.drop((user_id, name))

    def keep_slate(self, user_id: int, model: str, ids: Iterable[int]) -> None:
        self._slates.put((user_id, model), packed_ids(*ids))

    def keep_texts(self, posts: Iterable[Post], version: str) -> None:
        """version: `texts_version` before they were asked for."""
        for post in posts:
            if post.id not in self._gone_ids:
                self._texts.put(post.id, _Text(_as_json(post), version))

    def drop_texts(self, posts: Iterable[int]) -> None:
        """Of posts that there are no longer."""
        for post in posts:
            self._texts.drop(post)
            self._popular.pop(post, None)

    def forget_text(self, post_id: int) -> None:
        """Of a post that has been published anew through this gateway: it may be one that is back."""
        self._gone, self._gone_ids = b"", self._gone_ids - {post_id}
        if (kept := self._texts.get(post_id)) is not None:
            self._texts.put(post_id, kept._replace(version=""))

    def keep_popular(self, popular: PopularPosts) -> None:
        every = [popular.overall, *popular.segments.values()]
        self.popular, self._popular = popular, {post.id: _as_json(post) for posts in every for post in posts}

    def unsure(self, ids: Iterable[int]) -> list[int]:
        """Those whose text is not known, or may have changed."""
        return [post for post in ids if (kept := self._texts.get(post)) is None or kept.version != self.texts_version]

    def texts(self, ids: Iterable[int]) -> Texts:
        """Of the posts that are remembered, in order."""
        return {post: kept.post for post in ids if (kept := self._texts.get(post)) is not None}

    def instead(self, user_id: int, model: str, row: Row | None, limit: int) -> tuple[str, Texts]:
        """What to answer without a ranking, after the name of the source that comes first in it.

        The last slate, filled up with popular posts of the segment, then of all; without what is known to be hidden or
        gone.
        """
        hidden = set(unpacked_ids(row.hidden if row is not None else self._hidden.get(user_id) or b"")) | self._gone_ids
        sources = {
            LAST_SLATE: self.texts(unpacked_ids(self._slates.get((user_id, model)) or b"")),
            POPULAR_IN_SEGMENT: self._popular_in_segment(row),
            POPULAR: self._popular_texts(self.popular.overall if self.popular is not None else []),
        }
        name, chosen = POPULAR, Texts()
        for source, posts in sources.items():
            left = [post for post in posts if post not in hidden and post not in chosen]
            if left and not chosen:
                name = source
            chosen |= {post: posts[post] for post in left[: limit - len(chosen)]}
        return name, chosen

    def _popular_in_segment(self, row: Row | None) -> Texts:
        segment = row.segment if row is not None else None
        if self.popular is None or segment is None:
            return {}
        return self._popular_texts(self.popular.segments.get(segment, []))

    def _popular_texts(self, posts: Sequence[Post]) -> Texts:
        return {post.id: self._popular[post.id] for post in posts if post.id in self._popular}


def _as_json(post: Post) -> bytes:
    return post.model_dump_json().encode()


def _weigh_ids(ids: bytes) -> int:
    return ENTRY_BYTES + len(ids)


def _weigh_text(text: _Text) -> int:
    return ENTRY_BYTES + len(text.post)
