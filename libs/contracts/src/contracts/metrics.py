"""A metric as data: what is counted of a user, by what it is divided, and which way is better.

A plan names its metrics: those below, which every plan knows, and its own (`Plan.metrics`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from contracts.wire import Message

MetricName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]
Counted = Literal["users", "exposures", "hits", "likes", "milliseconds", "feedback", "returns"]
"""users: 1. exposures: answers that the user got. hits: those of which a post was liked. likes: of their posts, as they
join exposures. milliseconds: from the requests' arrival to their exposures. feedback: events of one action, on
whichever post, from the first assignment on. returns: 1 of who came again on a later day within the window."""


class Measure(Message):
    count: Counted
    action: Annotated[str, Field(min_length=1, max_length=32)] | None = None
    """Of feedback: view, like, or another type of feedback that events carry."""
    topic: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    """Of feedback and likes: on posts of this topic alone."""
    undegraded: bool = False
    """Of exposures, hits, likes and milliseconds: without degraded answers."""

    @model_validator(mode="after")
    def _hangs_together(self) -> Self:
        if (self.count == "feedback") != (self.action is not None):
            raise ValueError("feedback needs an action, and nothing else has one")
        if self.topic is not None and self.count not in ("feedback", "likes"):
            raise ValueError(f"{self.count} have no topic; feedback and likes have")
        if self.undegraded and self.count not in ("exposures", "hits", "likes", "milliseconds"):
            raise ValueError(f"{self.count} are not degraded; exposures, hits, likes and milliseconds may be")
        return self


class Filter(Message):
    """Whose counts enter; no condition: everybody's. All of it is known before the first assignment."""

    country: str | None = None
    os: str | None = None
    new: bool | None = None
    """Who had no view before the first assignment, or who had."""


USERS = Measure(count="users")


class MetricDefinition(Message):
    """The sum of the numerator over users, divided by that of the denominator."""

    name: MetricName
    numerator: Measure
    denominator: Measure = USERS
    within_days: Annotated[int, Field(ge=1, le=365)] | None = None
    """Counted from each user's first assignment on; what comes later is not."""
    only: Filter = Filter()
    better: Literal["higher", "lower"] = "higher"
    winsorised: Annotated[float, Field(ge=0.9, le=1)] | None = None
    """As the plan's, of the denominator or, per user, of the numerator. None: the plan's."""

    @model_validator(mode="after")
    def _hangs_together(self) -> Self:
        if "returns" in (self.numerator.count, self.denominator.count) and (
            self.within_days is None or self.denominator != USERS
        ):
            raise ValueError("returns are counted per user and need within_days")
        if self.numerator == USERS:
            raise ValueError("numerator counts users, which is 1 of each")
        return self


def _built_in(*definitions: MetricDefinition) -> Mapping[MetricName, MetricDefinition]:
    return {definition.name: definition for definition in definitions}


_EXPOSURES, _LIKES = Measure(count="exposures"), Measure(count="likes")
BUILT_IN = _built_in(
    MetricDefinition(name="hit_rate", numerator=Measure(count="hits"), denominator=_EXPOSURES),
    MetricDefinition(name="likes_per_exposure", numerator=_LIKES, denominator=_EXPOSURES),
    MetricDefinition(name="likes_per_user", numerator=_LIKES),
    MetricDefinition(name="exposures_per_user", numerator=_EXPOSURES),
    MetricDefinition(name="views_per_user", numerator=Measure(count="feedback", action="view")),
    MetricDefinition(name="returned_within_7_days", numerator=Measure(count="returns"), within_days=7),
    MetricDefinition(
        name="latency_ms", numerator=Measure(count="milliseconds"), denominator=_EXPOSURES, better="lower"
    ),
)
"""Every plan knows these. hit_rate: share of exposures of which a post was liked."""
