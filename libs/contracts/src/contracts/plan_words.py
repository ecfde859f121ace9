"""A plan in words: the same on a draft's page, in the editor's review and on the command line."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from contracts import numbers
from contracts.assignment import Group, in_order
from contracts.experiments import Experiment, Guardrail, Plan, Rules
from contracts.names import MODES, guardrail, metric, metric_name


def plan_in_words(experiment: Experiment) -> dict[str, str]:
    """By label, in the order in which one reads them; "" for what the plan does without."""
    plan, rules = experiment.plan, experiment.plan.rules
    return {
        "Mode": MODES[plan.mode],
        "Rankers": ", ".join(f"{group} gets {plan.rankers[group]}" for group in plan.groups if group in plan.rankers),
        "Weights": weights_in_words(plan.weights),
        "Ramp": "; ".join(f"{_moment(step.at)}: {weights_in_words(step.weights)}" for step in plan.ramp),
        "Enrolled": _enrolled(plan),
        "Starts": _moment(plan.starts_at),
        "Ends": _moment(plan.ends_at),
        "Primary metric": metric_name(rules.primary).text,
        "Watched": ", ".join(metric(name) for name in plan.watched),
        "Decides": _decides(rules),
        "Planned users": "" if rules.planned_users is None else f"{rules.planned_users:,}",
        "Guardrails": "; ".join(_guardrail(one) for one in plan.guardrails),
        "Likes": f"count for {rules.join_hours:g} hours after their exposure",
        "Heaviest users": _heaviest(rules),
        "Exploration": f"the last slot of {numbers.limit(plan.exploration)} of the answers" if plan.exploration else "",
        "Rule sets": ", ".join(f"{group} {plan.rule_set(group)}" for group in plan.rankers if plan.rule_sets),
        "Forced users": ", ".join(f"{user}: {group}" for user, group in plan.forced.items()),
        "Salts": f"{experiment.enrolment_salt}, {experiment.group_salt}",
    }


def weights_in_words(weights: Mapping[Group, float]) -> str:
    """`control 50%, test 50%`."""
    return ", ".join(f"{group} {numbers.limit(weights[group])}" for group in in_order(weights) if group in weights)


def _enrolled(plan: Plan) -> str:
    if plan.enrolment == 1:
        return f"all users of the layer {plan.layer}"
    since = f", from {numbers.limit(plan.enrolment_from)} on" if plan.enrolment_from else ""
    return f"{numbers.limit(plan.enrolment)} of the users of the layer {plan.layer}{since}"


def _decides(rules: Rules) -> str:
    return (
        f"{numbers.level(rules.alpha)} level, from {rules.min_days} of {rules.days} days, {rules.min_users:,} users "
        f"and {rules.min_likers:,} likers per group on"
    )


def _guardrail(one: Guardrail) -> str:
    return f"{guardrail(one.metric, one.over_ms)}, at most {numbers.limit_points(one.limit)} more than control"


def _heaviest(rules: Rules) -> str:
    rest = 1 - rules.winsorised
    return f"{numbers.share(rest)} of them count no more than the next" if rest else "count in full"


def _moment(at: datetime | None) -> str:
    return numbers.date_and_clock(at) if at else ""
