"""Profiles and histories, from Postgres. Runs in a worker thread: psycopg2 waits."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

from chassis.errors import InvalidParameter, NotFound, Unavailable
from contracts.wire import Exposure, FeedPage, FeedRow, User
from sqlalchemy import Engine, TextClause, text
from sqlalchemy.exc import DBAPIError, TimeoutError

from feature_service.database.queries import query

_USER = text(
    "SELECT user_id, age, gender, country, city, exp_group, os, source, own FROM user_data "
    "LEFT JOIN user_own USING (user_id) WHERE user_id = :id"
)
_EXPOSURE = query(__package__, "exposure")
_PAGE = """
SELECT timestamp, user_id, post_id, action, target FROM feed_data
WHERE {whose} = :id AND timestamp <= :before
ORDER BY timestamp DESC, {other} DESC, action DESC OFFSET :skip LIMIT :limit
"""
_PAGES = {
    "user": text(_PAGE.format(whose="user_id", other="post_id")),
    "post": text(_PAGE.format(whose="post_id", other="user_id")),
}
FAR = datetime(9999, 1, 1)  # noqa: DTZ001 - the tables hold UTC without zone


class History:
    """Raises Unavailable when Postgres is down."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def user(self, user_id: int) -> User:
        rows = self._ask(_USER, {"id": user_id})
        if not rows:
            raise NotFound(f"there is no user {user_id}")
        return User.model_validate(dict(rows[0]))

    def exposure(self, key: str) -> Exposure:
        rows = self._ask(_EXPOSURE, {"key": key})
        if not rows:
            raise NotFound(f"there is no exposure {key}")
        times = {name: rows[0][name].replace(tzinfo=UTC) for name in ("served_at", "asked_for")}
        return Exposure.model_validate(rows[0] | times)

    def feed(self, whose: Literal["user", "post"], number: int, limit: int, cursor: str | None) -> FeedPage:
        """Newest first. The cursor names the last row's time and how many rows of that time were given."""
        before, skip = parse_cursor(cursor)
        rows = self._ask(_PAGES[whose], {"id": number, "before": before, "skip": skip, "limit": limit + 1})
        page = [FeedRow(**{**row, "timestamp": row["timestamp"].replace(tzinfo=UTC)}) for row in rows[:limit]]
        if len(rows) <= limit:
            return FeedPage(rows=page)
        last = rows[limit - 1]["timestamp"]
        given = sum(row["timestamp"] == last for row in rows[:limit]) + (skip if last == before else 0)
        return FeedPage(rows=page, next_cursor=f"{last.isoformat()}+{given}")

    def _ask(self, statement: TextClause, values: dict[str, object]) -> list[dict[str, Any]]:
        try:
            with self._engine.connect() as connection:
                return [dict(row) for row in connection.execute(statement, values).mappings()]
        except (DBAPIError, TimeoutError) as error:
            raise Unavailable("the history does not answer; recommendations and events go on") from error


def parse_cursor(cursor: str | None) -> tuple[datetime, int]:
    """The time of the last row that was given, and how many rows of that time. Raises InvalidParameter."""
    if cursor is None:
        return FAR, 0
    try:
        time, skip = cursor.replace(" ", "+").rsplit("+", 1)
        if not (skip.isascii() and skip.isdigit() and len(skip) <= 9):
            raise ValueError(skip)
        return datetime.fromisoformat(time).replace(tzinfo=None), int(skip)
    except ValueError as error:
        raise InvalidParameter("cursor: not one that this call gave", field="cursor") from error
