"""What the gateway keeps so that it can answer when something is down. Bounded, in this process only."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from contracts.arrangement import Candidate
from contracts.degradation import LAST_SLATE, POPULAR, POPULAR_IN_SEGMENT
from contracts.wire import Move, PopularPosts, Post

from gateway.recent import ENTRY_BYTES, Recent
from gateway.row import Row, packed_ids, unpacked_ids
from gateway.ruling import Ruling
from gateway.shown import ShownPosts

SHOWN_PART = 12
"""One part in so many of the memory: of 40 MB the last three answers of 8,000 users, where a rule asks."""
UNKNOWN = 2**32 - 1
"""A time of first view that nobody knows."""
Texts = dict[int, bytes]
"""Posts as JSON, as they are answered, by id."""


class _Text(NamedTuple):
    post: bytes
    version: str


class Instead(NamedTuple):
    """source: that of the post which comes first. moves: what rules did."""

    source: str
    posts: Texts
    moves: list[Move]


class Fallback:
    """Last slates, hidden ids and texts of earlier answers, and the popular posts."""

    def __init__(self, capacity: int) -> None:
        """capacity: bytes; a part for what users were shown, and of the rest half for texts, a quarter each for slates
        and for hidden ids."""
        self.shown = ShownPosts(capacity // SHOWN_PART)
        capacity -= capacity // SHOWN_PART
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
        self.shown.forget(user_id)
        for name in kept_as:
            self._slates.drop((user_id, name))

    def keep_slate(
        self, user_id: int, model: str, ids: Sequence[int], first_view_at: Mapping[int, int] = MappingProxyType({})
    ) -> None:
        """first_view_at: of those posts of which it is known."""
        self._slates.put((user_id, model), packed_ids(*ids, *(first_view_at.get(post, UNKNOWN) for post in ids)))

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

    def instead(self, user_id: int, model: str, row: Row | None, limit: int, ruling: Ruling | None = None) -> Instead:
        """What to answer without a ranking.

        The last slate, filled up with popular posts of the segment, then of all; without what is known to be hidden or
        gone, and by all rules but those that need a score. Of posts whose age nobody knows, a limit on ages lets none
        pass.
        """
        hidden = set(unpacked_ids(row.hidden if row is not None else self._hidden.get(user_id) or b"")) | self._gone_ids
        slate = self._slate(user_id, model)
        sources = {
            LAST_SLATE: self.texts(slate),
            POPULAR_IN_SEGMENT: self._popular_in_segment(row),
            POPULAR: self._popular_texts(self.popular.overall if self.popular is not None else []),
        }
        if ruling is not None:
            return self._ruled(sources, hidden, limit, ruling, slate)
        name, chosen = POPULAR, Texts()
        for source, posts in sources.items():
            left = [post for post in posts if post not in hidden and post not in chosen]
            if left and not chosen:
                name = source
            chosen |= {post: posts[post] for post in left[: limit - len(chosen)]}
        return Instead(name, chosen, [])

    def _ruled(
        self,
        sources: Mapping[str, Texts],
        hidden: Collection[int],
        limit: int,
        ruling: Ruling,
        slate: Mapping[int, int | None],
    ) -> Instead:
        """slate: when posts of the last slate were first seen."""
        pins = self.texts(ruling.rules.pins.values())
        texts, source_of = Texts(), dict[int, str]()
        for source, posts in (*sources.items(), (POPULAR, pins)):
            for post in posts:
                if post not in hidden:
                    source_of.setdefault(post, source)
                    texts.setdefault(post, posts[post])
        first = {**slate, **(self.popular.first_view_at if self.popular is not None else {})}
        candidates = [Candidate(post, _topic_of(text), first.get(post)) for post, text in texts.items()]
        places, moves = ruling.apply(candidates, limit, [post for post in texts if post not in pins][:limit], {})
        chosen = {candidates[place].post: texts[candidates[place].post] for place in places}
        return Instead(next((source_of[post] for post in chosen), POPULAR), chosen, moves)

    def _slate(self, user_id: int, model: str) -> dict[int, int | None]:
        """The last one's posts, in order, and when each was first seen; None where that is unknown."""
        packed = unpacked_ids(self._slates.get((user_id, model)) or b"")
        posts, first = packed[: len(packed) // 2], packed[len(packed) // 2 :]
        return {post: None if at == UNKNOWN else at for post, at in zip(posts, first, strict=True)}

    def _popular_in_segment(self, row: Row | None) -> Texts:
        segment = row.segment if row is not None else None
        if self.popular is None or segment is None:
            return {}
        return self._popular_texts(self.popular.segments.get(segment, []))

    def _popular_texts(self, posts: Sequence[Post]) -> Texts:
        return {post.id: self._popular[post.id] for post in posts if post.id in self._popular}


def _topic_of(text: bytes) -> str:
    """text: a post as JSON."""
    return str(json.loads(text)["topic"])


def _as_json(post: Post) -> bytes:
    return post.model_dump_json().encode()


def _weigh_ids(ids: bytes) -> int:
    return ENTRY_BYTES + len(ids)


def _weigh_text(text: _Text) -> int:
    return ENTRY_BYTES + len(text.post)
