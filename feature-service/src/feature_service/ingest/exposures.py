"""Exposures, assignments and shadows into Postgres: one statement a batch, and a repetition changes nothing.

A user's exposure is an assignment too: if the gateway died before it reported the assignment, the exposure stands in.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from contracts.degradation import FALLBACK_VERSION, RANKER_FAILED_LIKE, UNLOGGED, UNREACHABLE_LIKE
from contracts.experiments import Plan
from contracts.wire import Assigned, Exposure, Shadowed
from sqlalchemy import Connection

from feature_service.database.queries import query

_EXPOSURES = query(__package__, "exposures")
_DEFAULT_RULES = json.dumps([rule.model_dump() for rule in Plan().guardrails])
_FIXED = {
    "ranker_failed": RANKER_FAILED_LIKE,
    "unreachable": list(UNREACHABLE_LIKE),
    "fallback": FALLBACK_VERSION,
    "unlogged": f"%{UNLOGGED}%",
    "rules": _DEFAULT_RULES,
}
_ASSIGNMENTS = query(__package__, "assignments")
_SHADOWS = query(__package__, "shadows")


def record_exposures(connection: Connection, exposures: Sequence[Exposure]) -> None:
    if exposures:
        rows = _rows(exposure.model_dump(mode="json") for exposure in exposures)
        connection.execute(_EXPOSURES, rows | _FIXED)


def record_assignments(connection: Connection, assigned: Sequence[Assigned], exposures: Sequence[Exposure]) -> None:
    """Earlier views and likes are counted from `feed_data` as it is now: the events of the batch must be in it."""
    rows = [each.model_dump(mode="json") for each in assigned]
    rows += [
        {
            "experiment": exposure.experiment,
            "user_id": exposure.user_id,
            "weight_period": exposure.weight_period,
            "group": exposure.group,
            "at": exposure.served_at.isoformat(),
        }
        for exposure in exposures
    ]
    if rows:
        connection.execute(_ASSIGNMENTS, _rows(rows))


def record_shadows(connection: Connection, shadows: Sequence[Shadowed]) -> None:
    if shadows:
        connection.execute(_SHADOWS, _rows(shadow.model_dump(mode="json") for shadow in shadows))


def _rows(rows: Iterable[dict[str, Any]]) -> dict[str, str]:
    return {"rows": json.dumps(list(rows))}
