"""The report of an experiment: all that the page, the command and the CSV show; they compute nothing themselves.

One analysis run makes one report; it is stored and never changes. A number that the data do not give is None,
and `why` says what is missing.
"""

from __future__ import annotations

from typing import Literal

from contracts.assignment import Group, Mode
from contracts.experiments import Change, Experiment, GuardrailMetric, Metric, Outcome
from contracts.wire import Message, Time

Reading = Literal["better", "worse", "unclear", "cannot_tell", "watched"]
"""Of test against control, by the interval that may be read every day. `watched`: the metric decides nothing."""
GuardrailState = Literal["holds", "unclear", "breached", "cannot_tell"]
Dimension = Literal["age", "country", "os", "history", "topic"]
"""history: new, or known before. topic: likes of posts of that topic, of all users."""
HealthCheck = Literal["bursts", "few_ids", "likes_lost", "unseen", "unlogged", "degraded", "clock"]
HealthState = Literal["good", "odd", "bad", "cannot_tell"]
VerdictKind = Literal["too_early", "split_failed", "roll_back", "hold", "ship", "keep_control"]


class Range(Message):
    """An interval about its estimate, each in the metric's unit or, of a lift, as a share of control."""

    estimate: float
    low: float
    high: float


class Day(Message):
    """All data up to the end of this day of the platform's clock."""

    day: Time
    users: int
    lift: Range | None
    """Valid on all days at once."""
    p_value: float | None


class MetricReading(Message):
    metric: Metric
    lower_is_better: bool = False
    control: float | None
    test: float | None
    difference: Range | None = None
    """At a fixed horizon and unadjusted, as are `lift` and `p_value`."""
    lift: Range | None = None
    p_value: float | None = None
    adjusted_p_value: float | None = None
    """`always_valid_p_value`; those of the watched metrics adjusted for how many there are (Holm)."""
    always_valid: Range | None = None
    """The difference's interval that may be read every day, adjusted by CUPED, over control's rate: the decision stands
    on it."""
    always_valid_p_value: float | None = None
    cuped: Range | None = None
    """The difference at a fixed horizon, adjusted for the users' views and likes before the experiment."""
    variance_removed: float | None = None
    reading: Reading = "cannot_tell"
    why: str | None = None
    course: list[Day] = []


class GroupReading(Message):
    group: Group
    ranker: Group
    models: list[str]
    """`name@version`, by exposures."""
    assigned: int
    exposures: int
    degraded: int
    likes: int
    unlogged: int = 0
    """Of the degraded, those that were answered while the log was dead, and recorded when it was back."""


class PeriodSplit(Message):
    weight_period: int
    starts_at: Time
    expected: dict[Group, float]
    assigned: dict[Group, int]


class SplitReading(Message):
    """Sample ratio mismatch, on assigned users per weight period."""

    p_value: float | None
    """Valid at every look; below `alpha` the split has failed."""
    alpha: float
    failed: bool
    strays: int = 0
    """Users whom a gateway assigned by weights that did not hold then: left out; past one in a thousand, a failure."""
    periods: list[PeriodSplit]


class GuardrailReading(Message):
    metric: GuardrailMetric
    limit: float
    over_ms: float | None
    control: Range | None
    test: Range | None
    more: Range | None = None
    """test - control, by user, valid at every look. None where nothing is beside test to compare with."""
    state: GuardrailState

    @property
    def judged(self) -> Range | None:
        """What is held against the limit."""
        return self.more or self.test


class InterleavingReading(Message):
    """One vote per user: whose posts they liked more."""

    for_test: int
    for_control: int
    ties: int
    share: Range | None
    """Of test among the users who voted, ties half to each, with a bootstrap interval."""
    p_value: float | None
    """Exact sign test."""
    excluded: int
    """Exposures in which either ranker failed."""
    why: str | None = None


class ShadowReading(Message):
    asked: int
    failed: int
    p50_ms: float | None
    p99_ms: float | None
    overlap: Range | None
    """Share of the shown posts that the other ranker had chosen too."""
    rank_correlation: Range | None
    """Kendall's tau over the posts of both lists."""


class HealthReading(Message):
    """Whether what was counted are people who looked at posts. It changes no verdict."""

    check: HealthCheck
    state: HealthState
    share: float | None
    """What is held against the bounds; of several groups the worst one's."""
    what: str
    """In words."""
    groups: dict[Group, float] = {}
    """The share of each, where it goes by group."""


class LeftOutReading(Message):
    """Whom the plan leaves out, of this group: in all groups by the same rule."""

    group: Group
    users: int
    exposures: int


class Verdict(Message):
    kind: VerdictKind
    reasons: list[str]
    """In words, the decisive one first."""


class SegmentReading(Message):
    """The effect on some of the users. The intervals of all segments hold at once, at every look."""

    dimension: Dimension
    value: str
    metric: Metric
    users: int
    lift: Range | None
    p_value: float | None
    """Always valid, adjusted for all segments (Holm)."""
    reading: Reading


class NoveltyDay(Message):
    """The effect so many days after a user's first; the intervals of all days hold at once, at every look."""

    day: int
    users: int
    lift: Range | None


