"""A request for recommendations, as its steps hand it on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from chassis.deadline import Deadline
from contracts.experiments import Plan

from gateway.ruling import Ruling
from gateway.split import Placement

INTERLEAVED = "interleaved"
"""The name under which interleaved slates are kept, beside those of each ranker."""


@dataclass(frozen=True, slots=True)
class RecommendationRequest:
    """key: made by us, and the exposure's key where the answer is one. time: for which the posts are ranked.

    arrived: by the platform's clock. started: `perf_counter` at arrival.
    """

    key: str
    user_id: int
    placement: Placement
    limit: int
    time: datetime
    arrived: datetime
    started: float
    deadline: Deadline
    ruling: Ruling | None = None
    """None where no rule holds."""
    liked: str = ""
    """Of a preview: ids of posts, with commas, to rank as if the user had liked them. Nothing of it is kept."""

    @property
    def plan(self) -> Plan | None:
        """Of the experiment whose exposure the answer is; None for a preview and a user who is in no experiment."""
        exposed = self.placement.exposed
        return exposed.experiment.plan if exposed is not None else None

    @property
    def kept_as(self) -> str:
        """The name under which the user's last slate is kept."""
        plan = self.plan
        return INTERLEAVED if plan is not None and plan.mode == "interleave" else self.placement.ranker
