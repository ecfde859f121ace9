"""The experiments that run, and where they put a user."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

from contracts.assignment import Group
from contracts.clock import REAL
from contracts.experiments import Assignment, Experiment, Running


class Enrolled(NamedTuple):
    """A user's part in an experiment."""

    experiment: Experiment
    assignment: Assignment


class Placement(NamedTuple):
    """What becomes of a user's request.

    group: said as `exp_group`; while interleaving, the first slot's team is said instead.
    ranker: whose posts he gets. seen: in which experiment that was decided, None where in none.
    shadows: the experiments that ask another ranker beside.
    """

    group: Group
    ranker: Group
    seen: Enrolled | None = None
    shadows: tuple[Enrolled, ...] = ()

    @property
    def exposed(self) -> Enrolled | None:
        """The experiment whose exposure the answer is: a shadow one needs it too, to compare with."""
        return self.seen or (self.shadows[0] if self.shadows else None)

    @property
    def enrolled(self) -> tuple[Enrolled, ...]:
        return self.shadows if self.seen is None else (self.seen, *self.shadows)


class Experiments:
    """All that this process knows of them. Before feature-service has named them nobody takes part, and the gateway
    is not ready: a guessed split would be an exposure to the wrong ranker."""

    def __init__(self) -> None:
        self._running: Running | None = None
        self._clock = REAL

    @property
    def known(self) -> bool:
        return self._running is not None

    def saw(self, running: Running) -> None:
        self._running, self._clock = running, REAL if running.clock == REAL else running.clock

    def now(self) -> datetime:
        """By the platform's clock; deadlines and latencies go by real time."""
        return datetime.now(UTC) if self._clock is REAL else self._clock.now()

    def place(self, user_id: int, now: datetime) -> Placement:
        """Of the experiments that users see, one that names the user comes before one whose slice holds him."""
        running = self._running
        if running is None:
            return Placement("control", "control")
        seen: Enrolled | None = None
        shadows: list[Enrolled] = []
        for experiment in running.experiments:
            if not experiment.is_on(now):
                continue
            assignment = experiment.assign(user_id, now)
            if not assignment.enrolled:
                continue
            if not experiment.plan.is_seen:
                shadows.append(Enrolled(experiment, assignment))
            elif seen is None or user_id in experiment.plan.forced:
                seen = Enrolled(experiment, assignment)
        if seen is None:
            return Placement(running.otherwise, running.otherwise, None, tuple(shadows))
        group = seen.assignment.group
        return Placement(group, seen.experiment.plan.rankers.get(group, group), seen, tuple(shadows))
