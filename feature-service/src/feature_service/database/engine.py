"""Postgres, by SQLAlchemy over psycopg2."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import Engine, create_engine
from sqlalchemy.engine import make_url


def connect(postgres_url: str, *, pool_size: int = 2, connect_seconds: int = 2, statement_seconds: int = 0) -> Engine:
    """An engine for `postgresql://...`. statement_seconds: 0 for no limit."""
    return create_engine(
        make_url(postgres_url).set(drivername="postgresql+psycopg2"),
        pool_size=pool_size,
        max_overflow=0,
        pool_pre_ping=True,
        pool_timeout=connect_seconds,
        connect_args={
            "connect_timeout": connect_seconds,
            "options": f"-c timezone=UTC -c statement_timeout={statement_seconds * 1000}",
        },
    )


def naive(time: datetime) -> datetime:
    """UTC without zone, as the tables hold it."""
    return time.astimezone(UTC).replace(tzinfo=None)
