"""The tables in Postgres. `user_data`, `post_text_df` and `feed_data` have exactly the platform's columns.

Timestamps are UTC without time zone, as the platform dumps them.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    REAL,
    BigInteger,
    Date,
    ForeignKey,
    Index,
    Integer,
    SmallInteger,
    String,
    Text,
    UniqueConstraint,
    func,
)
from sqlalchemy.dialects.postgresql import ARRAY, DOUBLE_PRECISION, JSONB, TIMESTAMP
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Table(DeclarativeBase):
    type_annotation_map = {datetime: TIMESTAMP(timezone=False), dict[str, Any]: JSONB}


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


class PostGone(Table):
    """From when on nobody is shown a post, by the platform's clock; long ago where it was taken down."""

    __tablename__ = "posts_gone"

    post_id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    at: Mapped[datetime]


class OwnColumnRecord(Table):
    """A column that the team declared (`contracts.own`). place: its place among those of its entity, never another."""

    __tablename__ = "own_columns"
    __table_args__ = (UniqueConstraint("entity", "name", name="own_columns_name"),)

    entity: Mapped[str] = mapped_column(String(4), primary_key=True)
    place: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text)


class UserOwn(Table):
    """A user's values of those, JSON by name. Beside `user_data`, which has the platform's columns alone."""

    __tablename__ = "user_own"

    user_id: Mapped[int] = mapped_column(
        ForeignKey("user_data.user_id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    own: Mapped[dict[str, Any]] = mapped_column(JSON)


class PostOwn(Table):
    __tablename__ = "post_own"

    post_id: Mapped[int] = mapped_column(
        ForeignKey("post_text_df.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    own: Mapped[dict[str, Any]] = mapped_column(JSON)


class FeedData(Table):
    """Partitioned by month. The platform's table has no key; the key below is for the ORM alone."""

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
    """`counted`, or why not: `unknown_post`, `repeated`."""
    at: Mapped[datetime] = mapped_column(server_default=func.timezone("UTC", func.now()))


class ShardOffset(Table):
    """How far each shard of the log has been written to Postgres."""

    __tablename__ = "shard_offsets"

    shard: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    position: Mapped[str] = mapped_column(String(32))


class ExposureRecord(Table):
    """`contracts.wire.Exposure`. What a report reads comes first, in fixed widths."""

    __tablename__ = "exposures"

    served_at: Mapped[datetime]
    asked_for: Mapped[datetime]
    user_id: Mapped[int] = mapped_column(Integer)
    took_ms: Mapped[float] = mapped_column(REAL)
    weight_period: Mapped[int] = mapped_column(SmallInteger)
    likes: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    """To its posts, as attributed by `feature_service.ingest.attribution`."""
    experiment: Mapped[str] = mapped_column(Text)
    exp_group: Mapped[str] = mapped_column(Text)
    ranker: Mapped[str] = mapped_column(Text)
    mode: Mapped[str] = mapped_column(Text)
    degraded: Mapped[str | None] = mapped_column(Text)
    model: Mapped[str] = mapped_column(Text)
    model_version: Mapped[str] = mapped_column(Text)
    """Empty for a fallback."""
    teams: Mapped[str | None] = mapped_column(Text)
    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    posts: Mapped[list[int]] = mapped_column(ARRAY(Integer))
    scores: Mapped[list[float]] = mapped_column(ARRAY(DOUBLE_PRECISION))
    propensities: Mapped[list[float] | None] = mapped_column(ARRAY(DOUBLE_PRECISION))
    rules: Mapped[str | None] = mapped_column(Text)
    moves: Mapped[list[Any] | None] = mapped_column(JSONB)
    """`contracts.wire.Move`, each; null for none."""

    __table_args__ = (
        Index("exposures_experiment", "experiment", "served_at"),
        Index("exposures_user", "user_id", "served_at"),
    )


class ExposureDay(Table):
    """What a report sums: one user on one day of one weight period. Kept in the transactions that write exposures and
    likes."""

    __tablename__ = "exposure_days"

    user_id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    exposures: Mapped[int] = mapped_column(Integer)
    hits: Mapped[int] = mapped_column(Integer)
    """Exposures of which a post was liked, whenever that was."""
    likes: Mapped[int] = mapped_column(Integer)
    degraded: Mapped[int] = mapped_column(Integer)
    """Of the exposures. The next two count the hits and likes of these."""
    degraded_hits: Mapped[int] = mapped_column(Integer)
    degraded_likes: Mapped[int] = mapped_column(Integer)
    failed: Mapped[int] = mapped_column(Integer)
    """Exposures whose ranker failed."""
    fallbacks: Mapped[int] = mapped_column(Integer)
    slow: Mapped[int] = mapped_column(Integer)
    """Slower than the experiment's guardrail of that kind."""
    weight_period: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    exp_group: Mapped[str] = mapped_column(Text)
    experiment: Mapped[str] = mapped_column(Text, primary_key=True)
    unlogged: Mapped[int] = mapped_column(Integer, server_default="0")
    """Answered while the log was dead, and recorded later."""


class ExposureModel(Table):
    """Which models answered a group, and how often. A fallback has no version."""

    __tablename__ = "exposure_models"

    experiment: Mapped[str] = mapped_column(Text, primary_key=True)
    exp_group: Mapped[str] = mapped_column(Text, primary_key=True)
    model: Mapped[str] = mapped_column(Text, primary_key=True)
    model_version: Mapped[str] = mapped_column(Text, primary_key=True)
    exposures: Mapped[int] = mapped_column(BigInteger)


class AssignmentRecord(Table):
    """A user's first request of a weight period."""

    __tablename__ = "assignments"

    experiment: Mapped[str] = mapped_column(Text, primary_key=True)
    user_id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    weight_period: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    exp_group: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime]
    views_before: Mapped[int | None] = mapped_column(Integer)
    """In `feed_data`, strictly before `at`."""
    likes_before: Mapped[int | None] = mapped_column(Integer)


class ExposureLike(Table):
    """A like that belongs to the exposure of this key."""

    __tablename__ = "exposure_likes"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    post_id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    at: Mapped[datetime]


class UnattributedLikes(Table):
    """Likes that belong to no exposure, by reason."""

    __tablename__ = "unattributed_likes"

    experiment: Mapped[str] = mapped_column(Text, primary_key=True)
    """Empty where the user had no exposure at all."""
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    reason: Mapped[str] = mapped_column(String(32), primary_key=True)
    likes: Mapped[int] = mapped_column(BigInteger)


class Shadow(Table):
    """`contracts.wire.Shadowed`: what the other ranker would have answered. Several may shadow one request."""

    __tablename__ = "shadows"
    __table_args__ = (Index("shadows_experiment", "experiment"), Index("shadows_user", "user_id"))

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[int] = mapped_column(Integer)
    experiment: Mapped[str] = mapped_column(Text, primary_key=True)
    ranker: Mapped[str] = mapped_column(Text)
    model: Mapped[str] = mapped_column(Text)
    model_version: Mapped[str] = mapped_column(Text)
    posts: Mapped[list[int]] = mapped_column(ARRAY(Integer))
    took_ms: Mapped[float] = mapped_column(REAL)
    failed: Mapped[str | None] = mapped_column(Text)


class SyncWatermark(Table):
    """How far `lenta sync` has read a source's query: the time of its last row."""

    __tablename__ = "sync_watermarks"

    source: Mapped[str] = mapped_column(Text, primary_key=True)
    query: Mapped[str] = mapped_column(Text, primary_key=True)
    watermark: Mapped[datetime]


class SanityCheckRecord(Table):
    """`contracts.reports.SanityCheck` as JSON, one a day."""

    __tablename__ = "sanity_checks"

    day: Mapped[date] = mapped_column(Date, primary_key=True)
    result: Mapped[dict[str, Any]]


class ExperimentRecord(Table):
    __tablename__ = "experiments"

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    definition: Mapped[dict[str, Any]]
    """`contracts.experiments.Experiment` as JSON."""
    state: Mapped[str] = mapped_column(Text)
    revision: Mapped[int] = mapped_column(Integer)


class ExperimentChange(Table):
    __tablename__ = "experiment_history"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    name: Mapped[str] = mapped_column(ForeignKey("experiments.name"))
    at: Mapped[datetime]
    reason: Mapped[str] = mapped_column(Text)
    definition: Mapped[dict[str, Any]]
    """After the change."""
    by: Mapped[str] = mapped_column(Text)
    what: Mapped[str] = mapped_column(Text)
    revision: Mapped[int] = mapped_column(Integer)


class RuleSetRecord(Table):
    __tablename__ = "rule_sets"

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    rules: Mapped[dict[str, Any]]
    """`contracts.rules.SlateRules` as JSON, what is left out holds nothing."""
    revision: Mapped[int] = mapped_column(Integer)


class RuleChange(Table):
    __tablename__ = "rule_history"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    name: Mapped[str] = mapped_column(ForeignKey("rule_sets.name"))
    at: Mapped[datetime]
    by: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    what: Mapped[str] = mapped_column(Text)
    revision: Mapped[int] = mapped_column(Integer)
    rules: Mapped[dict[str, Any]]
    """After the change."""


class AnalysisRun(Table):
    """A report as it was made. `final`: of a stopped experiment; no later one follows."""

    __tablename__ = "analysis_runs"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    experiment: Mapped[str] = mapped_column(ForeignKey("experiments.name"))
    at: Mapped[datetime]
    final: Mapped[bool]
    report: Mapped[dict[str, Any]]
    """`contracts.reports.Report` as JSON."""
