"""What a change would do: before and after, and how many users it would move."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from contracts.experiments import Edit, Experiment, Outcome, Plan, State
from contracts.layers import conflict
from contracts.names import OUTCOMES
from contracts.numbers import UNKNOWN
from contracts.plan_words import plan_in_words
from contracts.reports import Report
from contracts.wire import Message

from console.editor import impact
from console.editor.draft import DraftError, Fault

ACTS: dict[str, tuple[State | None, Outcome | None]] = {
    "start": ("running", None),
    "resume": (None, None),
    "stop": ("stopped", None),
    "archive": ("archived", None),
    "ship": (None, "ship"),
    "keep_control": (None, "keep_control"),
    "roll_back": (None, "roll_back"),
}
ACT_WORDS: dict[str, str] = {
    "start": "Start: users are split from now on",
    "resume": "Resume: test gets its traffic back before the pause is over",
    "stop": "Stop: nobody is assigned any more, everybody gets control’s ranker",
    "archive": "Archive: stays readable",
    **dict(OUTCOMES.items()),
}
BY_STATE: dict[State, tuple[str, ...]] = {
    "draft": ("start", "archive"),
    "running": ("resume", "ship", "keep_control", "roll_back", "stop"),
    "stopped": ("ship", "keep_control", "roll_back", "archive"),
    "archived": (),
}
LEAST_REASON = 3


class ChangedField(Message):
    label: str
    before: str
    after: str


class Review(Message):
    name: str
    is_new: bool
    lines: list[ChangedField]
    moved: str
    warning: str | None
    edit: str
    """The change itself, as JSON."""
    reason: str


def acts(experiment: Experiment | None) -> dict[str, str]:
    """What may be done now, in words. A decision is made once."""
    if experiment is None:
        return {}
    names = [name for name in BY_STATE[experiment.state] if name != "resume" or experiment.paused]
    decided, seen = experiment.decision is not None, experiment.plan.is_seen
    return {
        name: ACT_WORDS[name]
        for name in names
        if not (decided and name in OUTCOMES) and (seen or name != "ship")  # nobody saw what a shadow would ship
    }


def review_plan(
    name: str, before: Experiment | None, plan: Plan, form: Mapping[str, str], report: Report | None, now: datetime,
    others: Iterable[Experiment] = (),
) -> Review:  # fmt: skip
    """others: that run. Raises DraftError when nothing is changed or the reason is missing."""
    reason, by = reason_of(form)
    if before is not None and plan == before.plan:
        raise DraftError([Fault("reason", "nothing is changed")])
    old = plan_in_words(before) if before is not None else {}
    new = plan_in_words(Experiment(name=name, plan=plan))
    lines = [
        ChangedField(label=label, before=old.get(label, "") or UNKNOWN, after=value or UNKNOWN)
        for label, value in new.items()
        if old.get(label, "") != value
    ]
    running = before is not None and before.state == "running"
    share = (
        impact.share_moved(impact.serving(before, now), impact.serving_by(name, plan, before, now)) if running else 0.0
    )
    moved = impact.said(share, impact.users_known(report)) if running else "No user changes model before it starts."
    warning = None if running else _not_yet(plan, others, now)
    if running and before is not None and (plan.weights, plan.ramp) != (before.plan.weights, before.plan.ramp):
        warning = "This starts a new weight period: the split check and the analysis go by period from now on."
    edit = Edit(plan=plan, reason=reason, by=by, revision=None if before is None else before.revision)
    return Review(
        name=name, is_new=before is None, lines=lines, moved=moved, warning=warning,
        edit=edit.model_dump_json(exclude_unset=True), reason=reason,
    )  # fmt: skip


def _not_yet(plan: Plan, others: Iterable[Experiment], now: datetime) -> str | None:
    """Why what is planned could not start now."""
    in_the_way = conflict(plan, others, now)
    return f"It cannot start now: {in_the_way.message}." if in_the_way else None


def review_act(
    before: Experiment, act: str, form: Mapping[str, str], report: Report | None, now: datetime,
    others: Iterable[Experiment] = (),
) -> Review:  # fmt: skip
    """others: that run. Raises DraftError for what this state does not allow, and without a reason."""
    if act not in acts(before):
        raise DraftError([Fault("act", "choose what to do")])
    reason, by = reason_of(form, "act_reason")
    state, outcome = ACTS[act]
    serving = impact.serving(before, now)
    after = impact.after_decision(outcome) if outcome else impact.NOBODY
    if act == "start":
        after = impact.serving_by(before.name, before.plan, before, now)
    if act == "resume":  # as in the period before the pause
        after = impact.serving(before.model_copy(update={"periods": before.periods[:-1]}), now)
    moved = impact.share_moved(serving, after) if act != "archive" else 0.0
    lines = [ChangedField(label="State", **_states(before, act, state))]
    if outcome is not None:
        lines.append(ChangedField(label="Decision", before=UNKNOWN, after=OUTCOMES[outcome]))
    given: dict[str, object] = {"reason": reason, "by": by, "revision": before.revision}
    given |= {"state": state} if state else {"decision": outcome} if outcome else {"resume": True}
    return Review(
        name=before.name, is_new=False, lines=lines, moved=impact.said(moved, impact.users_known(report)),
        warning=_not_yet(before.plan, others, now) if act == "start" else None,
        edit=Edit.model_validate(given).model_dump_json(exclude_unset=True), reason=reason,
    )  # fmt: skip


def _states(before: Experiment, act: str, state: State | None) -> dict[str, str]:
    if act == "resume":
        return {"before": "Test’s traffic pauses", "after": "Test gets its traffic"}
    return {"before": before.state.capitalize(), "after": (state or "stopped").capitalize()}


def reason_of(form: Mapping[str, str], field: str = "reason") -> tuple[str, str]:
    reason = form.get(field, "").strip()
    if not LEAST_REASON <= len(reason) <= 500:
        raise DraftError([Fault(field, "say why, in 3 to 500 characters: it goes into the log")])
    return reason, form.get("by", "").strip()[:100] or "admin"
