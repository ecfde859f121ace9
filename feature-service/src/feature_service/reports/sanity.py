"""Every night an A/A of the platform's own traffic: nothing differs, so its p-values must be uniform.

The last two weeks' users are halved at random, 500 times; each half is compared with the other by the very statistics
of a report, and the p-values are held to the uniform distribution (Kohavi, Tang & Xu 2020, chapter 19). Halved are
cells of users, summed in Postgres, so that no user's row leaves it and a night costs one pass over the days.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import numpy as np
from contracts.reports import SanityCheck
from experiments.checks import resplit, uniformity
from experiments.effects import NotEnough
from experiments.ratios import RatioSums
from sqlalchemy import Connection, Engine, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from feature_service.database.queries import query

DAYS, CELLS, HALVINGS = 14, 2_000, 500
FEWEST_CELLS = 200
"""Below so many users' cells halves are too few to differ in many ways."""
KEPT = 60
BROKEN = 0.001
"""A p-value of the p-values below it is told as a warning: of sound nights one in a thousand."""
_CELLS = query(__package__, "cells")
_STORE = text("INSERT INTO sanity_checks (day, result) VALUES (:day, :result) ON CONFLICT DO NOTHING").bindparams(
    bindparam("result", type_=JSONB)
)
_DONE = text("SELECT EXISTS (SELECT FROM sanity_checks WHERE day = :day)")
_READ = text("SELECT result FROM sanity_checks ORDER BY day DESC LIMIT :kept")


def nightly(engine: Engine, now: datetime) -> SanityCheck | None:
    """Of the days before this one, once. None: it is done, or nobody came."""
    today = now.date()
    with engine.connect() as connection:
        if connection.execute(_DONE, {"day": today}).scalar_one():
            return None
        cells = _cells(connection, today)
    if not cells:
        return None
    made = checked(cells, today)
    with engine.begin() as connection:
        connection.execute(_STORE, {"day": today, "result": made.model_dump(mode="json")})
    return made


def stored(connection: Connection) -> list[SanityCheck]:
    """Newest first."""
    return [SanityCheck.model_validate(result) for result in connection.execute(_READ, {"kept": KEPT}).scalars()]


def checked(cells: Sequence[RatioSums], day: date) -> SanityCheck:
    """cells: of users who were all treated alike, as far as their groups go."""
    at = datetime(day.year, day.month, day.day, tzinfo=UTC)
    users = sum(cell.users for cell in cells)
    if len(cells) < FEWEST_CELLS:
        return SanityCheck(at=at, users=users, why=f"{users} users are too few to halve in many ways")
    try:
        p_values = resplit(cells, np.random.default_rng(day.toordinal()), HALVINGS)
    except NotEnough as error:
        return SanityCheck(at=at, users=users, why=str(error))
    result = uniformity(p_values)
    deciles = np.histogram(p_values, 10, (0.0, 1.0))[0].tolist()
    return SanityCheck(
        at=at, users=users, p_values=len(p_values), deciles=deciles, p=result.p, distance=result.distance
    )


def _cells(connection: Connection, today: date) -> list[RatioSums]:
    values = {"since": today - timedelta(days=DAYS), "until": today, "cells": CELLS, "salt": today.toordinal()}
    rows = connection.execute(_CELLS, values).all()
    return [RatioSums(row.users, row.y, row.x, row.yy, row.xx, row.xy) for row in rows]
