"""The life of an experiment: draft, running, stopped, archived; and what may change in which state. Pure.

Weights and ramp, forced users, those left out, the end, and a wider enrolment may change while it runs; the rest is
locked by its start, because the decision rests on it. A stopped experiment no longer changes, except that a decision
may be recorded.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from chassis.errors import Conflict, InvalidParameter
from contracts.assignment import CONTROL, Group
from contracts.experiments import (
    Decision,
    Edit,
    Experiment,
    Pause,
    Plan,
    State,
    WeightPeriod,
    next_number,
    periods,
)
from contracts.layers import conflict

CHANGES_WHILE_RUNNING = {"weights", "ramp", "forced", "left_out", "ends_at", "enrolment"}
_NEXT: dict[State, set[State]] = {
    "draft": {"running", "archived"},
    "running": {"stopped"},
    "stopped": {"archived"},
    "archived": set(),
}
_DONE: dict[State, str] = {"running": "started", "stopped": "stopped", "archived": "archived"}


def created(name: str, edit: Edit, others: Iterable[Experiment], now: datetime) -> tuple[Experiment, str]:
    """A new experiment, and its description for the history. Raises InvalidParameter that names the field; Conflict."""
    if edit.revision:
        raise Conflict(f"there is no experiment {name} yet, so none of revision {edit.revision}", field="revision")
    if edit.plan is None:
        raise InvalidParameter(f"plan: the new experiment {name} needs one", field="plan")
    if edit.decision is not None or edit.state not in (None, "draft", "running"):
        raise Conflict("a new experiment can only be a draft or running", field="state")
    others = list(others)
    refuse_double_guardrails(edit.plan)
    draft = Experiment(name=name, plan=edit.plan)
    refuse_salts(draft, others)
    words = [f"created: {describe(edit.plan)}"]
    if edit.state == "running":
        draft = _started(draft, others, now, edit.reason)
        words.append("started")
    return draft, "; ".join(words)


def changed(
    current: Experiment, edit: Edit, others: Iterable[Experiment], now: datetime, run: int | None = None
) -> tuple[Experiment, str]:
    """The experiment after the edit, one revision on, and what changed, for the history: "" for nothing.

    run: the newest analysis run. Raises InvalidParameter that names the field; Conflict.
    """
    if edit.revision is not None and edit.revision != current.revision:
        raise Conflict(
            f"{current.name} is at revision {current.revision}, this save was made on {edit.revision}: read it again",
            field="revision",
        )
    others, words, new = list(others), list[str](), current
    if edit.plan is not None and edit.plan != current.plan:
        new, said = _planned(current, edit.plan, others, now, edit.reason)
        words.append(said)
    elif edit.plan is not None and (pause := paused(current, now)):
        raise Conflict(
            f"plan.weights: {current.name} pauses until {pause.until:%H:%M:%S}, its weights are these already: "
            "resume it to give test its traffic back now",
            field="plan.weights",
        )
    if edit.resume:
        new = resumed(new, now, edit.reason)
        words.append(f"resumed: {_weights(new.plan)}")
    if edit.decision is not None:
        new = _decided(new, edit, now, run)
        words.append(_decision_in_words(new))
    target = edit.state or new.state
    if target != new.state:
        if target not in _NEXT[new.state]:
            raise Conflict(_why_not(new.state, target), field="state")
        new = _moved(new, target, others, now, edit.reason)
        words.append(_DONE[target])
    if not words:
        return current, ""
    return new.model_copy(update={"revision": current.revision + 1}), "; ".join(words)


def put_on_pause(experiment: Experiment, now: datetime, pause: Pause, reason: str) -> Experiment:
    """The traffic of the groups that it takes to control until it is resumed, testers' too; the plan stays as it is."""
    begun, current = [p for p in experiment.periods if p.starts_at < now], experiment.periods[experiment.period(now)]
    taken = [group for group in experiment.plan.compared if pause.takes(group)]
    letters = {ord(str(experiment.plan.groups.index(group))): "0" for group in taken}
    weights = {group: 0.0 if group in taken else current.weights.get(group, 0.0) for group in experiment.plan.groups}
    made = WeightPeriod(
        number=next_number(experiment.periods),
        starts_at=now,
        weights=weights | {CONTROL: 1 - sum(share for group, share in weights.items() if group != CONTROL)},
        table=current.table.translate(letters),
        reason=reason,
        pause=pause,
    )
    return experiment.model_copy(update={"periods": [*begun, made], "revision": experiment.revision + 1})


