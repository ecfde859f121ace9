"""The split: the running experiments, and where they place a user."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

from contracts.assignment import CONTROL, Group
from contracts.clock import REAL
from contracts.experiments import SHIPPED, Assignment, Experiment, RunningExperiments
from contracts.rules import DEFAULT, RuleSet


class Enrolment(NamedTuple):
    """A user's part in an experiment."""

    experiment: Experiment
    assignment: Assignment


class Placement(NamedTuple):
    """How a user's request is served.

    group: the answer's `exp_group`; while interleaving, the first slot's team stands there instead.
    ranker: whose posts the user gets. visible: the experiment that decided it, None where none did.
    shadows: the experiments that ask another ranker too.
    """

    group: Group
    ranker: Group
    visible: Enrolment | None = None
    shadows: tuple[Enrolment, ...] = ()

    @property
    def exposed(self) -> Enrolment | None:
        """The experiment whose exposure the answer is: a shadow experiment needs one too, to compare with."""
        return self.visible or (self.shadows[0] if self.shadows else None)

    @property
    def enrolments(self) -> tuple[Enrolment, ...]:
        return self.shadows if self.visible is None else (self.visible, *self.shadows)


class Split:
    """What this process knows of the running experiments. Before feature-service has named them nobody takes part, and
    the gateway is not ready: a guessed split would be an exposure to the wrong ranker."""

    def __init__(self) -> None:
        self._running: RunningExperiments | None = None
        self._clock = REAL
        self._rule_sets: dict[str, RuleSet] = {}

    @property
    def known(self) -> bool:
        return self._running is not None

    def update(self, running: RunningExperiments) -> None:
        self._running, self._clock = running, REAL if running.clock == REAL else running.clock
        self._rule_sets = running.rule_sets

    def now(self) -> datetime:
        """By the platform's clock; deadlines and latencies go by real time."""
        return datetime.now(UTC) if self._clock is REAL else self._clock.now()

    def rule_set(self, placement: Placement) -> RuleSet | None:
        """The one that holds for a user who is placed so; None where it has no rule."""
        exposed = placement.exposed
        name = exposed.experiment.plan.rule_set(exposed.assignment.group) if exposed is not None else DEFAULT
        return self.named(name)

    def named(self, name: str) -> RuleSet | None:
        """None where it has no rule."""
        rule_set = self._rule_sets.get(name)
        return rule_set if rule_set is not None and rule_set.rules.hold else None

    def place(self, user_id: int, now: datetime) -> Placement:
        """Of the visible experiments, one that names the user comes before one whose slice holds the user."""
        running = self._running
        if running is None:
            return Placement(CONTROL, CONTROL)
        visible: Enrolment | None = None
        shadows: list[Enrolment] = []
        for experiment in running.experiments:
            if not experiment.is_on(now):
                continue
            assignment = experiment.assign(user_id, now)
            if not assignment.enrolled:
                continue
            if not experiment.plan.is_seen:
                shadows.append(Enrolment(experiment, assignment))
            elif visible is None or user_id in experiment.plan.forced:
                visible = Enrolment(experiment.served(now), assignment)
        if visible is None:
            return Placement(running.otherwise, running.otherwise, None, tuple(shadows))
        group = visible.assignment.group
        ranker = visible.experiment.plan.rankers.get(group, group)
        return Placement(group, running.otherwise if ranker == SHIPPED else ranker, visible, tuple(shadows))
