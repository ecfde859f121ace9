"""Reports of every state that an experiment can be in, at a frozen moment. Each is a changed healthy report."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

from contracts.experiments import (
    Change,
    Decision,
    Experiment,
    Metric,
    Pause,
    Plan,
    RampStep,
    WeightPeriod,
    periods,
)
from contracts.reports import (
    Comparison,
    Day,
    GroupReading,
    GuardrailReading,
    HealthReading,
    InterleavingReading,
    LatencyReading,
    LeftOutReading,
    MetricReading,
    NoveltyDay,
    PeriodSplit,
    Range,
    Reading,
    Report,
    RunLine,
    SegmentReading,
    ShadowReading,
    SplitReading,
    Verdict,
    VerdictKind,
)

NOW = datetime(2026, 3, 14, 9, 41, tzinfo=UTC)
READ = NOW - timedelta(minutes=1)
START = READ - timedelta(days=10, hours=14)
LONG_NAME = "a-two-tower-ranker-with-a-name-that-is-as-long-as-a-name-may-be1"
CYRILLIC_REASON = "Тест показывает устойчивый рост, продолжаем наблюдение за долей запасных ответов"


def experiment(name: str = "two-tower", **changes: Any) -> Experiment:
    plan = changes.pop("plan", Plan())
    start = changes.pop("start", START)
    return Experiment.started(name, plan, start).model_copy(update=changes)


def course(
    estimate: float, half: float, days: float = 10.6, *, p_at_end: float | None = 0.01, start: datetime = START
) -> list[Day]:
    """An interval that shrinks with the root of time, and evidence that grows to `p_at_end`."""
    whole = [float(day) for day in range(1, int(days) + 1)]
    made = []
    for passed in [*whole, *([days] if days - int(days) > 0.05 else [])]:
        wide = half * math.sqrt(days / passed)
        wobble = estimate * (1 + 0.6 * math.cos(2.1 * passed) / passed)
        p_value = None if p_at_end is None else min(1.0, p_at_end ** ((passed / days) ** 1.5))
        lift = Range(estimate=wobble, low=wobble - wide, high=wobble + wide)
        if passed == days:
            lift = Range(estimate=estimate, low=estimate - half, high=estimate + half)
        day = start + timedelta(days=passed)
        made.append(Day(day=day, users=int(50_000 * passed / days), lift=lift, p_value=p_value))
    return made


def metric(
    name: Metric, control: float, lift: float, half: float, reading: Reading, *, p_value: float = 0.2
) -> MetricReading:
    def ranged(scale: float, width: float) -> Range:
        return Range(estimate=lift * scale, low=(lift - width) * scale, high=(lift + width) * scale)

    return MetricReading(
        metric=name,
        control=control,
        test=control * (1 + lift),
        difference=ranged(control, half * 0.7),
        lift=ranged(1, half * 0.7),
        p_value=p_value / 4,
        adjusted_p_value=min(1.0, p_value),
        always_valid=ranged(1, half),
        always_valid_p_value=p_value,
        cuped=ranged(control, half * 0.55),
        variance_removed=0.284,
        reading=reading,
        course=course(lift, half, p_at_end=p_value),
    )


def metrics(
    *, lift: float = 0.031, half: float = 0.024, reading: Reading = "better", p: float = 0.011
) -> list[MetricReading]:
    return [
        metric("hit_rate", 0.312, lift, half, reading, p_value=p),
        metric("likes_per_exposure", 0.612, 0.046, 0.037, "watched", p_value=0.03),
        metric("likes_per_user", 4.82, 0.008, 0.019, "watched"),
        metric("exposures_per_user", 7.9, -0.072, 0.018, "watched", p_value=0.0004),
    ]


def guardrail(
    metric_name: Any, limit: float, low: float, high: float, state: Any, over: float | None = None
) -> GuardrailReading:
    """low, high: of what test has more than control, whose share is 0.05 %."""
    control, more = 0.0005, Range(estimate=(low + high) / 2, low=low, high=high)
    return GuardrailReading(
        metric=metric_name,
        limit=limit,
        over_ms=over,
        control=Range(estimate=control, low=control * 0.9, high=control * 1.1),
        test=Range(estimate=more.estimate + control, low=low + control, high=high + control),
        more=more,
        state=state,
    )


GUARDRAILS = [
    guardrail("slow_share", 0.01, 0.0031, 0.0049, "holds", 200.0),
    guardrail("error_share", 0.02, 0.00012, 0.00031, "holds"),
    guardrail("fallback_share", 0.05, 0.0071, 0.0097, "holds"),
]
HISTORY = [
    Change(
        at=START,
        by="admin",
        reason="the two-tower model is ready",
        what="running, weights control 50 %, test 50 %",
        revision=2,
    ),
    Change(at=START - timedelta(days=1), by="admin", reason="planned with the feed team", what="created", revision=1),
]


def split(
    control: int = 24_913, test: int = 25_087, *, p_value: float | None = 0.44, failed: bool = False
) -> SplitReading:
    period = PeriodSplit(
        weight_period=0,
        starts_at=START,
        expected={"control": 0.5, "test": 0.5},
        assigned={"control": control, "test": test},
    )
    return SplitReading(p_value=p_value, alpha=0.001, failed=failed, periods=[period])


def groups(control: int = 24_913, test: int = 25_087) -> list[GroupReading]:
    return [
        GroupReading(
            group="control", ranker="control", models=["control@1.4.0"], assigned=control, exposures=control * 8,
            degraded=control // 60, likes=control * 4,
        ),
        GroupReading(
            group="test", ranker="test", models=["test@2.0.1"], assigned=test, exposures=test * 8,
            degraded=test // 60, likes=test * 4,
        ),
    ]  # fmt: skip


def report(kind: VerdictKind = "ship", **changes: Any) -> Report:
    made = Report(
        run=481,
        at=READ,
        experiment=experiment(),
        days=10.6,
        groups=groups(),
        split=split(),
        metrics=metrics(),
        per_protocol=metrics(lift=0.033),
        guardrails=GUARDRAILS,
        verdict=Verdict(
            kind=kind, reasons=["hit_rate: the always-valid interval lies above zero", "every guardrail holds"]
        ),
        unattributed={"late": 31, "unseen": 12},
        lag_seconds=4.0,
        history=HISTORY,
    )
    return made.model_copy(update=changes)


def hold() -> Report:
    unclear = metrics(lift=0.036, half=0.05, reading="unclear", p=0.22)
    return report(
        "hold", metrics=unclear, per_protocol=unclear, verdict=Verdict(kind="hold", reasons=["hit_rate is unclear"])
    )


def young() -> Report:
    """Too few days, though many users."""
    early = experiment(start=READ - timedelta(days=2, hours=14))
    verdict = Verdict(kind="too_early", reasons=["2.6 days, of 7 at least"])
    begun = [
        one.model_copy(update={"course": course(0.036, 0.05, 2.6, p_at_end=0.22, start=early.periods[0].starts_at)})
        for one in hold().metrics
    ]
    changes = {"experiment": early, "days": 2.6, "verdict": verdict, "metrics": begun, "history": HISTORY[1:]}
    return hold().model_copy(update=changes)


def too_early() -> Report:
    start = READ - timedelta(hours=8)
    plan = Plan(rules=Plan().rules.model_copy(update={"min_users": 2_000}))
    bare = [
        one.model_copy(update={"course": [], "reading": "cannot_tell", "why": "too few users"}) for one in metrics()
    ]
    return report(
        "too_early",
        run=12,
        experiment=experiment(plan=plan, start=start),
        days=8 / 24,
        groups=groups(1_320, 1_297),
        split=split(1_320, 1_297, p_value=1.0),
        metrics=bare,
        verdict=Verdict(kind="too_early", reasons=["1,297 of 2,000 users"]),
        guardrails=[one.model_copy(update={"state": "cannot_tell"}) for one in GUARDRAILS],
    )


def roll_back() -> Report:
    breached = [guardrail("slow_share", 0.01, 0.018, 0.024, "breached", 200.0), *GUARDRAILS[1:]]
    return report(
        "roll_back", guardrails=breached, verdict=Verdict(kind="roll_back", reasons=["slow_share is breached"])
    )


def few_likers() -> Report:
    """Enough users, of whom hardly any like."""
    said = "the primary stands on 31 users in the smaller group, of 50 at least"
    return hold().model_copy(update={"likers": 31.2, "verdict": Verdict(kind="too_early", reasons=[said])})


def paused() -> Report:
    """A minute ago test's ranker was not to be reached; the verdict does not hang on it."""
    held = hold()
    pause = Pause(why="unreachable", until=held.at + timedelta(minutes=3))
    period = WeightPeriod(
        number=1,
        starts_at=held.at - timedelta(minutes=1),
        weights={"control": 1.0, "test": 0.0},
        table="0" * 10_000,
        reason="ranker can't be reached: 60 of 60 answers in the last minute, 0 of 58 of control's",
        pause=pause,
    )
    return held.model_copy(
        update={"experiment": held.experiment.model_copy(update={"periods": [*held.experiment.periods, period]})}
    )


