"""An experiment: what a team plans, what the server keeps of it, and which group a user belongs to.

A team edits a `Plan`. The server keeps it in an `Experiment` with what it made itself: the weight periods with their
bucket tables, times, the decision. A gateway sees the running ones as `RunningExperiments`, and assigns by them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cached_property
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import Field, field_validator, model_validator

from contracts.assignment import BUCKETS, CONTROL, GROUPS, MOST_GROUPS, Group, Mode, Salt, bucket, in_order, reweight
from contracts.clock import REAL, Clock
from contracts.metrics import BUILT_IN, MetricDefinition, MetricName
from contracts.rules import DEFAULT, RuleSet, RuleSetName
from contracts.wire import Message, Time, UserId

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$", max_length=64)]
Share = Annotated[float, Field(ge=0, le=1)]
Reason = Annotated[str, Field(min_length=3, max_length=500)]
Metric = MetricName
"""One of `metrics.BUILT_IN`, or of the plan's own."""
State = Literal["draft", "running", "stopped", "archived"]
Outcome = Literal["ship", "keep_control", "roll_back"]
GuardrailMetric = Literal["slow_share", "error_share", "fallback_share"]
"""Shares of a group's exposures: slower than the guardrail's `over_ms`; whose ranker failed; answered by a fallback."""

Weights = dict[Group, Share]


class RampStep(Message):
    """A ramp's next weights."""

    at: Time
    weights: Weights


