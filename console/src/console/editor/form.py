"""An experiment's plan as the fields of a form, and in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal

from contracts.assignment import GROUPS
from contracts.experiments import Guardrail, Plan
from contracts.names import METRICS, MODES, guardrail
from contracts.wire import Message

FREE_WHILE_RUNNING = frozenset({"weight_control", "weight_test", "ramp", "forced", "enrolment", "ends_at"})
"""The enrolment only grows."""
LOCKED = "Changing this now would make the two groups unlike. Stop and start a new experiment."
WEIGHTS_WARNING = (
    "Changing weights now starts a new weight period: some users see another model from then on, and the split check "
    "goes by period. As few users move as arithmetic allows."
)
MOST_GUARDRAILS = 8

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
    locked: bool


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
    modes = choice("mode", dict(MODES.items()))
    split = [
        field("mode", "Mode", "select", options=modes),
        field("ranker_control", "Control’s ranker", "select", options=choice("ranker_control", rankers)),
        field("ranker_test", "Test’s ranker", "select", "The same twice makes an A/A.", choice("ranker_test", rankers)),
        field("weight_control", "Weight of control, %", "number"),
        field("weight_test", "Weight of test, %", "number"),
        field("ramp", "Ramp", "area", "Only for a ramp; one step a line: 2026-03-15T10:00 80 20 (control, test)."),
        field("exploration", "Exploration, %", "number", "Of answers, whose last slot holds a random candidate."),
    ]
    population = [
        field("layer", "Layer", hint="Experiments of one layer share no users."),
        field("enrolment_from", "Enrolled from, %", "number"),
        field("enrolment", "Enrolled share, %", "number", "Of the layer’s users."),
        field("enrolment_salt", "Enrolment salt", hint="Empty: the layer’s."),
        field("group_salt", "Group salt", hint="Empty: the experiment’s name. Never one that was used before."),
        field("forced", "Forced users", "area", "One a line: 200 test"),
        field("starts_at", "Starts at, UTC", "moment", "Empty: when it is started."),
        field("ends_at", "Ends at, UTC", "moment", "Empty: when it is stopped."),
    ]
    rules = [
        field("primary", "Primary metric", "select", options=choice("primary", metrics)),
        field("watched", "Watched metrics", "checks", options=watched),
        field("alpha", "Error rate, %", "number", "5 makes a 95% level."),
        field("min_users", "Least users per group", "number"),
        field("min_days", "Least days", "number"),
        field("days", "Days planned", "number"),
        field("join_hours", "Like counts for, hours", "number", "After its exposure."),
    ]
    said = {"lock": LOCKED if running else ""}
    return [
        Block(title="Split", note=WEIGHTS_WARNING if running else "", fields=split, locked=False),
        Block(title="Population and time", note=said["lock"], fields=population, locked=False),
        Block(title="Decision", note=said["lock"], fields=rules, locked=running),
    ]


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


def default_form() -> dict[str, str]:
    return form_of(Plan())


def said(plan: Plan) -> dict[str, str]:
    """Every field in words, for the review."""
    watched = ", ".join(METRICS[name].text for name in plan.watched)
    labels = {field.name: field.label for block in blocks_of({}, False) for field in block.fields}
    form, mode = form_of(plan), MODES[plan.mode]
    words = {label: form.get(name, "") for name, label in labels.items()}
    words |= {"Mode": mode, "Primary metric": METRICS[plan.rules.primary].text, "Watched metrics": watched}
    return words | {"Guardrails": "; ".join(_guard_words(guard) for guard in plan.guardrails)}


def _guard_words(guard: Guardrail) -> str:
    return f"{guardrail(guard.metric, guard.over_ms)}, limit {_points(guard.limit)}%"


def _points(share: float) -> str:
    return f"{round(share * 100, 6):g}"


def _moment(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M")
