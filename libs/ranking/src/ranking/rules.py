"""Rules of the business on a whole catalogue: which posts may stand in an answer, and which are worth handing on.

A ranker answers a pool: enough posts that filling the slots from it (`contracts.arrangement`) gives what filling them
from all posts would. What is left out of it could stand in no slot.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from contracts.arrangement import slots_of
from contracts.catalogue import Catalogue
from contracts.records import BadRecordError
from contracts.rules import DAY, SlateRules

from ranking.diversity import diversified
from ranking.encoder import Matrix

Places = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]
Scores = npt.NDArray[np.float64]

CACHED = 8
"""Rule sets that a catalogue keeps ready."""
DIVERSIFIED = 200
"""Of so many of the best posts, those that are unlike each other are put first."""
POST_ID = "<u4"


class Ruling(NamedTuple):
    """What holds for one request. shown: post ids of the user's last answers, uint32."""

    rules: SlateRules
    shown: npt.NDArray[np.uint32]

    @classmethod
    def unpack(cls, rules: bytes, shown: bytes) -> Ruling:
        """Raises BadRecordError; pydantic's ValidationError for rules that are none."""
        if len(shown) % np.dtype(POST_ID).itemsize:
            raise BadRecordError("ids of shown posts that are cut off")
        return cls(SlateRules.model_validate_json(rules), np.frombuffer(shown, POST_ID))


@dataclass(frozen=True)
class CatalogueRules:
    """Rules as arrays over one catalogue."""

    rules: SlateRules
    catalogue: Catalogue

    @cached_property
    def unblocked(self) -> Mask:
        """Shape (posts,)."""
        blocked = np.isin(self.catalogue.topics, self.rules.blocked_topics)[self.catalogue.topic]
        blocked[self._places(list(self.rules.blocked))] = True
        return ~blocked

    @cached_property
    def boost(self) -> Scores | None:
        """Log-odds, shape (posts,); None where nothing is boosted."""
        if not self.rules.boosts:
            return None
        topics = np.array([self.rules.boosted_topics.get(topic, 0.0) for topic in self.catalogue.topics.tolist()])
        boost = topics[self.catalogue.topic]
        for post, log_odds in self.rules.boosted_posts.items():
            boost[self._places([post])] += log_odds
        return np.asarray(boost, np.float64)

    @cached_property
    def pins(self) -> Places:
        """Of the posts that are pinned and may be."""
        places = self._places(list(self.rules.pins.values()))
        return places[self.unblocked[places]]

    @cached_property
    def limits(self) -> npt.NDArray[np.int64] | None:
        """How many posts of a topic an answer may hold, shape (topics,); None where no topic has a limit."""
        if self.rules.most_per_topic is None and not self.rules.most_of:
            return None
        return np.array([self.rules.limit_of(topic) for topic in self.catalogue.topics.tolist()])

    def allowed(self, now: int, shown: npt.NDArray[np.uint32]) -> Mask:
        """Posts that no rule forbids, shape (posts,)."""
        allowed, age = self.unblocked.copy(), self._age(now)
        if self.rules.min_age_days is not None:
            allowed &= age >= self.rules.min_age_days * DAY
        if self.rules.max_age_days is not None:
            allowed &= age <= self.rules.max_age_days * DAY
        allowed[self._places(shown)] = False
        return allowed

    def fresh(self, now: int) -> Mask | None:
        """None where no share of posts must be fresh."""
        return None if self.rules.fresh is None else self._age(now) < self.rules.fresh.days * DAY

    def _age(self, now: int) -> Scores:
        """In seconds; 0 for a post that nobody has seen."""
        first = self.catalogue.first_view_at
        return np.where(first > 0, np.maximum(now - first, 0), 0).astype(np.float64)

    def _places(self, posts: list[int] | npt.NDArray[np.uint32]) -> Places:
        places = self.catalogue.index_of(np.asarray(posts, np.int64))
        return places[places >= 0]


