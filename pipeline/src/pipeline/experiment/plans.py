"""Plans from files and options."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from contracts.assignment import GROUPS, Group
from contracts.experiments import Edit, Plan
from pydantic import ValidationError

from pipeline.errors import LentaError
from pipeline.experiment.documents import first_fault, read_document


def read_plan(path: Path) -> Plan:
    """A TOML file (by its suffix) or JSON. Raises LentaError that names the field."""
    return plan_of(read_document(path, "--plan"), f"--plan {path}")


def plan_of(document: object, what: str) -> Plan:
    """Raises LentaError that names the field; what: where `document` comes from."""
    try:
        return Plan.model_validate(document)
    except ValidationError as error:
        raise LentaError(f"{what}: {first_fault(error)}") from error


def edit_of(**values: object) -> Edit:
    """Raises LentaError that names the option."""
    try:
        return Edit.model_validate(values)
    except ValidationError as error:
        raise LentaError(f"--{first_fault(error)}") from error


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
