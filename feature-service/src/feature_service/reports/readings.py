"""From sums to a report's readings of metrics, split and guardrails, by `experiments`; None where data are too few."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import TypeVar

import numpy as np
from contracts.assignment import GROUPS, Group
from contracts.experiments import Experiment, Guardrail, Metric, Rules
from contracts.reports import (
    Day,
    GuardrailReading,
    GuardrailState,
    InterleavingReading,
    MetricReading,
    PeriodSplit,
    Range,
    Reading,
    ShadowReading,
    SplitReading,
)
from experiments import corrections, cuped, guardrails, interleaving, sequential, srm, strata
from experiments.effects import Effect, Interval, NotEnough
from experiments.ratios import RatioSums
from experiments.shares import wilson

from feature_service.reports.aggregates import Place, Row, UserSums

GUARDRAIL_CONFIDENCE = 0.99
T = TypeVar("T")


class Scale:
    """How the metrics of one experiment are read: fixed before its start."""

    def __init__(self, rules: Rules) -> None:
        self.confidence = 1 - rules.alpha
        self.planned_users = max(2, round(2 * rules.min_users * rules.days / rules.min_days))
        """In both groups: where the sequential intervals are tightest. They are valid for any number."""


def metrics(
    wanted: Sequence[Metric],
    totals: Mapping[Place, UserSums],
    days: Mapping[date, Mapping[Place, UserSums]],
    at: datetime,
    scale: Scale,
) -> list[MetricReading]:
    """The primary first. days: empty for no course and no CUPED."""
    read = [_metric(metric, totals, days, at, scale, primary=place == 0) for place, metric in enumerate(wanted)]
    tested = [reading for reading in read if reading.p_value is not None]
    adjusted = corrections.holm([reading.p_value for reading in tested if reading.p_value is not None])
    by_metric = dict(zip((reading.metric for reading in tested), adjusted, strict=True))
    return [reading.model_copy(update={"adjusted_p_value": by_metric.get(reading.metric)}) for reading in read]


def _metric(
    metric: Metric,
    totals: Mapping[Place, UserSums],
    days: Mapping[date, Mapping[Place, UserSums]],
    at: datetime,
    scale: Scale,
    *,
    primary: bool,
) -> MetricReading:
    pairs = [(control.ratios(metric), test.ratios(metric)) for control, test in _pairs(totals)]
    course = _course(metric, days, at, scale)
    try:
        difference, lift = _effect(pairs), _lift(pairs)
        fixed, ever = difference.interval(scale.confidence), _sequential(lift, scale)
    except NotEnough as error:
        return MetricReading(metric=metric, control=None, test=None, why=_why(totals, str(error)), course=course)
    adjusted = _if_enough(lambda: _cuped(metric, totals)) if days else None
    return MetricReading(
        metric=metric,
        control=sum((control for control, _ in pairs), RatioSums()).ratio,
        test=sum((test for _, test in pairs), RatioSums()).ratio,
        difference=_range(fixed),
        lift=_range(lift.interval(scale.confidence)),
        p_value=difference.p_value(),
        always_valid=_range(ever),
        always_valid_p_value=sequential.p_value(lift, scale.planned_users, confidence=scale.confidence),
        cuped=_range(adjusted.interval(scale.confidence)) if adjusted else None,
        variance_removed=1 - adjusted.variance / difference.variance if adjusted else None,
        reading=_side(ever) if primary else "watched",
        course=course,
    )


def unread(metric: Metric, why: str) -> MetricReading:
    return MetricReading(metric=metric, control=None, test=None, why=why)


def _course(metric: Metric, days: Mapping[date, Mapping[Place, UserSums]], at: datetime, scale: Scale) -> list[Day]:
    course: list[Day] = []
    totals: dict[Place, UserSums] = {}
    for day, added in days.items():
        for place, sums in added.items():
            totals[place] = totals.get(place, UserSums()) + sums
        pairs = [(control.ratios(metric), test.ratios(metric)) for control, test in _pairs(totals)]
        lift = _if_enough(lambda pairs=pairs: _lift(pairs))  # type: ignore[misc]
        ever = _if_enough(lambda lift=lift: _sequential(lift, scale)) if lift else None  # type: ignore[misc]
        course.append(
            Day(
                day=min(at, datetime.combine(day + timedelta(days=1), time(), UTC)),
                users=sum(sums.users for sums in totals.values()),
                lift=_range(ever) if ever else None,
                p_value=sequential.p_value(lift, scale.planned_users, confidence=scale.confidence)
                if lift and ever
                else None,
            )
        )
    return course


def _pairs(totals: Mapping[Place, UserSums]) -> list[tuple[UserSums, UserSums]]:
    periods = sorted({period for period, _ in totals})
    return [(totals.get((p, "control"), UserSums()), totals.get((p, "test"), UserSums())) for p in periods]


def _fewest(pairs: Sequence[object]) -> int:
    """The least users of a period: small ones are left out, unless there is only one."""
    return strata.FEWEST if len(pairs) > 1 else 2


def _effect(pairs: Sequence[tuple[RatioSums, RatioSums]]) -> Effect:
    return strata.effect(pairs, fewest=_fewest(pairs))


def _lift(pairs: Sequence[tuple[RatioSums, RatioSums]]) -> Effect:
    return strata.relative_effect(pairs, fewest=_fewest(pairs))


def _cuped(metric: Metric, totals: Mapping[Place, UserSums]) -> Effect:
    pairs = [(control.cuped(metric), test.cuped(metric)) for control, test in _pairs(totals)]
    adjusted = strata.stratified(pairs, lambda c, t: cuped.effect(c, t).effect, fewest=_fewest(pairs))
    adjusted.error  # noqa: B018 - raises NotEnough where no variance is left
    return adjusted


def _sequential(effect: Effect, scale: Scale) -> Interval:
    return sequential.interval(effect, scale.planned_users, scale.confidence)


def _why(totals: Mapping[Place, UserSums], otherwise: str) -> str:
    """For the reader: what is missing, in the first group that lacks something."""
    for group in GROUPS:
        mine = sum((sums for (_, name), sums in totals.items() if name == group), UserSums())
        if not mine.users:
            return f"nobody is assigned to {group} yet"
        if not mine.values.get("n"):
            return f"{group} has no exposures yet"
        if not mine.values.get("l"):
            return f"{group} has no likes yet"
    return otherwise


def _side(interval: Interval) -> Reading:
    if interval.low > 0:
        return "better"
    return "worse" if interval.high < 0 else "unclear"


def split(experiment: Experiment, assigned: Mapping[Place, int]) -> tuple[SplitReading, srm.SplitCheck | None]:
    periods, read = list[srm.Period](), list[PeriodSplit]()
    for place, period in enumerate(experiment.periods):
        counts = tuple(assigned.get((place, group), 0) for group in GROUPS)
        weights = tuple(period.weights.get(group, 0.0) for group in GROUPS)
        periods.append(srm.Period(counts, weights))
        read.append(
            PeriodSplit(
                weight_period=place,
                starts_at=period.starts_at,
                expected=dict(zip(GROUPS, weights, strict=True)),
                assigned=dict(zip(GROUPS, counts, strict=True)),
            )
        )
    checked = _if_enough(lambda: srm.check(periods))
    reading = SplitReading(
        p_value=checked.p if checked else None,
        alpha=srm.THRESHOLD,
        failed=checked is not None and checked.failed,
        periods=read,
    )
    return reading, checked


def guardrail(rule: Guardrail, counts: Mapping[Group, tuple[int, int]], rolled_back: bool) -> GuardrailReading:
    """counts: by group, exposures past the rule and all. rolled_back: it was breached while traffic ran."""
    ranges = {
        group: _if_enough(lambda past=past, of=of: wilson(past, of, GUARDRAIL_CONFIDENCE))  # type: ignore[misc]
        for group, (past, of) in counts.items()
    }
    control, test = ranges.get("control"), ranges.get("test")
    state: GuardrailState = guardrails.state(test, guardrails.Limit(rule.limit, worse="up")) if test else "cannot_tell"
    return GuardrailReading(
        metric=rule.metric,
        limit=rule.limit,
        over_ms=rule.over_ms,
        control=_range(control) if control else None,
        test=_range(test) if test else None,
        state="breached" if rolled_back else state,
    )


def interleaved(row: Row, scale: Scale, seed: int) -> tuple[InterleavingReading, Interval | None]:
    """And the always-valid interval of test's share less a half."""
    votes = interleaving.Votes(row["test"], row["control"], row["ties"])
    counts = {"for_test": votes.test, "for_control": votes.control, "ties": votes.ties, "excluded": row["excluded"]}
    try:
        share = interleaving.win_share(votes, np.random.default_rng(seed), scale.confidence)
        ever = _sequential(interleaving.effect(votes), scale)
        p_value = interleaving.p_value(votes)
    except NotEnough as error:
        why = "nobody liked an interleaved post yet" if not votes.users else str(error)
        return InterleavingReading(**counts, share=None, p_value=None, why=why), None
    return InterleavingReading(**counts, share=_range(share), p_value=p_value), ever


def shadow(row: Row, scale: Scale) -> ShadowReading:
    p50, p99 = row["quantiles"] or (None, None)
    return ShadowReading(
        asked=row["asked"],
        failed=row["failed"],
        p50_ms=p50,
        p99_ms=p99,
        overlap=_mean(row["overlap"], scale),
        rank_correlation=_mean(row["correlation"], scale),
    )


def _mean(sums: Sequence[float | None], scale: Scale) -> Range | None:
    """A ratio over users with its fixed-horizon interval. sums: users, y, x, yy, xx, xy."""
    users, *rest = (value or 0.0 for value in sums)
    try:
        rate = RatioSums(int(users), *rest).rate
        return _range(Effect(rate.value, rate.variance, rate.users).interval(scale.confidence))
    except NotEnough:
        return None


def _range(interval: Interval) -> Range:
    return Range(estimate=interval.estimate, low=interval.low, high=interval.high)


def _if_enough(estimate: Callable[[], T]) -> T | None:
    try:
        return estimate()
    except NotEnough:
        return None