def resumed(experiment: Experiment, now: datetime, reason: str) -> Experiment:
    """The plan's weights again, by the tables of before: nobody has changed groups. Raises Conflict if none pauses."""
    if paused(experiment, now) is None:
        raise Conflict(f"{experiment.name} does not pause: there is nothing to resume", field="resume")
    return experiment.model_copy(update={"periods": periods(experiment.plan, now, experiment.periods, reason)})


def paused(experiment: Experiment, now: datetime) -> Pause | None:
    return experiment.pause(now) if experiment.state == "running" else None


def refuse_double_guardrails(plan: Plan) -> None:
    metrics = [rule.metric for rule in plan.guardrails]
    if double := next((metric for metric in metrics if metrics.count(metric) > 1), None):
        raise InvalidParameter(f"plan.guardrails: {double} stands there twice", field="plan.guardrails")


def refuse_salts(new: Experiment, others: Iterable[Experiment]) -> None:
    """A salt that was ever used would repeat an old split, and carry that experiment's effects into this one."""
    for other in others:
        if other.group_salt == new.group_salt:
            raise InvalidParameter(
                f"plan.group_salt: {new.group_salt} was used by {other.name}; its groups would repeat",
                field="plan.group_salt",
            )
        same_layer = other.plan.layer == new.plan.layer
        if same_layer and other.enrolment_salt != new.enrolment_salt:
            raise InvalidParameter(
                f"plan.enrolment_salt: {new.enrolment_salt}, but the layer {new.plan.layer} has "
                f"{other.enrolment_salt}; "
                "its slices are disjoint only by one salt",
                field="plan.enrolment_salt",
            )
        used = {other.group_salt} if same_layer else {other.group_salt, other.enrolment_salt}
        if new.enrolment_salt in used:
            raise InvalidParameter(
                f"plan.enrolment_salt: {new.enrolment_salt} was used by {other.name}", field="plan.enrolment_salt"
            )
        if new.group_salt == other.enrolment_salt:
            raise InvalidParameter(
                f"plan.group_salt: {new.group_salt} is the enrolment salt of {other.name}", field="plan.group_salt"
            )


def refuse_overlap(new: Experiment, others: Iterable[Experiment], now: datetime) -> None:
    """Among running experiments a layer's slices are disjoint, and only one layer decides what users see."""
    if (in_the_way := conflict(new.plan, others, now)) is not None:
        raise InvalidParameter(f"plan.{in_the_way.field}: {in_the_way.message}", field=f"plan.{in_the_way.field}")


def describe(plan: Plan) -> str:
    """`ab, weights control 50 %, test 50 %, enrolment 10 %`."""
    return f"{plan.mode}, {_weights(plan)}, enrolment {_percent(plan.enrolment)}"


def _decision_in_words(experiment: Experiment) -> str:
    decision = experiment.decision
    assert decision is not None
    said = f"decided: {decision.outcome.replace('_', ' ')}"
    return said if len(experiment.plan.compared) == 1 else f"{said} {decision.group}"


def _planned(
    current: Experiment, plan: Plan, others: list[Experiment], now: datetime, reason: str
) -> tuple[Experiment, str]:
    old = current.plan
    names = [name for name in Plan.model_fields if getattr(plan, name) != getattr(old, name)]
    if current.state in ("stopped", "archived"):
        raise Conflict(f"{current.name} is {current.state}: its plan is frozen", field=f"plan.{names[0]}")
    new = current.model_copy(update={"plan": plan})
    if current.state == "draft":
        refuse_double_guardrails(plan)
        refuse_salts(new, others)
        return new, f"{', '.join(names)}: {describe(plan)}"
    for name in names:
        if name not in CHANGES_WHILE_RUNNING:
            raise Conflict(
                f"plan.{name}: locked while {current.name} runs; stop it and start a new one", field=f"plan.{name}"
            )
    if plan.enrolment < old.enrolment:
        raise Conflict(
            f"plan.enrolment: from {_percent(old.enrolment)} it can only grow while {current.name} runs, "
            "so that nobody who takes part is lost",
            field="plan.enrolment",
        )
    if "ends_at" in names:
        _refuse_past_end(plan, now)
    if "enrolment" in names:
        refuse_overlap(new, others, now)
    if {"weights", "ramp"} & set(names):
        new = new.model_copy(update={"periods": periods(plan, now, current.periods, reason)})
    return new, "; ".join(_said(name, plan) for name in names)


