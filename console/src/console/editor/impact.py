"""How many users would see another model after a change: by the bucket tables, before anybody is moved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from contracts.assignment import BUCKETS, GROUPS
from contracts.experiments import Experiment, Outcome, Plan, periods
from contracts.reports import Report

OTHERWISE = "control"
"""The ranker of whoever is in no experiment."""


@dataclass(frozen=True, slots=True)
class Serving:
    """Who serves whom. by_letter: what a user of each group sees; buckets: of those who take part."""

    buckets: range
    enrolment_salt: str
    group_salt: str
    table: str
    by_letter: Mapping[str, str]
    otherwise: str = OTHERWISE


NOBODY = Serving(range(0), "", "", "", {})


def serving(experiment: Experiment | None, now: datetime) -> Serving:
    """As it is. An experiment that does not run serves nobody."""
    if experiment is None or experiment.state != "running" or not experiment.periods:
        return NOBODY
    table = experiment.periods[experiment.period(now)].table
    return _serving(experiment.plan, experiment.enrolment_salt, experiment.group_salt, table)


def serving_by(name: str, plan: Plan, before: Experiment | None, now: datetime) -> Serving:
    """As it would be if the plan ran from now on."""
    earlier = before.periods if before is not None and before.state == "running" else []
    if earlier and before is not None and (plan.weights, plan.ramp) == (before.plan.weights, before.plan.ramp):
        table = earlier[before.period(now)].table  # unchanged weights open no new period
    else:
        made = periods(plan, now, earlier)
        table = next(period.table for period in reversed(made) if period.starts_at <= now)
    after = Experiment(name=name, plan=plan)
    return _serving(plan, after.enrolment_salt, after.group_salt, table)


def after_decision(outcome: Outcome) -> Serving:
    return Serving(range(0), "", "", "", {}, "test" if outcome == "ship" else OTHERWISE)


def share_moved(before: Serving, after: Serving) -> float:
    """Of all users. Buckets by different salts are independent of each other."""
    share = 0.0
    for (was_in, is_in), enrolled in _enrolment(before, after).items():
        for (was, now), weight in _groups(before, after).items():
            seen_before = before.by_letter.get(was, before.otherwise) if was_in else before.otherwise
            seen_after = after.by_letter.get(now, after.otherwise) if is_in else after.otherwise
            share += enrolled * weight * (seen_before != seen_after)
    return share


def users_known(report: Report | None) -> int | None:
    """About how many users there are, estimated from those assigned so far; None before anybody is."""
    if report is None:
        return None
    part = len(report.experiment.plan.slice) / BUCKETS
    met = sum(group.assigned for group in report.groups)
    return round(met / part) if part and met else None


def said(share: float, users: int | None) -> str:
    if share < 1e-9:
        return "No user would change model."
    if users is None:
        return f"About {share * 100:.3g}% of users would change model."
    moved = round(share * users)
    about = round(moved, -2) if moved >= 1000 else moved
    return f"About {about:,} users would change model, {share * 100:.3g}% of the {users:,} seen so far."


def _serving(plan: Plan, enrolment_salt: str, group_salt: str, table: str) -> Serving:
    by_letter = {
        str(place): {"shadow": "control", "interleave": "both"}.get(plan.mode, plan.rankers.get(group, OTHERWISE))
        for place, group in enumerate(GROUPS)
    }
    return Serving(plan.slice, enrolment_salt, group_salt, table, by_letter)


def _enrolment(before: Serving, after: Serving) -> dict[tuple[bool, bool], float]:
    was, now = len(before.buckets) / BUCKETS, len(after.buckets) / BUCKETS
    both = was * now
    if before.enrolment_salt == after.enrolment_salt:
        both = len(range(max(before.buckets.start, after.buckets.start), min(before.buckets.stop, after.buckets.stop)))
        both /= BUCKETS
    return {
        (True, True): both,
        (True, False): was - both,
        (False, True): now - both,
        (False, False): 1 - was - now + both,
    }


def _groups(before: Serving, after: Serving) -> dict[tuple[str, str], float]:
    if before.table and before.group_salt == after.group_salt and after.table:
        pairs = Counter(zip(before.table, after.table, strict=True))
        return {pair: number / BUCKETS for pair, number in pairs.items()}
    return {
        (was, now): first * second
        for was, first in _letters(before.table).items()
        for now, second in _letters(after.table).items()
    }


def _letters(table: str) -> dict[str, float]:
    return {letter: number / len(table) for letter, number in Counter(table).items()} if table else {"": 1.0}