def worse() -> Report:
    return report("roll_back", metrics=metrics(lift=-0.042, half=0.021, reading="worse", p=0.0001))


def split_failed() -> Report:
    return report(
        "split_failed",
        groups=groups(26_140, 23_860),
        split=split(26_140, 23_860, p_value=0.0000031, failed=True),
        verdict=Verdict(kind="split_failed", reasons=["more users in control than the split allows"]),
    )


def ended() -> Report:
    """Unclear to the planned end."""
    unclear = metrics(lift=0.0015, half=0.0075, reading="unclear", p=0.6)
    return report("keep_control", metrics=unclear, days=14.2, run=902)


def stale() -> Report:
    return hold().model_copy(update={"at": NOW - timedelta(minutes=14), "lag_seconds": 720.0})


def decided(outcome: Any = "ship", reason: str = "Clear for three days in a row") -> Report:
    at = datetime(2026, 3, 14, 10, 2, tzinfo=UTC)
    decision = Decision(outcome=outcome, at=at, by="admin", reason=reason, run=481)
    over = experiment(state="stopped", stopped_at=at, decision=decision, revision=3)
    line = Change(at=at, by="admin", reason=reason, what="stopped, shipped test", revision=3)
    return report("ship", experiment=over, history=[line, *HISTORY])


