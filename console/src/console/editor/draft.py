"""A plan from what was typed into the form. Whatever is wrong is named by its field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import get_args

from contracts.assignment import GROUPS, Group
from contracts.experiments import Experiment, Metric, Plan
from pydantic import ValidationError

from console.editor.form import FREE_WHILE_RUNNING, form_of, guard_rows


class DraftError(ValueError):
    """field: of the form; message: what is wrong with it."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field, self.message = field, message


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
        raise DraftError(field_of([str(part) for part in first["loc"]], message), message) from error


_BY_WORD = {
    "weights": "weight_test", "ramp": "ramp", "forced": "forced", "ends_at": "ends_at", "enrolment_from": "enrolment",
    "enrolment_salt": "enrolment_salt", "min_days": "min_days", "primary": "primary", "slow_share": "guard_0_over_ms",
}  # fmt: skip


def field_of(place: Sequence[str], message: str = "") -> str:
    """The form's field that a fault of the plan belongs to; place: as in an error of the API, `plan.rules.alpha`."""
    parts = [part for part in place if part not in ("plan", "rules")]
    if parts and parts[0] == "guardrails" and len(parts) > 1:
        return f"guard_{parts[1]}_{parts[2] if len(parts) > 2 else 'over_ms'}"
    if parts and parts[0] in ("rankers", "weights"):
        return f"{parts[0].removesuffix('s')}_{parts[1] if len(parts) > 1 else 'test'}"
    if parts:
        return parts[0]
    return next(
        (field for word, field in _BY_WORD.items() if message.startswith(word) or f" {word}" in message), "mode"
    )


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
    guardrails: list[dict[str, object]] = []
    for row in guard_rows(form):
        if row.metric:
            over = _number(form, f"guard_{row.place}_over_ms") if row.over_ms.strip() else None
            guardrails.append(
                {"metric": row.metric, "limit": _share(form, f"guard_{row.place}_limit"), "over_ms": over}
            )
    return guardrails
