"""Plans from files and options."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from contracts.assignment import GROUPS, Group
from contracts.experiments import Edit, Plan
from pydantic import ValidationError

from pipeline.errors import LentaError


def read_plan(path: Path) -> Plan:
    """A TOML file (by its suffix) or JSON. Raises LentaError that names the field."""
    try:
        text = path.read_text("utf-8")
        document: Any = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except OSError as error:
        raise LentaError(f"--plan {path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise LentaError(f"--plan {path}: {error}") from error
    return plan_of(document, f"--plan {path}")


def plan_of(document: object, what: str) -> Plan:
    """Raises LentaError that names the field; what: where `document` comes from."""
    try:
        return Plan.model_validate(document)
    except ValidationError as error:
        raise LentaError(f"{what}: {_first(error)}") from error


def edit_of(**values: object) -> Edit:
    """Raises LentaError that names the option."""
    try:
        return Edit.model_validate(values)
    except ValidationError as error:
        raise LentaError(f"--{_first(error)}") from error


def _first(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"]))
    message = first["msg"].removeprefix("Value error, ")
    return f"{where}: {message}" if where else message


def changed(plan: Plan, what: str, **values: object) -> Plan:
    """Validated again as a whole. Raises LentaError."""
    return plan_of({**plan.model_dump(mode="json"), **values}, what)


def weights_of(words: Sequence[str], groups: Sequence[Group] = GROUPS) -> dict[Group, float]:
    """`control=0.3 test=0.7`. groups: the plan's. Raises LentaError for anything else."""
    weights: dict[Group, float] = {}
    for word in words:
        name, _, value = word.partition("=")
        group = next((known for known in groups if known == name), None)
        try:
            share = float(value)
        except ValueError as error:
            raise LentaError(f"{word}: a group and its share are needed, like control=0.3 test=0.7") from error
        if group is None:
            raise LentaError(f"{word}: there is no group {name}; there are {' and '.join(groups)}")
        weights[group] = share
    return weights