def unread() -> list[MetricReading]:
    return [MetricReading(metric=one.metric, control=None, test=None, why="every user sees both") for one in metrics()]


def interleaved() -> Report:
    votes = InterleavingReading(
        for_test=1_911, for_control=1_702, ties=2_310, excluded=118,
        share=Range(estimate=0.529, low=0.512, high=0.546), p_value=0.00054,
    )  # fmt: skip
    plan = Plan(mode="interleave")
    return report("ship", experiment=experiment(plan=plan), interleaving=votes, metrics=unread(), per_protocol=[])


def shadowed() -> Report:
    seen = ShadowReading(
        asked=48_120, failed=61, p50_ms=11.2, p99_ms=43.7, overlap=Range(estimate=0.412, low=0.408, high=0.416),
        rank_correlation=Range(estimate=0.31, low=0.29, high=0.33),
    )  # fmt: skip
    plan, reasons = Plan(mode="shadow"), ["A shadow compares answers, not users: it decides nothing."]
    return report(
        "hold", experiment=experiment(plan=plan), shadow=seen, metrics=unread(), per_protocol=[],
        guardrails=GUARDRAILS[:2], verdict=Verdict(kind="hold", reasons=reasons),
    )  # fmt: skip


def ramped() -> Report:
    steps = [
        RampStep(at=START + timedelta(days=2), weights={"control": 0.8, "test": 0.2}),
        RampStep(at=START + timedelta(days=5), weights={"control": 0.5, "test": 0.5}),
    ]
    plan = Plan(mode="ramp", weights={"control": 0.95, "test": 0.05}, ramp=steps)
    made = experiment(plan=plan, periods=periods(plan, START))
    parts = [
        PeriodSplit(weight_period=i, starts_at=period.starts_at, expected=dict(period.weights),
                    assigned={group: round(9_000 * share) for group, share in period.weights.items()})
        for i, period in enumerate(made.periods)
    ]  # fmt: skip
    split = SplitReading(p_value=0.71, alpha=0.001, failed=False, periods=parts)
    return report("ship", experiment=made, split=split, groups=groups(20_250, 6_750))


def crowded() -> Report:
    """Twelve rows, a long name, Cyrillic, an interval far off the axis."""
    rows = metrics() + metrics() + metrics()
    rows[1] = metric("likes_per_exposure", 0.612, 0.61, 0.52, "watched")
    rows[6] = metric("likes_per_user", 1_204.7, -0.33, 0.9, "watched")
    at = READ - timedelta(hours=3)
    line = Change(at=at, by="Александра Константинопольская", reason=CYRILLIC_REASON, what="ends_at", revision=3)
    return report(
        "ship", experiment=experiment(LONG_NAME), metrics=rows, per_protocol=rows, history=[line, *HISTORY],
    )  # fmt: skip


def first_hours() -> Report:
    """One exposure, no likes: nothing can be told, and no group has a number."""
    empty = [
        MetricReading(metric=name, control=None, test=None, why="no exposures in test")
        for name in ("hit_rate", "likes_per_exposure", "likes_per_user", "exposures_per_user")
    ]
    nothing = [
        GuardrailReading(
            metric=one.metric, limit=one.limit, over_ms=one.over_ms, control=None, test=None, state="cannot_tell"
        )
        for one in GUARDRAILS
    ]
    return report(
        "too_early", run=0, metrics=empty, per_protocol=[], guardrails=nothing, days=0.01, groups=groups(1, 0),
        split=split(1, 0, p_value=None), experiment=experiment(start=READ - timedelta(minutes=14)), unattributed={},
        verdict=Verdict(kind="too_early", reasons=["no users"]),
    )  # fmt: skip