@dataclass(frozen=True)
class Choice:
    """One request's posts under rules. limit: slots; fresh: which posts are; limits: by topic."""

    limit: int
    rules: SlateRules
    topic: npt.NDArray[np.int16]
    allowed: Mask
    fresh: Mask | None
    limits: npt.NDArray[np.int64] | None
    pins: Places

    def kept(self, coarse: npt.NDArray[np.floating], kept: int) -> Mask:
        """Posts for the second stage, by the first one's scores, shape (posts,): the best, and what slots may need."""
        return self._among(
            [self.pins, *(self._best(coarse, mask, max(kept, need), need) for mask, need in self._needs())]
        )

    def pool(self, order: Places) -> Places:
        """Of allowed posts, best first, those that slots may hold, in this order; pins that are not among them last."""
        parts = []
        for mask, need in self._needs():
            ranked = order[mask[order]]
            parts.append(ranked[self._within_limits(ranked)][:need])
        chosen = self._among(parts)
        return np.append(order[chosen[order]], self.pins[~chosen[self.pins]])

    def _among(self, parts: Iterable[Places]) -> Mask:
        """A mask is made in a tenth of the time that a union of places takes."""
        among = np.zeros(len(self.topic), bool)
        for places in parts:
            among[places] = True
        return among

    def is_within_limit(self, place: int, order: Places) -> bool:
        """Whether so few better posts are of its topic that it may have a slot."""
        return bool(np.isin(place, order[self._within_limits(order)]))

    def _needs(self) -> Iterator[tuple[Mask, int]]:
        """Sets of posts, and how many of the best of each the slots may hold; pins may take their topics' room."""
        fresh = 0
        if self.fresh is not None and self.rules.fresh is not None:
            fresh = slots_of(self.rules.fresh.share, self.limit) + len(self.pins)
            yield self.allowed & self.fresh, fresh
        yield self.allowed, self.limit + fresh + len(self.pins)

    def _best(self, coarse: npt.NDArray[np.floating], mask: Mask, kept: int, need: int) -> Places:
        places = np.flatnonzero(mask)
        if len(places) <= kept:
            return places
        best = places[np.argpartition(-coarse[places], kept - 1)[:kept]]
        if self.limits is None or self._within_limits(best).sum() >= min(need, self._room(self.limits, mask)):
            return best
        order = places[np.argsort(-coarse[places], kind="stable")]  # few topics fill the best: the others' best too
        return np.append(best, order[self._within_limits(order)][:need])

    def _room(self, limits: npt.NDArray[np.int64], mask: Mask) -> int:
        """How many posts the limits of those topics allow that have any."""
        return int(limits[np.flatnonzero(np.bincount(self.topic[mask], minlength=1))].sum())

    def _within_limits(self, order: Places) -> Mask:
        """Of each post, whether fewer than its topic's limit stand before it."""
        if self.limits is None:
            return np.ones(len(order), bool)
        topics = self.topic[order]
        by_topic = np.argsort(topics, kind="stable")
        first = np.searchsorted(topics[by_topic], topics[by_topic])
        before = np.empty(len(order), np.int64)
        before[by_topic] = np.arange(len(order)) - first
        return np.asarray(before < self.limits[topics], bool)


def unlike_first(order: Places, scores: Scores, vectors: Matrix, rules: SlateRules, limit: int) -> Places:
    """The same posts, those first that are good and unlike each other. scores: of `order`, log-odds, best first.

    Behind a topic's limit or an age the slots may hold posts from further down: so more of them than slots are chosen.
    """
    if not rules.diversity:
        return order
    best = order[:DIVERSIFIED]
    chosen = diversified(scores[: len(best)], vectors[best], min(len(best), 4 * limit), rules.diversity)
    return np.concatenate([best[chosen], np.delete(best, chosen), order[DIVERSIFIED:]])
