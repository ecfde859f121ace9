"""An experiment's plan as the fields of a form: the essentials, and folded below them the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal

from contracts import numbers
from contracts.assignment import BUCKETS, GROUPS
from contracts.experiments import Experiment, Plan
from contracts.layers import free, planned_end
from contracts.names import METRICS, MODES
from contracts.wire import Message

FREE_WHILE_RUNNING = frozenset({"weight_control", "weight_test", "ramp", "forced", "enrolment", "ends_at"})
"""The enrolment only grows."""
LOCKED_CORE = "Metric, mode and days are locked, as are the rules below."
LOCKED_SPLIT = (
    "What is grey is locked: it says who is in which group and what that group sees, and changing it now would make the "
    "two groups unlike. Stop, and start a new experiment."
)
LOCKED_RULES = (
    "These rules are locked: they were written before the start. A rule that is chosen after seeing the data is no longer "
    "wrong as seldom as it says. Stop, and start a new experiment."
)
WEIGHTS_WARNING = (
    "Changing weights now starts a new weight period: some users see another model from then on, and the split check "
    "goes by period. As few users move as arithmetic allows."
)
MOST_GUARDRAILS, MOST_NAMED = 8, 3

Kind = Literal["text", "number", "select", "area", "moment", "checks"]


class Option(Message):
    value: str
    text: str
    chosen: bool


class Field(Message):
    name: str
    label: str
    kind: Kind
    value: str = ""
    hint: str = ""
    options: list[Option] = []
    locked: bool = False


class Block(Message):
    title: str
    note: str = ""
    fields: list[Field]
    open: bool = True
    """Shown at once; folded otherwise."""


def form_of(plan: Plan) -> dict[str, str]:
    """The fields' values, by name."""
    rules = plan.rules
    fields = {
        "mode": plan.mode,
        "ranker_control": plan.rankers.get("control", "control"),
        "ranker_test": plan.rankers.get("test", "test"),
        "weight_control": _points(plan.weights.get("control", 0.0)),
        "weight_test": _points(plan.weights.get("test", 0.0)),
        "ramp": "\n".join(
            f"{_moment(step.at)} {_points(step.weights.get('control', 0.0))} {_points(step.weights.get('test', 0.0))}"
            for step in plan.ramp
        ),
        "exploration": _points(plan.exploration),
        **{f"rule_set_{group}": plan.rule_sets.get(group, "") for group in GROUPS},
        "layer": plan.layer,
        "enrolment_from": _points(plan.enrolment_from),
        "enrolment": _points(plan.enrolment),
        "enrolment_salt": plan.enrolment_salt or "",
        "group_salt": plan.group_salt or "",
        "forced": "\n".join(f"{user} {group}" for user, group in plan.forced.items()),
        "starts_at": _moment(plan.starts_at) if plan.starts_at else "",
        "ends_at": _moment(plan.ends_at) if plan.ends_at else "",
        "primary": rules.primary,
        "alpha": _points(rules.alpha),
        "min_users": str(rules.min_users),
        "min_likers": str(rules.min_likers),
        "planned_users": "" if rules.planned_users is None else str(rules.planned_users),
        "winsorised": _points(rules.winsorised),
        "min_days": str(rules.min_days),
        "days": str(rules.days),
        "join_hours": f"{rules.join_hours:g}",
    }
    fields |= {f"watched_{name}": "on" for name in plan.watched}
    for place, guard in enumerate(plan.guardrails[:MOST_GUARDRAILS]):
        fields[f"guard_{place}_metric"] = guard.metric
        fields[f"guard_{place}_limit"] = _points(guard.limit)
        fields[f"guard_{place}_over_ms"] = "" if guard.over_ms is None else f"{guard.over_ms:g}"
    return fields


