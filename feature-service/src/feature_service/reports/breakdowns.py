"""For whom, since when, and how fast: the effect by segment and by day since the first exposure, latency by quantile.

None of it decides. The intervals of all segments hold at once (Bonferroni; Dunn 1961), those of all days too, so that
the best of twenty is no surprise; the segments' p-values are adjusted by Holm. Both stay valid at every look.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from contracts.experiments import Metric
from contracts.reports import Dimension, LatencyReading, NoveltyDay, Range, SegmentReading
from experiments import corrections, quantiles, sequential, strata
from experiments.effects import Effect, Interval, NotEnough
from experiments.quantiles import Histogram
from experiments.ratios import RatioSums

from feature_service.reports.aggregates import Place, Row, UserSums, latency_bins, placed
from feature_service.reports.metric_sums import SUMMED_TOGETHER
from feature_service.reports.readings import Scale, side

FEWEST = strata.FEWEST
"""Users of each group, before a segment or a day is read."""
QUANTILES = (0.5, 0.95, 0.99)
TOPIC_METRIC: Metric = "likes_per_exposure"
Sides = Mapping[Place, UserSums]


def metric_of(primary: Metric) -> Metric:
    """By which segments and days are read: the primary, where it is one of those that are summed by user and day."""
    return primary if primary in SUMMED_TOGETHER else SUMMED_TOGETHER[0]


def segments(rows: Iterable[Row], primary: Metric, scale: Scale) -> list[SegmentReading]:
    by_segment: dict[tuple[Dimension, str], list[Row]] = defaultdict(list)
    for row in rows:
        by_segment[row["dimension"], row["value"]].append(row)
    counted = {segment: placed(mine) for segment, mine in sorted(by_segment.items())}
    of = {segment: TOPIC_METRIC if segment[0] == "topic" else metric_of(primary) for segment in counted}
    compared = {segment: _compared(sums, of[segment]) for segment, sums in counted.items()}
    p_values = {
        segment: sequential.p_value(effect, scale.planned_users)
        for segment, (effect, _) in compared.items()
        if effect is not None
    }
    adjusted = dict(zip(p_values, corrections.holm(list(p_values.values())), strict=True))
    return [
        _segment(
            segment, of[segment], counted[segment], *compared[segment], adjusted.get(segment), len(p_values), scale
        )
        for segment in counted
    ]


def novelty(rows: Iterable[Row], primary: Metric, scale: Scale) -> list[NoveltyDay]:
    by_day: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        by_day[row["since"]].append(row)
    counted = {day: placed(mine) for day, mine in sorted(by_day.items())}
    compared = {day: _compared(sums, metric_of(primary)) for day, sums in counted.items()}
    many = sum(effect is not None for effect, _ in compared.values())
    return [
        NoveltyDay(day=day, users=_users(counted[day]), lift=_lift(effect, rate, many, scale) if effect else None)
        for day, (effect, rate) in compared.items()
    ]


def latency(rows: Sequence[Row], totals: Sides, scale: Scale) -> list[LatencyReading]:
    """rows: answers by group and bin."""
    sides = {group: _histogram(rows, group, latency_bins()) for group in ("control", "test")}
    users = {group: sum(u.users for (_, name), u in totals.items() if name == group) for group in sides}
    if min(users.values(), default=0) < FEWEST:
        return []
    bound = sequential.bound(sum(users.values()), scale.planned_users, scale.confidence)
    design = {group: _design(totals, group) for group in sides}
    return [_quantile(q, sides, design, bound, scale) for q in QUANTILES]


def _compared(sums: Sides, metric: Metric) -> tuple[Effect | None, float]:
    """And control's rate."""
    pairs = [
        tuple(sums.get((period, name), UserSums()).ratios(metric) for name in ("control", "test"))
        for period in sorted({period for period, _ in sums})
    ]
    kept = [(control, test) for control, test in pairs if min(control.users, test.users) >= FEWEST]
    try:
        return strata.effect(kept, "overlap"), _positive(sum((control for control, _ in kept), RatioSums()).ratio)
    except NotEnough:
        return None, 0.0


def _positive(rate: float) -> float:
    if rate <= 0:
        raise NotEnough("a lift over nothing: control's rate is 0")
    return rate


def _segment(
    segment: tuple[Dimension, str], metric: Metric, sums: Sides, effect: Effect | None, rate: float,
    p_value: float | None, many: int, scale: Scale,
) -> SegmentReading:  # fmt: skip
    lift = _lift(effect, rate, many, scale) if effect else None
    lower = scale.lower_is_better(metric)
    return SegmentReading(
        dimension=segment[0],
        value=segment[1],
        metric=metric,
        users=_users(sums),
        lift=lift,
        p_value=p_value,
        reading=side(Interval(lift.estimate, lift.low, lift.high, 0.95), lower_is_better=lower)
        if lift
        else "cannot_tell",
    )


def _lift(effect: Effect, rate: float, many: int, scale: Scale) -> Range:
    """One of so many that hold at once."""
    confidence = corrections.bonferroni_confidence(scale.confidence, many)
    interval = sequential.interval(effect, scale.planned_users, confidence)
    return Range(estimate=interval.estimate / rate, low=interval.low / rate, high=interval.high / rate)


def _users(sums: Sides) -> int:
    return sum(each.users for each in sums.values())


def _histogram(rows: Iterable[Row], group: str, bins: Sequence[float]) -> Histogram:
    counts = [0] * (len(bins) + 1)
    for row in rows:
        if row["exp_group"] == group:
            counts[row["bin"]] += row["answers"]
    return Histogram(tuple(bins), tuple(counts))


def _design(totals: Sides, group: str) -> float:
    """By the answers past the guardrail of slow ones; where there are none, as if a user's answers were all alike."""
    sums = sum((each for (_, name), each in totals.items() if name == group), UserSums())
    try:
        return quantiles.design_effect(sums.trouble("slow_share"))
    except NotEnough:
        per_user = sums.ratios("exposures_per_user")
        return max(1.0, per_user.yy / per_user.y) if per_user.y else 1.0


def _quantile(
    q: float, sides: Mapping[str, Histogram], design: Mapping[str, float], bound: float, scale: Scale
) -> LatencyReading:
    read: dict[str, Interval] = {}
    for group, values in sides.items():
        try:
            read[group] = quantiles.interval(values, q, scale.confidence, design=design[group], bound=bound)
        except NotEnough:
            return LatencyReading(quantile=q)
    more = quantiles.difference(read["control"], read["test"])
    control, test, difference = (
        Range(estimate=each.estimate, low=each.low, high=each.high) for each in (read["control"], read["test"], more)
    )
    return LatencyReading(quantile=q, control=control, test=test, difference=difference)
