"""A plan from what was typed into the form. All that is wrong is named, each by its field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from contracts.assignment import GROUPS, Group
from contracts.experiments import Experiment, Plan
from contracts.metrics import BUILT_IN
from pydantic import ValidationError

from console.editor.form import FREE_WHILE_RUNNING, form_of, guard_rows


class Fault(NamedTuple):
    """field: of the form; message: what is wrong with it."""

    field: str
    message: str


class DraftError(ValueError):
    """faults: one at least."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("; ".join(f"{fault.field}: {fault.message}" for fault in faults))
        self.faults = list(faults)


def plan_of(form: Mapping[str, str], before: Experiment | None) -> Plan:
    """What is locked stays as it was. Raises DraftError with everything that is wrong."""
    typed = _Typed(_unlocked(form, before))
    given = typed.plan()
    if before is not None:
        given |= {"metrics": before.plan.metrics, "watched": [*_names(given), *_own(before.plan)]}
    try:
        plan = Plan.model_validate(given)
    except ValidationError as error:
        raise DraftError(_once([*typed.faults, *map(_fault, error.errors())])) from error
    if typed.faults:
        raise DraftError(_once(typed.faults))
    return plan


def _unlocked(form: Mapping[str, str], before: Experiment | None) -> Mapping[str, str]:
    if before is None or before.state != "running":
        return form
    return form_of(before.plan) | {name: form[name] for name in FREE_WHILE_RUNNING if name in form}


def _own(plan: Plan) -> list[str]:
    """The watched metrics for which the form has no box."""
    return [name for name in plan.watched if name not in BUILT_IN]


def _names(given: Mapping[str, object]) -> list[str]:
    watched = given["watched"]
    assert isinstance(watched, list)
    return watched


def _once(faults: Sequence[Fault]) -> list[Fault]:
    """The first of each field: what it is later said to be lacks what could not be read."""
    return list({fault.field: fault for fault in reversed(faults)}.values())[::-1]


def _fault(error: Mapping[str, object]) -> Fault:
    place, message = error["loc"], str(error["msg"]).removeprefix("Value error, ")
    assert isinstance(place, tuple)
    return Fault(field_of([str(part) for part in place], message), message)


_BY_WORD = {
    "weights": "weight_test",
    "rule_sets": "rule_set_test", "ramp": "ramp", "forced": "forced", "ends_at": "ends_at", "enrolment_from": "enrolment",
    "enrolment_salt": "enrolment_salt", "min_days": "min_days", "primary": "primary", "slow_share": "guard_0_over_ms",
}  # fmt: skip


def field_of(place: Sequence[str], message: str = "") -> str:
    """The form's field that a fault of the plan belongs to; place: as in an error of the API, `plan.rules.alpha`."""
    parts = [part for part in place if part not in ("plan", "rules")]
    if parts and parts[0] == "guardrails" and len(parts) > 1:
        return f"guard_{parts[1]}_{parts[2] if len(parts) > 2 else 'over_ms'}"
    if parts and parts[0] in ("rankers", "rule_sets", "weights"):
        return f"{parts[0].removesuffix('s')}_{parts[1] if len(parts) > 1 else 'test'}"
    if parts:
        return parts[0]
    return next(
        (field for word, field in _BY_WORD.items() if message.startswith(word) or f" {word}" in message), "mode"
    )


class _Typed:
    """Reads the form. What cannot be read is a fault, and stands as the plan's default meanwhile."""

    def __init__(self, form: Mapping[str, str]) -> None:
        self._form, self._default, self.faults = form, form_of(Plan()), list[Fault]()

    def plan(self) -> dict[str, object]:
        """As `Plan` reads it."""
        return {
            "mode": self._text("mode", "ab"),
            "rankers": {group: self._text(f"ranker_{group}", group) for group in GROUPS},
            "weights": {group: self._share(f"weight_{group}") for group in GROUPS},
            "ramp": self._ramp(),
            "layer": self._text("layer", "models"),
            "enrolment_salt": self._text("enrolment_salt") or None,
            "enrolment_from": self._share("enrolment_from"),
            "enrolment": self._share("enrolment"),
            "group_salt": self._text("group_salt") or None,
            "forced": self._forced(),
            "starts_at": self._time("starts_at"),
            "ends_at": self._time("ends_at"),
            "exploration": self._share("exploration"),
            "rule_sets": {group: name for group in GROUPS if (name := self._text(f"rule_set_{group}"))},
            "watched": [
                name
                for name in BUILT_IN
                if f"watched_{name}" in self._form and name != self._text("primary", "hit_rate")
            ],
            "guardrails": self._guardrails(),
            "rules": self._rules(),
        }

    def _rules(self) -> dict[str, object]:
        numbers = ("min_users", "min_likers", "min_days", "days", "join_hours")
        planned = self._number("planned_users") if self._text("planned_users") else None
        return {
            "primary": self._text("primary", "hit_rate"),
            "alpha": self._share("alpha"),
            "winsorised": self._share("winsorised"),
            "planned_users": planned,
            **{name: self._number(name) for name in numbers},
        }

    def _text(self, name: str, default: str = "") -> str:
        return self._form.get(name, "").strip() or default

    def _number(self, name: str) -> float:
        given = self._text(name).replace(",", "")
        try:
            return float(given)
        except ValueError:
            self._wrong(name, f"“{given[:40]}” is not a number")
            return float(self._default.get(name) or 0)

    def _share(self, name: str) -> float:
        return round(self._number(name) / 100, 10)

    def _time(self, name: str) -> datetime | None:
        return self._parsed(given, name) if (given := self._text(name)) else None

    def _parsed(self, given: str, field: str) -> datetime | None:
        try:
            at = datetime.fromisoformat(given)
        except ValueError:
            self._wrong(field, f"“{given[:40]}” is not a time like 2026-03-15T10:00")
            return None
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)

    def _ramp(self) -> list[dict[str, object]]:
        return [step for line in self._lines("ramp") if (step := self._step(line))]

    def _step(self, line: str) -> dict[str, object] | None:
        at, *shares = line.split()
        try:
            weights = {group: round(float(share) / 100, 10) for group, share in zip(GROUPS, shares, strict=True)}
        except ValueError:
            self._wrong("ramp", f"“{line[:60]}” is not a step like 2026-03-15T10:00 80 20")
            return None
        moment = self._parsed(at, "ramp")
        return {"at": moment, "weights": weights} if moment else None

    def _forced(self) -> dict[int, Group]:
        forced: dict[int, Group] = {}
        for line in self._lines("forced"):
            user, _, group = line.partition(" ")
            named = next((name for name in GROUPS if name == group.strip()), None)
            if not (user.isascii() and user.isdigit()) or named is None:
                self._wrong("forced", f"“{line[:60]}” is not a user and a group like 200 test")
            else:
                forced[int(user)] = named
        return forced

    def _guardrails(self) -> list[dict[str, object]]:
        return [
            {
                "metric": row.metric,
                "limit": self._share(f"guard_{row.place}_limit"),
                "over_ms": self._number(f"guard_{row.place}_over_ms") if row.over_ms.strip() else None,
            }
            for row in guard_rows(self._form)
            if row.metric
        ]

    def _lines(self, name: str) -> list[str]:
        return [line for line in map(str.strip, self._form.get(name, "").splitlines()) if line]

    def _wrong(self, field: str, message: str) -> None:
        self.faults.append(Fault(field, message))