def blocks_of(form: Mapping[str, str], running: bool) -> list[Block]:
    """The form's fields with what was typed into them."""

    def field(name: str, label: str, kind: Kind = "text", hint: str = "", options: Sequence[Option] = ()) -> Field:
        locked = running and (name not in FREE_WHILE_RUNNING or (name == "ramp" and form.get("mode") != "ramp"))
        return Field(
            name=name, label=label, kind=kind, value=form.get(name, ""), hint=hint, options=list(options), locked=locked
        )

    def choice(name: str, texts: Mapping[str, str]) -> list[Option]:
        return [Option(value=value, text=text, chosen=form.get(name) == value) for value, text in texts.items()]

    rankers: dict[str, str] = {group: group for group in GROUPS}
    metrics: dict[str, str] = {name: metric.text for name, metric in METRICS.items()}
    watched = [
        Option(value=f"watched_{name}", text=text, chosen=f"watched_{name}" in form) for name, text in metrics.items()
    ]
    essentials = [
        field("primary", "Primary metric", "select", "It alone decides.", choice("primary", metrics)),
        field("mode", "Mode", "select", options=choice("mode", dict(MODES.items()))),
        field("days", "Days planned", "number", "What is unclear by then keeps control."),
        field("weight_control", "Weight of control, %", "number"),
        field("weight_test", "Weight of test, %", "number"),
        field("enrolment", "Enrolled users, %", "number", "Of the layer’s users."),
    ]
    schedule = [
        field("ranker_control", "Control’s ranker", "select", options=choice("ranker_control", rankers)),
        field("ranker_test", "Test’s ranker", "select", "The same twice makes an A/A.", choice("ranker_test", rankers)),
        field("exploration", "Exploration, %", "number", "Of answers, whose last slot holds a random candidate."),
        field("rule_set_control", "Control’s rule set", hint="Empty: default."),
        field("rule_set_test", "Test’s rule set", hint="Empty: default."),
        field("ramp", "Ramp", "area", "Only for a ramp; one step a line: 2026-03-15T10:00 80 20 (control, test)."),
        field("starts_at", "Starts at, UTC", "moment", "Empty: when it is started."),
        field("ends_at", "Ends at, UTC", "moment", "Empty: when it is stopped."),
    ]
    population = [
        field("layer", "Layer", hint="Experiments of one layer share no users."),
        field("enrolment_from", "Enrolled from, %", "number", "Where its slice of the layer begins."),
        field("enrolment_salt", "Enrolment salt", hint="Empty: the layer’s."),
        field("group_salt", "Group salt", hint="Empty: the experiment’s name. Never one that was used before."),
        field("forced", "Testers", "area", "Users in a group by force, left out of the report. One a line: 200 test"),
    ]
    rules = [
        field("min_days", "Days at least", "number", "Before it can be shipped."),
        field("min_users", "Users per group at least", "number", "Before the primary is read."),
        field("min_likers", "Likers per group at least", "number", "Users on whom the likes stand, however spread."),
        field("planned_users", "Users planned", "number", "Of both groups by the end. Empty: by users and days above."),
        field("alpha", "Error rate, %", "number", "5 makes a 95% level."),
        field("winsorised", "Users in full, %", "number", "The heaviest rest count no more than the next. 100: all."),
        field("join_hours", "Hours in which a like counts", "number", "After its exposure."),
        field("watched", "Watched metrics", "checks", options=watched),
    ]
    return [
        Block(title="What is tried", note=f"{WEIGHTS_WARNING} {LOCKED_CORE}" if running else "", fields=essentials),
        Block(title="Rankers and schedule", note=LOCKED_SPLIT if running else "", fields=schedule, open=False),
        Block(title="Who takes part", note=LOCKED_SPLIT if running else "", fields=population, open=False),
        Block(title=DECISION, note=LOCKED_RULES if running else "", fields=rules, open=False),
    ]


DECISION = "When it is decided"
"""The block that the guardrails belong to."""


def beside_of(running: Sequence[Experiment]) -> str | None:
    """What a new plan meets beside those that run, and how it can start."""
    plan = Plan()
    mine = [one for one in running if one.plan.layer == plan.layer]
    if not mine:
        return None
    names = ", ".join(one.name for one in mine[:MOST_NAMED])
    if len(mine) > MOST_NAMED:
        names += f" and {len(mine) - MOST_NAMED} more"
    if gaps := free(plan.layer, running):
        share = max(map(len, gaps)) / BUCKETS
        return f"Beside {names}, {numbers.limit(share)} of the users of the layer {plan.layer} are free: this draft takes them."
    ends = min((at for one in mine if (at := planned_end(one))), default=None)
    when = f", planned for {numbers.date_and_clock(ends)}" if ends else ""
    return (
        f"All users of the layer {plan.layer} take part in {names}. What users see can start when one has ended{when}; a "
        "shadow, which nobody sees, can start beside it in a layer of its own."
    )


class GuardRow(Message):
    place: int
    metric: str
    limit: str
    over_ms: str


def guard_rows(form: Mapping[str, str]) -> list[GuardRow]:
    """The rows that are filled in, and one more to fill."""
    rows = [
        GuardRow(
            place=place,
            metric=form.get(f"guard_{place}_metric", ""),
            limit=form.get(f"guard_{place}_limit", ""),
            over_ms=form.get(f"guard_{place}_over_ms", ""),
        )
        for place in range(MOST_GUARDRAILS)
    ]
    used = max((row.place for row in rows if row.metric), default=-1)
    return rows[: used + 2]


def default_form(running: Sequence[Experiment] = ()) -> dict[str, str]:
    """Beside running experiments, the largest slice of the layer that is free, where one is."""
    plan = Plan()
    if gaps := free(plan.layer, running):
        gap = max(gaps, key=len)
        plan = Plan(enrolment_from=gap.start / BUCKETS, enrolment=len(gap) / BUCKETS)
    return form_of(plan)


def _points(share: float) -> str:
    return f"{round(share * 100, 6):g}"


def _moment(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M")
