"""From sums to a report's readings of metrics, split and guardrails, by `experiments`; None where data are too few."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import TypeVar

import numpy as np
from contracts.assignment import CONTROL, GROUPS, Group
from contracts.experiments import Experiment, Guardrail, Metric, Plan
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
from experiments.effects import Effect, Interval, NotEnough, Rate, absolute
from experiments.ratios import RatioSums
from experiments.shares import wilson

from feature_service.reports.aggregates import Place, Row, UserSums
from feature_service.reports.metric_sums import SUMMED_TOGETHER

GUARDRAIL_CONFIDENCE = 0.99
GUARDRAIL_USERS = strata.FEWEST
"""Per group, before a guardrail is read: the switch takes traffic away long before."""
SHADOW_ANSWERS = 1_000
T = TypeVar("T")


class Scale:
    """How one group is compared with control: fixed before the experiment's start.

    Of several groups each gets its part of alpha, so that all their intervals hold at once (Dunn 1961).
    """

    def __init__(self, plan: Plan, group: Group = "test") -> None:
        rules, of = plan.rules, len(plan.compared)
        self.group, self.comparisons, self._plan = group, of, plan
        self.confidence = corrections.bonferroni_confidence(1 - rules.alpha, of)
        self.guardrail_confidence = corrections.bonferroni_confidence(GUARDRAIL_CONFIDENCE, of)
        self.least_users, self.least_likers = rules.min_users, rules.min_likers
        planned = rules.planned_users
        self.planned_users = max(2, planned * 2 // (of + 1)) if planned else rules.users_by_the_end
        """In the two groups: where the sequential intervals are tightest. They are valid for any number."""

    def lower_is_better(self, metric: Metric) -> bool:
        return self._plan.metric(metric).better == "lower"

    def adjusted(self, p_value: float | None) -> float | None:
        return None if p_value is None else min(1.0, self.comparisons * p_value)


def metrics(
    wanted: Sequence[Metric],
    totals: Mapping[Place, UserSums],
    days: Mapping[date, Mapping[Place, UserSums]],
    at: datetime,
    scale: Scale,
) -> list[MetricReading]:
    """The primary first. days: empty for no course.

    The primary stands alone; the p-values of the others, those that are read each day, are adjusted by Holm. Where
    several groups are compared, all of them for their number too.
    """
    read = [_metric(metric, totals, days, at, scale, primary=place == 0) for place, metric in enumerate(wanted)]
    watched = [reading.always_valid_p_value for reading in read[1:] if reading.always_valid_p_value is not None]
    adjusted = iter([*(reading.always_valid_p_value for reading in read[:1]), *corrections.holm(watched)])
    return [
        reading.model_copy(update={"adjusted_p_value": scale.adjusted(next(adjusted))})
        if place == 0 or reading.always_valid_p_value is not None
        else reading
        for place, reading in enumerate(read)
    ]


def _metric(
    metric: Metric,
    totals: Mapping[Place, UserSums],
    days: Mapping[date, Mapping[Place, UserSums]],
    at: datetime,
    scale: Scale,
    *,
    primary: bool,
) -> MetricReading:
    course, lower = _course(metric, days, at, scale), scale.lower_is_better(metric)
    try:
        compared = _Compared(metric, totals)
        fixed, ever = compared.plain.interval(scale.confidence), _sequential(compared.decides, scale)
    except NotEnough as error:
        return MetricReading(
            metric=metric,
            control=None,
            test=None,
            why=_why(metric, totals, scale.group, str(error)),
            course=course,
            lower_is_better=lower,
        )
    adjusted, lift = compared.adjusted, _range(ever, compared.control)
    return MetricReading(
        metric=metric,
        lower_is_better=lower,
        control=compared.control,
        test=compared.test,
        difference=_range(fixed),
        lift=_range(fixed, compared.control),
        p_value=compared.plain.p_value(),
        always_valid=lift,
        always_valid_p_value=_p_value(compared.decides, scale),
        cuped=_range(adjusted.interval(scale.confidence)) if adjusted else None,
        variance_removed=1 - adjusted.variance / compared.plain.variance if adjusted else None,
        reading=_primary(ever, metric, totals, scale) if primary else "watched",
        course=course,
    )


def _primary(ever: Interval, metric: Metric, totals: Mapping[Place, UserSums], scale: Scale) -> Reading:
    """Below the least users and likers nothing reads it."""
    users = min(sum(sums.users for (_, name), sums in totals.items() if name == group) for group in GROUPS)
    few = users < scale.least_users or likers(metric, totals) < scale.least_likers
    return "unclear" if few else side(ever, lower_is_better=scale.lower_is_better(metric))


class _Compared:
    """The two groups by one metric, period by period. Raises NotEnough.

    What decides is the difference, adjusted by CUPED: its error is near normal long before a lift's is, which has an
    estimate below the line and is read as sure of a chance low. Shown is the difference over control's rate, so that
    both say the same.
    """

    def __init__(self, metric: Metric, totals: Mapping[Place, UserSums]) -> None:
        users = _pairs(totals)
        pairs = [(control.ratios(metric), test.ratios(metric)) for control, test in users]
        self.plain = strata.effect(pairs, "overlap", _fewest(pairs))
        self.control, self.test = (sum(sums, RatioSums()).ratio for sums in zip(*pairs, strict=True))
        if self.control <= 0:
            raise NotEnough("a lift over nothing: control's rate is 0")
        self.adjusted = _if_enough(lambda: _cuped(metric, users))
        self.decides = self.adjusted or self.plain


def likers(metric: Metric, totals: Mapping[Place, UserSums]) -> float:
    """On how many users the metric stands, of the group in which they are fewer."""
    sides = zip(*_pairs(totals), strict=True)
    return min((sum((u.ratios(metric) for u in side), RatioSums()).effective_users for side in sides), default=0.0)


def unread(metric: Metric, why: str) -> MetricReading:
    return MetricReading(metric=metric, control=None, test=None, why=why)


def _course(metric: Metric, days: Mapping[date, Mapping[Place, UserSums]], at: datetime, scale: Scale) -> list[Day]:
    course: list[Day] = []
    totals: dict[Place, UserSums] = {}
    for day, added in days.items():
        for place, sums in added.items():
            totals[place] = totals.get(place, UserSums()) + sums
        compared = _if_enough(lambda totals=totals: _Compared(metric, totals))  # type: ignore[misc]
        course.append(
            Day(
                day=min(at, datetime.combine(day + timedelta(days=1), time(), UTC)),
                users=sum(sums.users for sums in totals.values()),
                lift=_range(_sequential(compared.decides, scale), compared.control) if compared else None,
                p_value=_p_value(compared.decides, scale) if compared else None,
            )
        )
    return course


def _pairs(totals: Mapping[Place, UserSums]) -> list[tuple[UserSums, UserSums]]:
    periods = sorted({period for period, _ in totals})
    return [(totals.get((p, "control"), UserSums()), totals.get((p, "test"), UserSums())) for p in periods]


def _fewest(pairs: Sequence[object]) -> int:
    """The least users of a period: small ones are left out, unless there is only one."""
    return strata.FEWEST if len(pairs) > 1 else 2


def _cuped(metric: Metric, users: Sequence[tuple[UserSums, UserSums]]) -> Effect:
    pairs = [(control.cuped(metric), test.cuped(metric)) for control, test in users]
    if not any(sums.aa for pair in pairs for sums in pair):
        raise NotEnough("nobody was there before the experiment")
    adjusted = strata.stratified(pairs, lambda c, t: cuped.effect(c, t).effect, "overlap", _fewest(pairs))
    adjusted.error  # noqa: B018 - raises NotEnough where no variance is left
    return adjusted


def _sequential(effect: Effect, scale: Scale) -> Interval:
    return sequential.interval(effect, scale.planned_users, scale.confidence)


def _p_value(effect: Effect, scale: Scale) -> float:
    return sequential.p_value(effect, scale.planned_users, confidence=scale.confidence)


def _why(metric: Metric, totals: Mapping[Place, UserSums], compared: Group, otherwise: str) -> str:
    """For the reader: what is missing, in the first group that lacks something."""
    for side, group in zip(GROUPS, (CONTROL, compared), strict=True):
        mine = sum((sums for (_, name), sums in totals.items() if name == side), UserSums())
        if not mine.users:
            return f"nobody is assigned to {group} yet"
        if not mine.values.get("n"):
            return f"{group} has no exposures yet"
        if metric in SUMMED_TOGETHER[:3] and not mine.values.get("l"):
            return f"{group} has no likes yet"
    return otherwise


def side(interval: Interval, *, lower_is_better: bool) -> Reading:
    if interval.holds(0.0):
        return "unclear"
    return "better" if (interval.estimate > 0) != lower_is_better else "worse"


def split(experiment: Experiment, assigned: Mapping[Place, int]) -> tuple[SplitReading, srm.SplitCheck | None]:
    periods, read, groups = list[srm.Period](), list[PeriodSplit](), experiment.plan.groups
    numbers = {period.number for period in experiment.periods}
    strays = sum(users for (number, _), users in assigned.items() if number not in numbers)
    for period in experiment.periods:
        counts = tuple(assigned.get((period.number, group), 0) for group in groups)
        weights = tuple(period.weights.get(group, 0.0) for group in groups)
        periods.append(srm.Period(counts, weights))
        read.append(
            PeriodSplit(
                weight_period=period.number,
                starts_at=period.starts_at,
                expected=dict(zip(groups, weights, strict=True)),
                assigned=dict(zip(groups, counts, strict=True)),
            )
        )
    checked = _if_enough(lambda: srm.check(periods, strays=strays))
    reading = SplitReading(
        p_value=checked.p if checked else None,
        alpha=srm.THRESHOLD,
        failed=checked is not None and checked.failed,
        strays=checked.strays if checked else strays,
        periods=read,
    )
    return reading, checked


def guardrail(rule: Guardrail, totals: Mapping[Place, UserSums], scale: Scale) -> GuardrailReading:
    """Non-inferiority to control: by user, over the same periods, valid at every look."""
    pairs = [(control.trouble(rule.metric), test.trouble(rule.metric)) for control, test in _pairs(totals)]
    more = _if_enough(lambda: strata.stratified(pairs, _more_trouble, "overlap", GUARDRAIL_USERS))
    sides = [sum(side, RatioSums()) for side in zip(*pairs, strict=True)] or [RatioSums()] * 2
    control, test = (_if_enough(lambda sums=sums: _trouble(sums)) for sums in sides)  # type: ignore[misc]
    return _guarded(rule, scale, more, control, test)


def guardrail_alone(rule: Guardrail, totals: Mapping[Place, UserSums], scale: Scale) -> GuardrailReading:
    """Of an interleaved experiment, whose every answer both rankers make: against the limit itself."""
    sums = sum((users.trouble(rule.metric) for users in totals.values()), RatioSums())
    test = _if_enough(lambda: _trouble(sums)) if sums.users >= GUARDRAIL_USERS else None
    return _guarded(rule, scale, Effect(test.value, test.variance, test.users) if test else None, None, test)


def guardrail_of_shadow(rule: Guardrail, asked: int, failed: int) -> GuardrailReading:
    """All that is known of a shadow ranker's answers is whether they came."""
    known = rule.metric == "error_share" and asked >= SHADOW_ANSWERS
    test = wilson(failed, asked, GUARDRAIL_CONFIDENCE) if known else None
    state: GuardrailState = guardrails.state(test, guardrails.Limit(rule.limit, worse="up")) if test else "cannot_tell"
    return GuardrailReading(
        metric=rule.metric, limit=rule.limit, over_ms=rule.over_ms, control=None,
        test=_range(test) if test else None, state=state,
    )  # fmt: skip


