"""Rules of the business: what a team decides about the posts of every answer, whichever model ranked them.

A `RuleSet` is a name, a revision and its `SlateRules`. `default` holds for whoever is in no experiment that names
another one.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from functools import cached_property
from typing import Annotated, Self, TypeVar

from pydantic import Field, StringConstraints, ValidationInfo, field_validator, model_validator

from contracts.wire import Message, Name, PostId, Rule, Time

DEFAULT = "default"
MOST_LISTED = 1_000
"""Posts or topics that a rule may name: they travel with each request."""
MOST_SLOTS = 100
DAY = 86_400

RuleSetName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]*$", max_length=64)]
Slot = Annotated[int, Field(ge=1, le=MOST_SLOTS)]
Days = Annotated[float, Field(ge=0, le=36_500)]


class Boost(Message):
    """Of one post, or of a topic's. odds: what the odds of a like are multiplied by for the order, below 1 too."""

    post: PostId | None = None
    topic: Name | None = None
    odds: Annotated[float, Field(ge=0.001, le=1_000)]

    @model_validator(mode="after")
    def _of_one_thing(self) -> Self:
        if (self.post is None) == (self.topic is None):
            raise ValueError("names a post or a topic, and not both")
        return self


class Freshness(Message):
    """At least `share` of the slots hold posts younger than `days`, as far as there are any for the user."""

    share: Annotated[float, Field(gt=0, le=1)]
    days: Annotated[float, Field(gt=0, le=36_500)]

    def is_fresh(self, age: float | None) -> bool:
        """age: in seconds; None where nobody knows it."""
        return age is not None and age < self.days * DAY


class SlateRules(Message):
    """Ages are counted from a post's first view; a post that nobody has seen is new."""

    blocked_posts: Annotated[list[PostId], Field(max_length=MOST_LISTED)] = []
    blocked_topics: Annotated[list[Name], Field(max_length=MOST_LISTED)] = []
    pins: Annotated[dict[Slot, PostId], Field(max_length=MOST_SLOTS)] = {}
    """Slots from 1 on. A pin needs no ranking and is of any age; it yields to a block, a like, and a topic's limit."""
    boosts: Annotated[list[Boost], Field(max_length=MOST_LISTED)] = []
    most_per_topic: Annotated[int, Field(ge=1, le=MOST_SLOTS)] | None = None
    """Of any topic that `most_of` does not name."""
    most_of: Annotated[dict[Name, Annotated[int, Field(ge=1, le=MOST_SLOTS)]], Field(max_length=MOST_LISTED)] = {}
    min_age_days: Days | None = None
    max_age_days: Days | None = None
    fresh: Freshness | None = None
    not_again: Annotated[int, Field(ge=0, le=20)] = 0
    """No post of the user's last so many answers."""
    diversity: Annotated[float, Field(ge=0, le=10)] = 0.0
    """What a post loses, in log-odds, that is a copy of one above it: the penalty of maximal marginal relevance."""

    @field_validator("pins")
    @classmethod
    def _once_and_not_blocked(cls, pins: dict[int, int], info: ValidationInfo) -> dict[int, int]:
        if len(set(pins.values())) < len(pins):
            raise ValueError("a post is pinned to two slots")
        if both := sorted(set(pins.values()) & set(info.data.get("blocked_posts", []))):
            raise ValueError(f"post {both[0]} is in blocked_posts too")
        return pins

    @field_validator("max_age_days")
    @classmethod
    def _not_below_the_least(cls, most: float | None, info: ValidationInfo) -> float | None:
        least = info.data.get("min_age_days")
        if most is not None and least is not None and least > most:
            raise ValueError(f"less than min_age_days, {least:g}: no post would be left")
        return most

    @property
    def hold(self) -> bool:
        """Whether there is any."""
        return self != _NONE

    @cached_property
    def blocked(self) -> frozenset[int]:
        return frozenset(self.blocked_posts)

    @cached_property
    def packed(self) -> bytes:
        """As they travel to a ranker: what is left out holds nothing."""
        return self.model_dump_json(exclude_defaults=True).encode()

    def limit_of(self, topic: str) -> int:
        """How many posts of it an answer may hold."""
        return self.most_of.get(topic, self.most_per_topic or MOST_SLOTS)

    def boost_of(self, post: int, topic: str) -> float:
        """In log-odds: what is added to the model's score before posts are put in order."""
        return self.boosted_posts.get(post, 0.0) + self.boosted_topics.get(topic, 0.0)

    @cached_property
    def boosted_posts(self) -> dict[int, float]:
        """Log-odds by post; what is named twice is boosted twice."""
        return _log_odds((boost.post, boost.odds) for boost in self.boosts if boost.post is not None)

    @cached_property
    def boosted_topics(self) -> dict[str, float]:
        return _log_odds((boost.topic, boost.odds) for boost in self.boosts if boost.topic is not None)

    def forbids(self, post: int, topic: str, age: float | None, shown: Collection[int]) -> Rule | None:
        """The rule by which no answer holds the post; None for none. A limit on an age that nobody knows forbids."""
        if self.blocks(post, topic):
            return "blocked"
        if post in shown:
            return "shown"
        return "age" if self._out_of_age(age) else None

    def blocks(self, post: int, topic: str) -> bool:
        return post in self.blocked or topic in self.blocked_topics

    @property
    def _lowest(self) -> float:
        return (self.min_age_days or 0.0) * DAY

    @property
    def _highest(self) -> float:
        return float("inf") if self.max_age_days is None else self.max_age_days * DAY

    def _out_of_age(self, age: float | None) -> bool:
        if self.min_age_days is None and self.max_age_days is None:
            return False
        return age is None or not self._lowest <= age <= self._highest


_NONE = SlateRules()
K = TypeVar("K", int, str)


def _log_odds(boosts: Iterable[tuple[K, float]]) -> dict[K, float]:
    sums: dict[K, float] = {}
    for what, odds in boosts:
        sums[what] = sums.get(what, 0.0) + math.log(odds)
    return sums


class RuleSet(Message):
    name: RuleSetName = DEFAULT
    revision: Annotated[int, Field(ge=0)] = 0
    """Grows with every change; 0 for a set that nobody has saved."""
    rules: SlateRules = _NONE

    @property
    def label(self) -> str:
        """`default@3`, as `X-Rules` and exposures name it."""
        return f"{self.name}@{self.revision}"


class RulesEdit(Message):
    """`PUT /rules/{name}`. The rules replace those of before, all of them."""

    rules: SlateRules
    reason: Annotated[str, Field(min_length=3, max_length=500)]
    by: Annotated[str, Field(min_length=1, max_length=100)] = "admin"
    revision: Annotated[int, Field(ge=0)] | None = None
    """The revision that was edited; refused unless it is still the newest."""


class RulesChange(Message):
    """One line of a rule set's history. rules: as they were from then on."""

    at: Time
    by: str
    reason: str
    what: str
    revision: int
    rules: SlateRules


class RulesPage(Message):
    """`GET /rules/{name}`; the newest change last."""

    rule_set: RuleSet
    history: list[RulesChange]


def age_at(now: float, first_view_at: int | None) -> float | None:
    """In seconds. first_view_at: of the post, 0 where nobody has seen the post, None where it is unknown."""
    if first_view_at is None:
        return None
    return max(now - first_view_at, 0.0) if first_view_at else 0.0
