"""Rules applied to ranked posts: which of them stand in which slot, and which rule moved what. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from contracts.rules import SlateRules, age_at
from contracts.wire import Move, Rule


class Candidate(NamedTuple):
    """first_view_at: seconds since the epoch; 0 where nobody has seen the post, None where nobody knows it."""

    post: int
    topic: str
    first_view_at: int | None = None


class Arrangement(NamedTuple):
    """places: of the candidates, one a slot. why: the rule that put a post there, or kept it out, by post."""

    places: list[int]
    why: dict[int, Rule]


def arrange(
    candidates: Sequence[Candidate], rules: SlateRules, limit: int, now: float, shown: Collection[int] = ()
) -> Arrangement:
    """The candidates, best first, that fill at most `limit` slots: as many as the rules leave.

    Pins come first, by slot; then as many fresh posts as the rules ask for; then whatever is best. Within that, the
    order stays. Each step takes the best that topics' limits leave: as long a list as any choice gives (the limits are
    a partition matroid). now: seconds since the epoch. shown: posts of the user's last answers.
    """
    filling = _Filling(candidates, rules, limit)
    filling.pin()
    allowed = filling.allowed(now, shown)
    if (fresh := rules.fresh) is not None:
        young = [place for place in allowed if fresh.is_fresh(age_at(now, candidates[place].first_view_at))]
        pinned = [filling.candidate(place) for place in filling.pinned.values()]
        has = sum(fresh.is_fresh(age_at(now, each.first_view_at)) for each in pinned)
        filling.take(young, slots_of(fresh.share, limit) - has, "fresh")
    filling.take(allowed, limit)
    return filling.done()


def slots_of(share: float, limit: int) -> int:
    """How many of the slots are at least that share of them."""
    return math.ceil(share * limit - 1e-9)


class _Filling:
    """Slots being filled. pinned: place by slot."""

    def __init__(self, candidates: Sequence[Candidate], rules: SlateRules, limit: int) -> None:
        self._candidates, self._rules, self._limit = candidates, rules, limit
        self._of_topic: Counter[str] = Counter()
        self._taken = set[int]()
        self.pinned: dict[int, int] = {}
        self._why: dict[int, Rule] = {}

    def candidate(self, place: int) -> Candidate:
        return self._candidates[place]

    def pin(self) -> None:
        if not self._rules.pins:
            return
        places = {candidate.post: place for place, candidate in enumerate(self._candidates)}
        for slot, post in sorted(self._rules.pins.items()):
            place = places.get(post)
            if slot <= self._limit and place is not None and self._has_room(place) and not self._is_blocked(place):
                self._add(place)
                self.pinned[slot] = place
                self._why[post] = "pinned"

    def allowed(self, now: float, shown: Collection[int]) -> list[int]:
        """Places that no rule forbids and no pin has taken."""
        left: list[int] = []
        for place, (post, topic, first_view_at) in enumerate(self._candidates):
            if place in self._taken:
                continue
            if rule := self._rules.forbids(post, topic, age_at(now, first_view_at), shown):
                self._why[post] = rule
            else:
                left.append(place)
        return left

    def take(self, places: Iterable[int], most: int, rule: Rule | None = None) -> None:
        """The first `most` of those for which there is a slot and room in their topic. rule: why they are preferred."""
        for place in places:
            if most <= 0 or len(self._taken) >= self._limit:
                return
            if place in self._taken:
                continue
            if self._has_room(place):
                self._add(place)
                most -= 1
                if rule is not None:
                    self._why[self._candidates[place].post] = rule
            else:
                self._why.setdefault(self._candidates[place].post, "most_per_topic")

    def done(self) -> Arrangement:
        """Pins at their slots, or at the end of a list that is too short for them."""
        others = iter(sorted(self._taken - set(self.pinned.values())))
        slots = (self.pinned[slot] if slot in self.pinned else next(others, None) for slot in range(1, self._limit + 1))
        return Arrangement([place for place in slots if place is not None], self._why)

    def _has_room(self, place: int) -> bool:
        topic = self._candidates[place].topic
        return self._of_topic[topic] < self._rules.limit_of(topic)

    def _is_blocked(self, place: int) -> bool:
        post, topic, _ = self._candidates[place]
        return self._rules.blocks(post, topic)

    def _add(self, place: int) -> None:
        self._taken.add(place)
        self._of_topic[self._candidates[place].topic] += 1


def may_stand_last(slate: Sequence[Candidate], other: Candidate, rules: SlateRules, limit: int, now: float) -> bool:
    """Whether the other post may take the last slot, by every rule that held for the slate."""
    last = slate[-1]
    if rules.pins.get(len(slate)) == last.post or rules.forbids(*other[:2], age_at(now, other.first_view_at), ()):
        return False
    if sum(each.topic == other.topic for each in slate[:-1]) >= rules.limit_of(other.topic):
        return False
    if rules.fresh is None or rules.fresh.is_fresh(age_at(now, other.first_view_at)):
        return True
    kept = sum(rules.fresh.is_fresh(age_at(now, each.first_view_at)) for each in slate[:-1])
    return kept >= slots_of(rules.fresh.share, limit) or not rules.fresh.is_fresh(age_at(now, last.first_view_at))


def moves(
    own: Sequence[int],
    candidates: Sequence[Candidate],
    arrangement: Arrangement,
    rules: SlateRules,
    kept_out: Mapping[int, Rule] = MappingProxyType({}),
) -> list[Move]:
    """What rules did to the model's own list: which posts they put where, and which they kept out.

    A post that only moved up or down because another came or went is no move. kept_out: why posts of the own list are
    no candidates.
    """
    why, known = {**kept_out, **arrangement.why}, {candidate.post: candidate for candidate in candidates}
    slots = {candidates[place].post: slot for slot, place in enumerate(arrangement.places, 1)}
    places = {post: place for place, post in enumerate(own, 1)}
    put = [
        Move(post=post, rule=rule, slot=slot, own=places.get(post))
        for post, slot in slots.items()
        if (rule := why.get(post) or (_boosted(known[post], rules, 1) if post not in places else None)) is not None
    ]
    out = [
        Move(post=post, rule=rule, own=place)
        for post, place in places.items()
        if post not in slots and (rule := why.get(post) or _lowered(known.get(post), rules)) is not None
    ]
    return put + out


def _boosted(candidate: Candidate, rules: SlateRules, sign: int) -> Rule | None:
    return "boosted" if sign * rules.boost_of(candidate.post, candidate.topic) > 0 else None


def _lowered(candidate: Candidate | None, rules: SlateRules) -> Rule | None:
    """Why a post that no other rule keeps out left the own list; None where it only gave way to one that came."""
    if candidate is not None and (lowered := _boosted(candidate, rules, -1)):
        return lowered
    return "diversity" if rules.diversity else None