class LatencyReading(Message):
    """In milliseconds, over the last day's answers; valid at every look. None where the answers don't say."""

    quantile: float
    control: Range | None = None
    test: Range | None = None
    difference: Range | None = None


class Comparison(Message):
    """One group against control. In its readings, `test` is this group."""

    group: Group
    metrics: list[MetricReading]
    """The primary first: intent to treat, over all assigned users."""
    per_protocol: list[MetricReading]
    """The same without degraded exposures."""
    guardrails: list[GuardrailReading]
    likers: float | None = None
    """On how many users of the smaller group the primary stands, held against the plan's `min_likers`."""
    verdict: Verdict
    segments: list[SegmentReading] = []
    novelty: list[NoveltyDay] = []
    latency: list[LatencyReading] = []


class Report(Message):
    run: int
    """0 for one that is not stored."""
    final: bool = False
    """Of a stopped experiment, whose exposures no like can join any more: no later run follows."""
    at: Time
    """The platform's time up to which it reads, and the end of its last day."""
    experiment: Experiment
    days: float
    """Since the start."""
    groups: list[GroupReading]
    compared: Group = "test"
    """Whom verdict, metrics, guardrails and likers hold against control: of several groups, the one that decides."""
    others: list[Comparison] = []
    """The other groups against control, each at its part of alpha."""
    likers: float | None = None
    """On how many users of the smaller group the primary stands, held against the plan's `min_likers`."""
    split: SplitReading
    metrics: list[MetricReading]
    """The primary first: intent to treat, over all assigned users."""
    per_protocol: list[MetricReading]
    """The same without degraded exposures."""
    guardrails: list[GuardrailReading]
    interleaving: InterleavingReading | None = None
    shadow: ShadowReading | None = None
    verdict: Verdict
    segments: list[SegmentReading] = []
    novelty: list[NoveltyDay] = []
    latency: list[LatencyReading] = []
    health: list[HealthReading] = []
    left_out: list[LeftOutReading] = []
    unattributed: dict[str, int] = {}
    """Likes that belong to no exposure, by reason."""
    lag_seconds: float | None = None
    """How far the data lag behind the platform's clock."""
    history: list[Change]

    @property
    def comparisons(self) -> list[Comparison]:
        """Each group against control; first the one that decides."""
        first = Comparison(
            group=self.compared,
            metrics=self.metrics,
            per_protocol=self.per_protocol,
            guardrails=self.guardrails,
            likers=self.likers,
            verdict=self.verdict,
            segments=self.segments,
            novelty=self.novelty,
            latency=self.latency,
        )
        return [first, *self.others]


class SanityCheck(Message):
    """A night's A/A of the platform's own traffic: random halves of the same users, whose p-values must be uniform."""

    at: Time
    """The day that it looks back from."""
    users: int
    p_values: int = 0
    deciles: list[int] = []
    """How many p-values lie in each tenth from 0 to 1: about as many in each."""
    distance: float | None = None
    """Of their distribution from the uniform one, at most."""
    p: float | None = None
    """Of Kolmogorov and Smirnov's test: below .001 no A/B of these statistics may be trusted."""
    why: str | None = None


class Notice(Message):
    """What a webhook is told: another verdict or state of a guardrail, or traffic that the switch moved."""

    key: str
    """The same again if it is sent again: `run-12`, `change-7`."""
    experiment: str
    at: Time
    verdict: Verdict | None = None
    before: VerdictKind | None = None
    """The verdict of the run before."""
    groups: dict[Group, VerdictKind] = {}
    """That on each, where several are compared with control."""
    guardrails: dict[GuardrailMetric, GuardrailState] = {}
    change: str | None = None
    """In words: `paused for 4 minutes: weights control 100 %, test 0 %`."""
    reason: str | None = None


class LiftPlan(Message):
    """What it takes to find a lift with a chance of 80 %, looking every day."""

    lift: float
    users: int
    """Of all groups."""
    days: int | None
    """None: more than the platform's past tells."""


class Reach(Message):
    """What an experiment by this plan can show, by what users did in the platform's last days."""

    metric: Metric
    rate: float | None
    days: int
    """Of the past that is known: at most the plan's."""
    users: list[int] = []
    """So far, at the end of each of them: those of the plan's enrolment."""
    smallest_lift: float | None = None
    """That so many users and days find with a chance of 80 %."""
    lifts: list[LiftPlan] = []
    why: str | None = None


class RunLine(Message):
    run: int
    at: Time
    verdict: VerdictKind


class ExperimentLine(Message):
    """One line of `GET /experiments`, as people list them."""

    name: str
    state: str
    mode: Mode
    started_at: Time | None
    stopped_at: Time | None
    verdict: VerdictKind | None
    """Of the newest run, as are `users` and `lift`."""
    decision: Outcome | None = None
    group: Group = "test"
    """Which the decision, else the verdict and the lift, are about."""
    primary: Metric = "hit_rate"
    days: float | None = None
    """Since its users are split, up to now or its stop."""
    planned_days: int = 14
    users: int | None = None
    """Assigned, of all groups."""
    lift: Range | None = None
    """Of the primary, read any day. None where nothing may be read: too early, or a split that failed."""
