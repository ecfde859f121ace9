"""The tables in Postgres. `user_data`, `post_text_df` and `feed_data` have exactly the platform's columns.

Timestamps are UTC without time zone, as the platform dumps them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, SmallInteger, String, Text, func
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Table(DeclarativeBase):
    type_annotation_map = {datetime: TIMESTAMP(timezone=False), dict[str, Any]: JSONB, list[int]: JSONB}


class UserData(Table):
    __tablename__ = "user_data"

    user_id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    age: Mapped[int | None] = mapped_column(SmallInteger)
    gender: Mapped[int | None] = mapped_column(SmallInteger)
    country: Mapped[str | None] = mapped_column(Text)
    city: Mapped[str | None] = mapped_column(Text)
    exp_group: Mapped[int | None] = mapped_column(SmallInteger)
    os: Mapped[str | None] = mapped_column(Text)
    source: Mapped[str | None] = mapped_column(Text)


class PostText(Table):
    __tablename__ = "post_text_df"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    text: Mapped[str] = mapped_column(Text)
    topic: Mapped[str] = mapped_column(Text)


class FeedData(Table):
    """Partitioned by month. The platform's table has no key; the columns below only tell the ORM apart."""

    __tablename__ = "feed_data"
    __table_args__ = (
        Index("feed_data_user", "user_id", "timestamp"),
        Index("feed_data_post", "post_id", "timestamp"),
        {"postgresql_partition_by": "RANGE (timestamp)"},
    )
    __mapper_args__ = {"primary_key": ["timestamp", "user_id", "post_id", "action"]}

    timestamp: Mapped[datetime]
    user_id: Mapped[int] = mapped_column(Integer)
    post_id: Mapped[int] = mapped_column(Integer)
    action: Mapped[str] = mapped_column(String(4))
    target: Mapped[int | None] = mapped_column(SmallInteger)


class EventLedger(Table):
    """Which log entry an idempotency key stands for, and what became of it."""

    __tablename__ = "event_ledger"

    user_id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    shard: Mapped[int] = mapped_column(SmallInteger)
    position: Mapped[str] = mapped_column(String(32))
    fate: Mapped[str] = mapped_column(String(32))
    """`counted`, or why not: `unknown_post`."""
    at: Mapped[datetime] = mapped_column(server_default=func.timezone("UTC", func.now()))


class ShardOffset(Table):
    """How far each shard of the log has been written to Postgres."""

    __tablename__ = "shard_offsets"

    shard: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    position: Mapped[str] = mapped_column(String(32))


class ExposureRecord(Table):
    __tablename__ = "exposures"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[int] = mapped_column(Integer)
    experiment: Mapped[str] = mapped_column(Text)
    exp_group: Mapped[str] = mapped_column(Text)
    model: Mapped[str] = mapped_column(Text)
    model_version: Mapped[str] = mapped_column(Text)
    posts: Mapped[list[int]]
    degraded: Mapped[str | None] = mapped_column(Text)
    served_at: Mapped[datetime]
    weight_period: Mapped[int] = mapped_column(Integer)

    __table_args__ = (Index("exposures_experiment", "experiment", "served_at"),)


class ExperimentRecord(Table):
    __tablename__ = "experiments"

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    definition: Mapped[dict[str, Any]]
    """`contracts.assignment.Experiment` as JSON."""
    running: Mapped[bool]


class ExperimentChange(Table):
    __tablename__ = "experiment_history"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    name: Mapped[str] = mapped_column(ForeignKey("experiments.name"))
    at: Mapped[datetime]
    reason: Mapped[str] = mapped_column(Text)
    definition: Mapped[dict[str, Any]]