def three_groups() -> Report:
    """With all that may stand beside a verdict: other groups, segments, days, quantiles, health, users left out."""
    three = {"control": "control", "challenger": "challenger", "test": "test"}
    plan = Plan(rankers=three, weights={"control": 0.4, "challenger": 0.3, "test": 0.3})
    mine, other = groups(20_011, 14_977), metrics(lift=-0.012, half=0.031, reading="unclear", p=0.7)
    third = mine[1].model_copy(update={"group": "challenger", "ranker": "challenger", "models": ["test@3.0.0"]})
    periods = [
        PeriodSplit(
            weight_period=0, starts_at=START, expected=dict(plan.weights),
            assigned={"control": 20_011, "challenger": 14_977, "test": 14_977},
        )
    ]  # fmt: skip
    values = {
        "age": ["18 to 24", "25 to 34", "unknown"], "country": ["Russia", "others"], "os": ["Android", "iOS"],
        "history": ["known before", "new"], "topic": ["movie", "sport"],
    }  # fmt: skip
    segments = [
        _segment(dimension, value, 0.05 - 0.02 * place, place) for dimension, many in values.items()
        for place, value in enumerate(many)
    ]  # fmt: skip
    return report(
        experiment=experiment(plan=plan),
        groups=[mine[0], third, mine[1]],
        split=split().model_copy(update={"periods": periods}),
        compared="challenger",
        others=[
            Comparison(
                group="test", metrics=other, per_protocol=other, guardrails=GUARDRAILS,
                verdict=Verdict(kind="hold", reasons=["unclear: hit rate"]),
            )
        ],
        segments=segments,
        novelty=[NoveltyDay(day=day, users=9_000 - 900 * day, lift=_around(0.07 - 0.006 * day, 0.05)) for day in range(6)],
        latency=[
            LatencyReading(quantile=q, control=_around(ms, 2), test=_around(ms + 3, 2), difference=_around(3, 3))
            for q, ms in ((0.5, 9.0), (0.95, 31.0), (0.99, 72.0))
        ],
        health=[
            HealthReading(check="bursts", state="bad", share=0.61, what="40,000 of the last day's 65,204 answers came in 2 minutes"),
            HealthReading(check="degraded", state="odd", share=0.06, what="degraded answers: control 1.7 %, test 6.0 %"),
            HealthReading(check="unseen", state="good", share=0.02, what="40 of the latest 2,000 answers were followed by no view"),
            HealthReading(check="clock", state="cannot_tell", share=None, what="0 of the latest 0 likes are dated before their answer"),
        ],
        left_out=[LeftOutReading(group="control", users=2, exposures=1_312), LeftOutReading(group="test", users=1, exposures=870)],
    )  # fmt: skip


def _segment(dimension: Any, value: str, lift: float, place: int) -> SegmentReading:
    reading: Reading = "better" if not place else "unclear"
    return SegmentReading(
        dimension=dimension, value=value, metric="hit_rate", users=9_000 - 1_000 * place, lift=_around(lift, 0.04),
        p_value=0.02 + 0.1 * place, reading=reading,
    )  # fmt: skip


def _around(value: float, half: float) -> Range:
    return Range(estimate=value, low=value - half, high=value + half)


def named(name: str, report: Report) -> Report:
    return report.model_copy(update={"experiment": report.experiment.model_copy(update={"name": name})})


_STATES: dict[str, Report] = {
    "ship": report(),
    "hold": hold(),
    "young": young(),
    "too-early": too_early(),
    "first-hours": first_hours(),
    "roll-back": roll_back(),
    "paused": paused(),
    "few-likers": few_likers(),
    "worse": worse(),
    "split-failed": split_failed(),
    "ended": ended(),
    "stale": stale(),
    "decided": decided(),
    "rolled-back": decided("roll_back", "Past its limit for certain"),
    "interleave": interleaved(),
    "shadow": shadowed(),
    "ramp": ramped(),
    "three-groups": three_groups(),
    LONG_NAME: crowded(),
}
STATES = {name: named(name, report) for name, report in _STATES.items()}
"""By the name of the experiment."""
RUNS = [RunLine(run=481, at=READ, verdict="ship"), RunLine(run=480, at=READ - timedelta(hours=1), verdict="hold")]
