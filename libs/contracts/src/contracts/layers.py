"""Which users an experiment may have beside those that run: a layer's slices are disjoint, and one layer is seen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from contracts import numbers
from contracts.assignment import BUCKETS
from contracts.experiments import Experiment, Plan


class Conflict(NamedTuple):
    """field: of the plan; message: what stands in the way, and what to do."""

    field: str
    message: str


def conflict(plan: Plan, others: Iterable[Experiment], now: datetime) -> Conflict | None:
    """Why the plan cannot run now beside the others. None where it can."""
    running = [other for other in others if holds_users(other, now)]
    for other in running:
        if other.plan.layer == plan.layer:
            mine, theirs = plan.slice, other.plan.slice
            if mine and theirs and mine.start < theirs.stop and theirs.start < mine.stop:
                said = f"{_said(mine)} of the layer {plan.layer} overlap {_said(theirs)}, which {other.name} has"
                return Conflict("enrolment_from", f"{said}; {_way_out(plan, running)}")
        elif plan.is_seen and other.plan.is_seen:
            return Conflict(
                "layer",
                f"{other.name} in the layer {other.plan.layer} decides what users see already; take a free slice of "
                "that layer, or the mode shadow",
            )
    return None


def holds_users(other: Experiment, now: datetime) -> bool:
    return other.state == "running" and (other.plan.ends_at is None or other.plan.ends_at > now)


def free(layer: str, running: Iterable[Experiment]) -> list[range]:
    """The layer's buckets that no running experiment has, as ranges in order."""
    gaps, start = list[range](), 0
    for taken in sorted((one.plan.slice for one in running if one.plan.layer == layer), key=lambda one: one.start):
        gaps.append(range(start, taken.start))
        start = max(start, taken.stop)
    return [gap for gap in (*gaps, range(start, BUCKETS)) if gap]


def planned_end(experiment: Experiment) -> datetime | None:
    """When its plan is over, by `ends_at` or by its days."""
    begin = experiment.started_at
    return experiment.plan.ends_at or (begin and begin + timedelta(days=experiment.plan.rules.days))


def _way_out(plan: Plan, running: Sequence[Experiment]) -> str:
    gaps = free(plan.layer, running)
    if gaps:
        return f"free is {' and '.join(_said(gap) for gap in gaps)}"
    mine = (one for one in running if one.plan.layer == plan.layer)
    ends = min((at for one in mine if (at := planned_end(one))), default=None)
    when = f" (planned for {numbers.date_and_clock(ends)})" if ends else ""
    return (
        f"nothing of the layer is free: start it when one of its experiments has ended{when}, or as a shadow, which "
        "nobody sees, in a layer of its own"
    )


def _said(buckets: range) -> str:
    """`40% to 100%`."""
    return f"{numbers.limit(buckets.start / BUCKETS)} to {numbers.limit(buckets.stop / BUCKETS)}"
