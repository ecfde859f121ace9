"""An experiment's plan as a form: fields in words out of a plan, and a plan back out of what was typed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal, get_args

from contracts.assignment import GROUPS, Group
from contracts.experiments import Experiment, Guardrail, GuardrailMetric, Metric, Plan
from contracts.wire import Message
from pydantic import ValidationError

from console.experiment.naming import METRICS, MODES

FREE_WHILE_RUNNING = frozenset({"weight_control", "weight_test", "ramp", "enrolment", "ends_at"})
LOCKED = "Changing this now would make the two groups unlike. Stop and start a new experiment."
WEIGHTS_WARNING = (
    "Changing weights now starts a new weight period: some users see another model from then on, and the split check goes by "
    "period. As few users move as arithmetic allows."
)
MOST_GUARDRAILS = 8
GUARDRAIL_NAMES: dict[GuardrailMetric, str] = {
    "slow_share": "Slower than", "error_share": "Ranker failed", "fallback_share": "Answered by a fallback"
}  # fmt: skip

Kind = Literal["text", "number", "select", "area", "moment", "checks"]


class DraftError(ValueError):
    """field: of the form; message: what is wrong with it."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field, self.message = field, message


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
    """What stands in the fields, by name."""
    rules = plan.rules
    found = {
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
    found |= {f"watched_{name}": "on" for name in plan.watched}
    for place, guard in enumerate(plan.guardrails[:MOST_GUARDRAILS]):
        found[f"guard_{place}_metric"] = guard.metric
        found[f"guard_{place}_limit"] = _points(guard.limit)
        found[f"guard_{place}_over_ms"] = "" if guard.over_ms is None else f"{guard.over_ms:g}"
    return found


def blocks_of(form: Mapping[str, str], running: bool) -> list[Block]:
    """The form's fields with what was typed into them."""

    def field(name: str, label: str, kind: Kind = "text", hint: str = "", options: Sequence[Option] = ()) -> Field:
        locked = running and (name not in FREE_WHILE_RUNNING or (name == "ramp" and form.get("mode") != "ramp"))
        return Field(
            name=name, label=label, kind=kind, value=form.get(name, ""), hint=hint, options=list(options), locked=locked
        )

    def choice(name: str, found: Mapping[str, str]) -> list[Option]:
        return [Option(value=value, text=text, chosen=form.get(name) == value) for value, text in found.items()]

    rankers = {group: group for group in GROUPS}
    metrics = {name: found.text for name, found in METRICS.items()}
    watched = [
        Option(value=f"watched_{name}", text=text, chosen=f"watched_{name}" in form) for name, text in metrics.items()
    ]
    modes = choice("mode", {name: text for name, text in MODES.items()})
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
    """What is filled in, and one more to fill."""
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


def plan_of(form: Mapping[str, str], before: Experiment | None) -> Plan:
    """What is locked stays as it was. Raises DraftError with the field of the form."""
    if before is not None and before.state == "running":
        form = form_of(before.plan) | {name: form[name] for name in FREE_WHILE_RUNNING if name in form}
    given: dict[str, object] = {
        "mode": form.get("mode", "ab"),
        "rankers": {group: form.get(f"ranker_{group}", group) for group in GROUPS},
        "weights": {group: _share(form, f"weight_{group}") for group in GROUPS},
        "ramp": _ramp(form.get("ramp", "")),
        "layer": form.get("layer", "").strip() or "models",
        "enrolment_salt": form.get("enrolment_salt", "").strip() or None,
        "enrolment_from": _share(form, "enrolment_from"),
        "enrolment": _share(form, "enrolment"),
        "group_salt": form.get("group_salt", "").strip() or None,
        "forced": _forced(form.get("forced", "")),
        "starts_at": _time(form, "starts_at"),
        "ends_at": _time(form, "ends_at"),
        "exploration": _share(form, "exploration"),
        "watched": [name for name in get_args(Metric) if f"watched_{name}" in form],
        "guardrails": _guardrails(form),
        "rules": {
            "primary": form.get("primary", "hit_rate"),
            "alpha": _share(form, "alpha"),
            "min_users": _number(form, "min_users"),
            "min_days": _number(form, "min_days"),
            "days": _number(form, "days"),
            "join_hours": _number(form, "join_hours"),
        },
    }
    try:
        return Plan.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        message = first["msg"].removeprefix("Value error, ")
        raise DraftError(_field_of([str(part) for part in first["loc"]], message), message) from error


_BY_WORD = {
    "weights": "weight_test", "ramp": "ramp", "forced": "forced", "ends_at": "ends_at", "enrolment_from": "enrolment",
    "enrolment_salt": "enrolment_salt", "min_days": "min_days", "slow_share": "guard_0_over_ms",
}  # fmt: skip


def _field_of(place: Sequence[str], message: str) -> str:
    """The form's field that a fault of the plan belongs to."""
    parts = [part for part in place if part != "rules"]
    if parts and parts[0] == "guardrails" and len(parts) > 1:
        return f"guard_{parts[1]}_{parts[2] if len(parts) > 2 else 'over_ms'}"
    if parts and parts[0] in ("rankers", "weights"):
        return f"{parts[0].removesuffix('s')}_{parts[1] if len(parts) > 1 else 'test'}"
    if parts:
        return parts[0]
    return next((field for word, field in _BY_WORD.items() if message.startswith(word) or f" {word}" in message), "mode")


def _points(share: float) -> str:
    return f"{round(share * 100, 6):g}"


def _moment(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M")


def _number(form: Mapping[str, str], name: str) -> float:
    given = form.get(name, "").strip().replace(",", "")
    try:
        return float(given)
    except ValueError as error:
        raise DraftError(name, f"“{given[:40]}” is not a number") from error


def _share(form: Mapping[str, str], name: str) -> float:
    return round(_number(form, name) / 100, 10)


def _time(form: Mapping[str, str], name: str) -> datetime | None:
    given = form.get(name, "").strip()
    return _parsed(given, name) if given else None


def _parsed(given: str, field: str) -> datetime:
    try:
        at = datetime.fromisoformat(given)
    except ValueError as error:
        raise DraftError(field, f"“{given[:40]}” is not a time like 2026-03-15T10:00") from error
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def _ramp(given: str) -> list[dict[str, object]]:
    steps: list[dict[str, object]] = []
    for line in filter(None, map(str.strip, given.splitlines())):
        parts = line.split()
        if len(parts) != 3:
            raise DraftError("ramp", f"“{line[:60]}” is not a step like 2026-03-15T10:00 80 20")
        weights = {group: _share({"ramp": part}, "ramp") for group, part in zip(GROUPS, parts[1:], strict=True)}
        steps.append({"at": _parsed(parts[0], "ramp"), "weights": weights})
    return steps


def _forced(given: str) -> dict[int, Group]:
    forced: dict[int, Group] = {}
    for line in filter(None, map(str.strip, given.splitlines())):
        user, _, group = line.partition(" ")
        named = next((name for name in GROUPS if name == group.strip()), None)
        if not (user.isascii() and user.isdigit()) or named is None:
            raise DraftError("forced", f"“{line[:60]}” is not a user and a group like 200 test")
        forced[int(user)] = named
    return forced


def _guardrails(form: Mapping[str, str]) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    for row in guard_rows(form):
        if row.metric:
            over = _number(form, f"guard_{row.place}_over_ms") if row.over_ms.strip() else None
            found.append({"metric": row.metric, "limit": _share(form, f"guard_{row.place}_limit"), "over_ms": over})
    return found


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
    over = f" {guard.over_ms:g} ms" if guard.over_ms is not None else ""
    return f"{GUARDRAIL_NAMES[guard.metric]}{over}, limit {_points(guard.limit)}%"


