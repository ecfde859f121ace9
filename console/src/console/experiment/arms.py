"""More than two groups: each against control, as the rows of one forest plot."""

from __future__ import annotations

from contracts import names, numbers
from contracts.numbers import UNKNOWN
from contracts.reports import Comparison, Report
from contracts.wire import Message

from console.experiment.rows import Kind
from console.scales import IntervalBar, bar, reach

KINDS: dict[str, Kind] = {"ship": "good", "roll_back": "bad", "split_failed": "bad", "too_early": "none"}


class Arm(Message):
    group: str
    ranker: str
    kind: Kind
    lift: str
    interval: str
    p_value: str
    verdict: str
    why: str
    bar: IntervalBar | None


class Arms(Message):
    ticks: list[str]
    rows: list[Arm]
    """Empty where one group alone is compared with control: the page's metrics say it all."""
    note: str


def arms_of(report: Report, held: bool) -> Arms:
    every = report.comparisons if report.others else []
    lifts = [one.metrics[0].always_valid for one in every if one.metrics]
    far = reach([lift for lift in lifts if lift is not None])
    half = round(far * 50, 6)
    alpha = report.experiment.plan.rules.alpha
    return Arms(
        ticks=[f"{numbers.MINUS}{half:g}%", "0", f"+{half:g}%"],
        rows=[_arm(report, one, far, held) for one in every],
        note=(
            f"{names.metric(report.experiment.plan.rules.primary)} of each group against control. All these "
            f"{numbers.level(alpha)} intervals hold at once, however often you look."
        ),
    )


def _arm(report: Report, one: Comparison, far: float, held: bool) -> Arm:
    primary = one.metrics[0] if one.metrics else None
    lift = None if held or primary is None else primary.always_valid
    plan = report.experiment.plan
    return Arm(
        group=one.group,
        ranker=plan.rankers.get(one.group, one.group),
        kind="none" if held else KINDS.get(one.verdict.kind, "unsure"),
        lift=numbers.percent(lift.estimate) if lift else UNKNOWN,
        interval=numbers.interval(lift) if lift else "",
        p_value=numbers.probability(primary.adjusted_p_value) if lift and primary else "",
        verdict=names.verdict(one.verdict.kind, plan.mode, one.group),
        why=one.verdict.reasons[0] if one.verdict.reasons else "",
        bar=bar(lift, -far, far) if lift else None,
    )