class Guardrail(Message):
    """Breached when test's share lies above control's by more than `limit` for certain: the whole interval does.

    What hits both groups alike, as a slow database, breaches nothing. limit: in shares of the group's answers; of an
    interleaved or shadow experiment, which has no control beside it, of test's share itself.
    """

    metric: GuardrailMetric
    limit: Share = 0.01
    over_ms: Annotated[float, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _hangs_together(self) -> Self:
        if (self.metric == "slow_share") != (self.over_ms is not None):
            raise ValueError("slow_share needs over_ms, and no other metric has it")
        return self


GUARDRAILS = [
    Guardrail(metric="slow_share", limit=0.01, over_ms=200.0),
    Guardrail(metric="error_share", limit=0.02),
    Guardrail(metric="fallback_share", limit=0.05),
]


class Rules(Message):
    """What the decision goes by: written before the start, locked after it."""

    primary: Metric = "hit_rate"
    alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    min_users: Annotated[int, Field(ge=2)] = 500
    """Per group, before the primary is read."""
    min_likers: Annotated[int, Field(ge=0)] = 50
    """Per group, before the primary is read: as many users as its likes stand on, however unequally they are spread."""
    planned_users: Annotated[int, Field(ge=2)] | None = None
    """Of all groups by the planned end: where the interval that is read every day is tightest, valid for any number.
    By default what `min_users` by `min_days` make by then."""
    winsorised: Annotated[float, Field(ge=0.9, le=1)] = 0.999
    """The heaviest users count no more than the next one: of each 1,000 one, and one at least. 1: they all count."""
    min_days: Annotated[int, Field(ge=1)] = 7
    days: Annotated[int, Field(ge=1)] = 14
    """Planned: what is unclear by then keeps control."""
    join_hours: Annotated[float, Field(gt=0, le=168)] = 24.0
    """A like belongs to the exposure that it follows within this time."""

    @property
    def users_by_the_end(self) -> int:
        return self.planned_users or max(2, round(2 * self.min_users * self.days / self.min_days))

    @model_validator(mode="after")
    def _hangs_together(self) -> Self:
        if self.min_days > self.days:
            raise ValueError(f"min_days {self.min_days} is more than the {self.days} days planned")
        return self


class LeftOut(Message):
    """Who is no user: left out of the analysis, in all groups alike. The report says how many."""

    users: Annotated[list[UserId], Field(max_length=10_000)] = []
    above_share: Annotated[float, Field(gt=0, le=1)] | None = None
    """Whoever has more than this share of the experiment's answers."""

    @property
    def everybody(self) -> bool:
        return not self.users and self.above_share is None


class Plan(Message):
    """What a team decides about an experiment.

    mode: `ab`: each group sees its ranker. `ramp`: the same, with weights that change by schedule. `interleave`: every
    enrolled user sees a draft of both rankers' lists. `shadow`: everybody sees control's ranker; the other one is asked
    beside, and nobody sees what it answers. `ab` and `ramp` take any number of groups, each compared with control.
    """

    mode: Mode = "ab"
    rankers: dict[Group, Group] = {"control": "control", "test": "test"}
    """Which ranker serves a group; the same one twice makes an A/A. Its groups are those named here, and control.
    `shipped`: whichever ranker the decisions made everybody's; against `control` that is a long-term holdout."""
    weights: Weights = {"control": 0.5, "test": 0.5}
    ramp: list[RampStep] = []
    layer: Name = "models"
    """Experiments of one layer have one enrolment salt and disjoint slices of its buckets, those of two layers
    independent users. What decides which posts are seen stands in one layer."""
    enrolment_salt: Salt | None = None
    """The layer's; by default its name and `.enrolment`."""
    enrolment_from: Share = 0.0
    enrolment: Share = 1.0
    """The share of the layer's users who take part, from `enrolment_from` on. The others are not exposed."""
    group_salt: Salt | None = None
    """By default the experiment's name and `.group`. One that was ever used is refused: groups would repeat."""
    forced: dict[UserId, Group] = {}
    left_out: LeftOut = LeftOut()
    starts_at: Time | None = None
    ends_at: Time | None = None
    exploration: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    """The share of answers whose last slot holds one of the `EXPLORED` posts most worth a try."""
    rule_sets: dict[Group, RuleSetName] = {}
    """Which rule set holds for a group; `default` for one that is not named."""
    watched: list[Metric] = ["likes_per_exposure", "likes_per_user", "exposures_per_user"]
    metrics: list[MetricDefinition] = []
    """The team's own, beside those that every plan knows: named as primary or watched, they are read."""
    guardrails: list[Guardrail] = GUARDRAILS
    rules: Rules = Rules()

    @model_validator(mode="after")
    def _hangs_together(self) -> Self:
        for place, weights in enumerate([self.weights, *(step.weights for step in self.ramp)]):
            where = "weights" if place == 0 else f"ramp.{place - 1}.weights"
            if abs(sum(weights.values()) - 1) > 1e-9:
                raise ValueError(f"{where} add up to {sum(weights.values()):g}, not 1")
            if missing := [group for group in weights if group not in self.rankers]:
                raise ValueError(f"{where} names the group {missing[0]}, which has no ranker")
        if len(self.groups) > MOST_GROUPS:
            raise ValueError(f"rankers names {len(self.groups)} groups; {MOST_GROUPS} are the most")
        if len(self.groups) > 2 and self.mode not in ("ab", "ramp"):
            raise ValueError(f"rankers names {len(self.groups)} groups; the mode {self.mode} compares two")
        if SHIPPED in self.rankers.values() and self.mode not in ("ab", "ramp"):
            raise ValueError(f"rankers names {SHIPPED}, which the mode {self.mode} cannot ask")
        if strangers := [user for user, group in self.forced.items() if group not in self.rankers]:
            user, there = strangers[0], " and ".join(self.rankers)
            raise ValueError(
                f"forced.{user} names the group {self.forced[user]}, which has no ranker; there are {there}"
            )
        if self.starts_at is not None and self.ends_at is not None and self.ends_at <= self.starts_at:
            raise ValueError("ends_at lies before starts_at")
        if self.enrolment_from + self.enrolment > 1 + 1e-9:
            raise ValueError("enrolment_from and enrolment reach beyond the layer's end")
        if bool(self.ramp) != (self.mode == "ramp"):
            raise ValueError("a ramp has steps, and only a ramp has them")
        if self.exploration and self.mode not in ("ab", "ramp"):
            raise ValueError("exploration needs the mode ab or ramp, where one ranker fills all slots")
        if missing := [group for group in self.rule_sets if group not in self.rankers]:
            raise ValueError(f"rule_sets names the group {missing[0]}, which has no ranker")
        if self.mode not in ("ab", "ramp") and len({self.rule_set(group) for group in self.rankers}) > 1:
            raise ValueError(f"rule_sets differ, and the mode {self.mode} shows all users one list by one rule set")
        if any(later.at <= earlier.at for earlier, later in zip(self.ramp, self.ramp[1:], strict=False)):
            raise ValueError("ramp steps stand in the order of their times")
        if self.enrolment_salt is not None and self.enrolment_salt == self.group_salt:
            raise ValueError("enrolment_salt and group_salt must differ")
        if self.rules.primary in self.watched:
            raise ValueError(f"{self.rules.primary} is the primary metric and watched too")
        self._refuse_unknown_metrics()
        return self

    def _refuse_unknown_metrics(self) -> None:
        own = [each.name for each in self.metrics]
        if double := next((name for name in own if name in BUILT_IN or own.count(name) > 1), None):
            raise ValueError(f"metrics defines {double}, which is defined already")
        wanted = {"rules.primary": [self.rules.primary], "watched": self.watched}
        for where, names in wanted.items():
            if unknown := next((name for name in names if name not in BUILT_IN and name not in own), None):
                raise ValueError(f"{where} names the metric {unknown}; there are {', '.join([*BUILT_IN, *own])}")

    def metric(self, name: Metric) -> MetricDefinition:
        own = {each.name: each for each in self.metrics}
        return own.get(name) or BUILT_IN[name]

    @property
    def groups(self) -> tuple[Group, ...]:
        """Control first; a bucket table names a group by its place here. Where control is alone, test has nobody."""
        return in_order(self.rankers if set(self.rankers) - {CONTROL} else GROUPS)

    @property
    def compared(self) -> tuple[Group, ...]:
        """The groups that are compared with control."""
        return self.groups[1:]

    @property
    def slice(self) -> range:
        """The layer's buckets whose users take part."""
        first = round(self.enrolment_from * BUCKETS)
        return range(first, min(BUCKETS, first + round(self.enrolment * BUCKETS)))

    def rule_set(self, group: Group) -> str:
        """The name of the one that holds for the group."""
        return self.rule_sets.get(group, DEFAULT)

    @property
    def is_seen(self) -> bool:
        """Whether it decides what users see: two such experiments must not share users."""
        return self.mode != "shadow"


SHIPPED = "shipped"
"""A group of this ranker gets what everybody outside of experiments gets."""
EXPLORED = 20
"""How many posts of the highest upper confidence bounds share the slot that explores."""


class Pause(Message):
    """Why a group's traffic was taken away for a while: past which guardrail it answered, or that nobody reached it."""

    why: GuardrailMetric | Literal["unreachable"]
    until: Time
    """From then on it is tried again."""
    groups: list[Group] = []
    """Whose traffic control has meanwhile; none named: of all the others."""

    def takes(self, group: Group) -> bool:
        return group in self.groups or not self.groups


class WeightPeriod(Message):
    """From `starts_at` to the next period's. A period begins with every change of weights, a pause included."""

    number: Annotated[int, Field(ge=0)] = 0
    """Its identity, which exposures and assignments name. Never used again, though the period be dropped unbegun."""
    starts_at: Time
    weights: Weights
    table: Annotated[str, Field(min_length=BUCKETS, max_length=BUCKETS, pattern=r"^[0-9]*$", repr=False)]
    """One digit a bucket: the place of its group in the plan's `groups`."""
    reason: str = ""
    pause: Pause | None = None


class Decision(Message):
    outcome: Outcome
    group: Group = "test"
    """Which was shipped, or was not."""
    at: Time
    by: str
    reason: Reason
    run: int | None = None
    """The analysis run on which it was made."""


class Assignment(NamedTuple):
    """group: control for whoever is not enrolled."""

    group: Group
    enrolled: bool
    weight_period: int = 0


class Experiment(Message):
    """A plan and what became of it."""

    name: Name
    plan: Plan
    state: State = "draft"
    revision: Annotated[int, Field(ge=1)] = 1
    """Grows with every change: a late save is refused."""
    periods: list[WeightPeriod] = []
    started_at: Time | None = None
    stopped_at: Time | None = None
    decision: Decision | None = None

    @field_validator("periods", mode="before")
    @classmethod
    def _numbered(cls, periods: object) -> object:
        """Those of before periods had numbers were named by their place."""
        if not isinstance(periods, list):
            return periods
        return [{"number": place, **each} if isinstance(each, dict) else each for place, each in enumerate(periods)]

    @classmethod
    def started(cls, name: str, plan: Plan, now: datetime) -> Self:
        """A running experiment with the periods that its weights and its ramp make."""
        return cls(name=name, plan=plan, state="running", periods=periods(plan, now), started_at=now)

    @property
    def enrolment_salt(self) -> str:
        return self.plan.enrolment_salt or f"{self.plan.layer}.enrolment"

    @property
    def group_salt(self) -> str:
        return self.plan.group_salt or f"{self.name}.group"

    def is_on(self, now: datetime) -> bool:
        """Whether it assigns users at this time."""
        plan = self.plan
        return (
            self.state == "running"
            and bool(self.periods)
            and (plan.starts_at or self.periods[0].starts_at) <= now
            and (plan.ends_at is None or now < plan.ends_at)
        )

    def period(self, now: datetime) -> int:
        """The index of the weight period that holds at this time; the first one before it began."""
        return max((i for i, period in enumerate(self.periods) if period.starts_at <= now), default=0)

    @property
    def paused(self) -> Pause | None:
        """The pause that has not been resumed: no period is planned beyond it."""
        return self.periods[-1].pause if self.state == "running" and self.periods else None

    def pause(self, now: datetime) -> Pause | None:
        """That of this time: everybody of the groups that it takes, testers too, sees control's ranker."""
        return self.periods[self.period(now)].pause if self.periods else None

    def assign(self, user_id: int, now: datetime) -> Assignment:
        """A pure function of the user's id, the experiment and the weight period."""
        period = self.periods[self.period(now)]
        if user_id in self.plan.forced:
            group = self.plan.forced[user_id]
            if period.pause and period.pause.takes(group):
                group = CONTROL
            return Assignment(group, True, period.number)
        if bucket(user_id, self.enrolment_salt) not in self.plan.slice:
            return Assignment(CONTROL, False)
        return Assignment(self.plan.groups[int(period.table[bucket(user_id, self.group_salt)])], True, period.number)

    def served(self, now: datetime) -> Experiment:
        """As it is served at this time: while it pauses, an interleaved experiment shows control's list alone."""
        return self._undrafted if self.plan.mode == "interleave" and self.pause(now) else self

    @cached_property
    def _undrafted(self) -> Experiment:
        return self.model_copy(update={"plan": self.plan.model_copy(update={"mode": "ab"})})


def periods(
    plan: Plan, now: datetime, before: Iterable[WeightPeriod] = (), reason: str = "start"
) -> list[WeightPeriod]:
    """The weight periods that have begun before now, and then those of the plan's weights and ramp.

    Each table moves as few users from the one before as arithmetic allows; a pause moves nobody for good.
    """
    before = list(before)
    made = [period for period in before if period.starts_at < now]
    table = next((period.table for period in reversed(made) if not period.pause), "")
    ahead = [step for step in plan.ramp if step.at > now]
    steps = [RampStep(at=now, weights=_weights_at(plan, now)), *ahead]
    for number, step in enumerate(steps, next_number(before)):
        table = reweight(table, step.weights, plan.groups)
        why = reason if step is steps[0] else "ramp"
        made.append(WeightPeriod(number=number, starts_at=step.at, weights=step.weights, table=table, reason=why))
    return made


def next_number(periods: Iterable[WeightPeriod]) -> int:
    """periods: all that the experiment has, those that have not begun too."""
    return max((period.number for period in periods), default=-1) + 1


def _weights_at(plan: Plan, now: datetime) -> Mapping[Group, float]:
    return next((step.weights for step in reversed(plan.ramp) if step.at <= now), plan.weights)


class RunningExperiments(Message):
    """What every gateway knows: the running experiments, who serves everybody else, and the time."""

    experiments: list[Experiment] = []
    otherwise: Group = "control"
    """The ranker of whoever is in no experiment: test's once an experiment has shipped it."""
    clock: Clock = REAL
    rule_sets: dict[RuleSetName, RuleSet] = {}
    """By name; one that nobody has saved has no rules."""


class Edit(Message):
    """`PUT /experiments/{name}`. Whatever is left out stays as it is."""

    plan: Plan | None = None
    state: State | None = None
    decision: Outcome | None = None
    """Stops the experiment and records how it ended."""
    group: Group | None = None
    """Which group the decision is about; may be left out where only one is compared with control."""
    reason: Reason
    by: Annotated[str, Field(max_length=100)] = "admin"
    resume: bool = False
    """Gives test its traffic back before the pause is over."""
    revision: int | None = None
    """The revision that was edited; refused unless it is still the newest."""


class Change(Message):
    """One line of an experiment's history."""

    at: Time
    by: str
    reason: str
    what: str
    """In words: `weights control 50 %, test 50 %`."""
    revision: int


class ExperimentPage(Message):
    """`GET /experiments/{name}`."""

    experiment: Experiment
    history: list[Change]
