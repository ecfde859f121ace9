"""What a plan can show, before it starts: from what users did in the platform's last days, as long as the plan is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from itertools import accumulate

from contracts.assignment import CONTROL
from contracts.experiments import Plan
from contracts.reports import LiftPlan, Reach
from experiments import planning
from experiments.corrections import bonferroni_confidence
from experiments.effects import NotEnough
from experiments.ratios import RatioSums
from sqlalchemy import Connection

from feature_service.database.queries import query
from feature_service.reports.aggregates import UserSums
from feature_service.reports.metric_sums import SUMMED_TOGETHER

LIFTS = (0.01, 0.02, 0.05, 0.1, 0.2)
_REACH = query(__package__, "reach")
_NEWCOMERS = query(__package__, "newcomers")


def reach(connection: Connection, plan: Plan, now: datetime) -> Reach:
    """By full days before now. Whoever took part in any experiment counts, as far as the plan enrols."""
    until = now.date()
    days = {"since": until - timedelta(days=plan.rules.days), "until": until}
    if plan.rules.primary not in SUMMED_TOGETHER:
        why = f"the platform's past is kept for {', '.join(SUMMED_TOGETHER)} alone"
        return Reach(metric=plan.rules.primary, rate=None, days=0, why=why)
    row = dict(connection.execute(_REACH, days | {"winsorised": plan.rules.winsorised}).mappings().one())
    came = {each.first: each.users for each in connection.execute(_NEWCOMERS, days)}
    sums = UserSums(row.pop("users"), {name: float(value or 0) for name, value in row.items()})
    return reached(plan, sums.ratios(plan.rules.primary), _so_far(came, until, plan.enrolment))


def reached(plan: Plan, past: RatioSums, users: Sequence[int]) -> Reach:
    """past: of users like those to come. users: so far, at the end of each day."""
    known = Reach(metric=plan.rules.primary, rate=None, days=len(users), users=list(users))
    weights = plan.ramp[-1].weights if plan.ramp else plan.weights
    control, test = weights.get(CONTROL, 0.0), min(weights.get(group, 0.0) for group in plan.compared)
    confidence = bonferroni_confidence(1 - plan.rules.alpha, len(plan.compared))
    try:
        rate = past.ratio
        lifts = [_lift(past, lift, control, test, confidence, users) for lift in LIFTS]
        groups = planning.Users(round(users[-1] * control), round(users[-1] * test))
        smallest = planning.minimal_effect(past, groups, confidence=confidence, looks="daily") / rate
    except (NotEnough, ValueError, IndexError, ZeroDivisionError):
        return known.model_copy(update={"why": "the platform's past says too little: nobody came, or nobody liked"})
    return known.model_copy(update={"rate": rate, "smallest_lift": smallest, "lifts": lifts})


def _lift(
    past: RatioSums, lift: float, control: float, test: float, confidence: float, users: Sequence[int]
) -> LiftPlan:
    """control, test: their shares; of several groups the smallest stands for all."""
    both = control + test
    needed = planning.users_needed(
        past, lift * past.ratio, confidence=confidence, test_share=test / both, looks="daily"
    )
    try:
        days = planning.days_needed(needed, [round(so_far * both) for so_far in users])
    except NotEnough:
        days = None
    return LiftPlan(lift=lift, users=round(needed.total / both), days=days)


def _so_far(came: dict[date, int], until: date, enrolment: float) -> list[int]:
    """From the first day on which anybody came."""
    if not came:
        return []
    first = min(came)
    daily = (came.get(first + timedelta(days=day), 0) for day in range((until - first).days))
    return [round(enrolment * so_far) for so_far in accumulate(daily)]
