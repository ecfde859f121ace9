"""Migrations, run as a one-shot before anything else: `python -m feature_service.database.schema`."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from alembic import command
from alembic.config import Config
from chassis.settings import SettingsError
from sqlalchemy import text

from feature_service.database.engine import connect, naive
from feature_service.database.partitions import ensure_partitions
from feature_service.settings import Settings

MONTHS_AHEAD = timedelta(days=92)
_LOCK = text("SELECT pg_advisory_xact_lock(8001)")
"""Of two at once (two jobs of a rollout) the second waits, and has nothing left to do."""


def migrate(postgres_url: str, now: datetime | None = None) -> None:
    """Brings the database to this build's schema, with partitions for the coming months."""
    moment = naive(now or datetime.now(UTC))
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    engine = connect(postgres_url)
    try:
        with engine.begin() as connection:
            connection.execute(_LOCK)
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            ensure_partitions(connection, moment, moment + MONTHS_AHEAD)
    finally:
        engine.dispose()


def main() -> None:
    try:
        migrate(Settings.read().postgres_url)
    except SettingsError as error:
        sys.exit(f"feature-service: {error}")


if __name__ == "__main__":
    main()
