"""A user's assignment, computed again from the experiment's table."""

from __future__ import annotations

from dataclasses import dataclass

from contracts.assignment import Group, bucket
from contracts.experiments import Experiment
from contracts.wire import Exposure


@dataclass(frozen=True, slots=True)
class ReplayedAssignment:
    """Buckets are 0 to 9,999. group, weight_period: as the table says now; served: when the answer was made."""

    enrolment_salt: str
    enrolment_bucket: int
    first: int
    end: int
    """The experiment's slice of its layer: from `first`, before `end`."""
    enrolled: bool
    group_salt: str
    group_bucket: int
    forced: bool
    group: Group
    weight_period: int
    served: Group
    served_period: int

    @property
    def is_equal(self) -> bool:
        return self.enrolled and (self.group, self.weight_period) == (self.served, self.served_period)

    @property
    def words(self) -> str:
        """Empty when it is equal."""
        if self.is_equal:
            return ""
        if not self.enrolled:
            return "the experiment does not enrol this user any more: its slice or its forced users were changed since"
        return (
            f"group {self.group} of weight period {self.weight_period}, served {self.served} of period "
            f"{self.served_period}: the experiment's periods or its forced users were changed since"
        )


def assigned_again(exposure: Exposure, experiment: Experiment) -> ReplayedAssignment:
    """By the periods and the tables that the experiment has now; periods that have begun are never changed."""
    user, assigned = exposure.user_id, experiment.assign(exposure.user_id, exposure.served_at)
    group_bucket = bucket(user, experiment.group_salt)
    return ReplayedAssignment(
        enrolment_salt=experiment.enrolment_salt,
        enrolment_bucket=bucket(user, experiment.enrolment_salt),
        first=experiment.plan.slice.start,
        end=experiment.plan.slice.stop,
        enrolled=assigned.enrolled,
        group_salt=experiment.group_salt,
        group_bucket=group_bucket,
        forced=user in experiment.plan.forced,
        group=assigned.group,
        weight_period=assigned.weight_period,
        served=exposure.group,
        served_period=exposure.weight_period,
    )