def _said(name: str, plan: Plan) -> str:
    match name:
        case "weights":
            return _weights(plan)
        case "ramp":
            return f"ramp of {len(plan.ramp)} steps"
        case "forced":
            return f"{len(plan.forced)} users forced"
        case "left_out":
            heavy = plan.left_out.above_share
            above = f" and who has more than {_percent(heavy)} of the answers" if heavy else ""
            return f"left out of the analysis: {len(plan.left_out.users)} users{above}"
        case "enrolment":
            return f"enrolment {_percent(plan.enrolment)}"
        case _:
            return f"ends at {plan.ends_at:%Y-%m-%d %H:%M}" if plan.ends_at else "no end"


def _decided(experiment: Experiment, edit: Edit, now: datetime, run: int | None) -> Experiment:
    outcome = edit.decision
    assert outcome is not None
    if experiment.state not in ("running", "stopped"):
        raise Conflict(f"{experiment.name} is {experiment.state}: there is nothing to decide", field="decision")
    if experiment.decision is not None:
        raise Conflict(f"{experiment.name} was decided: {experiment.decision.outcome}", field="decision")
    group = _decided_group(experiment.plan, edit)
    if outcome == "ship" and not experiment.plan.is_seen:
        raise Conflict("nobody saw what a shadow ranker answered: nothing to ship on", field="decision")
    decision = Decision(outcome=outcome, group=group, at=now, by=edit.by, reason=edit.reason, run=run)
    update: dict[str, object] = {"decision": decision}
    if experiment.state == "running":
        update |= {"state": "stopped", "stopped_at": now}
    return experiment.model_copy(update=update)


def _decided_group(plan: Plan, edit: Edit) -> Group:
    """Raises InvalidParameter where several are compared and none is named, or one that is not compared."""
    if edit.group is None and len(plan.compared) == 1:
        return plan.compared[0]
    if edit.group in plan.compared:
        return edit.group
    wanted = "name the group that it is about" if edit.group is None else f"{edit.group} is not compared with control"
    raise InvalidParameter(f"group: {wanted}: {' or '.join(plan.compared)}", field="group")


def _moved(experiment: Experiment, target: State, others: list[Experiment], now: datetime, reason: str) -> Experiment:
    if target == "running":
        return _started(experiment, others, now, reason)
    if target == "stopped":
        return experiment.model_copy(update={"state": "stopped", "stopped_at": now})
    return experiment.model_copy(update={"state": target})


def _started(draft: Experiment, others: list[Experiment], now: datetime, reason: str) -> Experiment:
    _refuse_past_end(draft.plan, now)
    refuse_overlap(draft, others, now)
    schedule = periods(draft.plan, now, reason=reason)
    return draft.model_copy(update={"state": "running", "periods": schedule, "started_at": now})


def _refuse_past_end(plan: Plan, now: datetime) -> None:
    if plan.ends_at is not None and plan.ends_at <= now:
        raise InvalidParameter(f"plan.ends_at: {plan.ends_at.isoformat()} lies in the past", field="plan.ends_at")


def _why_not(state: State, target: State) -> str:
    if target == "running":
        return f"a {state} experiment does not run again: its result is frozen; start a new one"
    if target == "draft":
        return f"a {state} experiment is no draft any more"
    return (
        f"stop the experiment first: it is {state}" if state == "running" else f"a {state} experiment can't be {target}"
    )


def _weights(plan: Plan) -> str:
    return "weights " + ", ".join(f"{group} {_percent(share)}" for group, share in plan.weights.items())


def _percent(share: float) -> str:
    return f"{100 * share:g} %"