def _guarded(
    rule: Guardrail, scale: Scale, more: Effect | None, control: Rate | None, test: Rate | None
) -> GuardrailReading:
    interval = sequential.interval(more, scale.planned_users, scale.guardrail_confidence) if more else None
    state = guardrails.state(interval, guardrails.Limit(rule.limit, worse="up")) if interval else "cannot_tell"
    return GuardrailReading(
        metric=rule.metric,
        limit=rule.limit,
        over_ms=rule.over_ms,
        control=_share(control, scale) if control else None,
        test=_share(test, scale) if test else None,
        more=_range(interval) if interval and control else None,
        state=state,
    )


def _more_trouble(control: RatioSums, test: RatioSums) -> Effect:
    return absolute(_trouble(control), _trouble(test))


def _trouble(sums: RatioSums) -> Rate:
    """Its variance is at least that of one answer more or less, so that no trouble at all says something too."""
    return Rate(sums.ratio, max(sums.variance, 1 / sums.x**2), sums.users)


def _share(rate: Rate, scale: Scale) -> Range:
    effect = Effect(rate.value, rate.variance, rate.users)
    interval = sequential.interval(effect, scale.planned_users, scale.guardrail_confidence)
    return Range(estimate=interval.estimate, low=max(0.0, interval.low), high=min(1.0, interval.high))


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


def _range(interval: Interval, unit: float = 1.0) -> Range:
    return Range(estimate=interval.estimate / unit, low=interval.low / unit, high=interval.high / unit)


def _if_enough(estimate: Callable[[], T]) -> T | None:
    try:
        return estimate()
    except NotEnough:
        return None
