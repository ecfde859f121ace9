"""The platform's three tables, the ledger, exposures and experiments."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

Moment = TIMESTAMP(timezone=False)


def upgrade() -> None:
    op.create_table(
        "user_data",
        sa.Column("user_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("age", sa.SmallInteger),
        sa.Column("gender", sa.SmallInteger),
        sa.Column("country", sa.Text),
        sa.Column("city", sa.Text),
        sa.Column("exp_group", sa.SmallInteger),
        sa.Column("os", sa.Text),
        sa.Column("source", sa.Text),
    )
    op.create_table(
        "post_text_df",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("topic", sa.Text, nullable=False),
    )
    op.create_table(
        "feed_data",
        sa.Column("timestamp", Moment, nullable=False),
        sa.Column("user_id", sa.Integer, nullable=False),
        sa.Column("post_id", sa.Integer, nullable=False),
        sa.Column("action", sa.String(4), nullable=False),
        sa.Column("target", sa.SmallInteger),
        postgresql_partition_by="RANGE (timestamp)",
    )
    op.create_index("feed_data_user", "feed_data", ["user_id", "timestamp"])
    op.create_index("feed_data_post", "feed_data", ["post_id", "timestamp"])
    op.execute("CREATE TABLE feed_data_default PARTITION OF feed_data DEFAULT")
    op.create_table(
        "event_ledger",
        sa.Column("user_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("shard", sa.SmallInteger, nullable=False),
        sa.Column("position", sa.String(32), nullable=False),
        sa.Column("fate", sa.String(32), nullable=False),
        sa.Column("at", Moment, nullable=False, server_default=sa.text("timezone('UTC', now())")),
    )
    op.create_table(
        "shard_offsets",
        sa.Column("shard", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("position", sa.String(32), nullable=False),
    )
    op.create_table(
        "exposures",
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("user_id", sa.Integer, nullable=False),
        sa.Column("experiment", sa.Text, nullable=False),
        sa.Column("exp_group", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("model_version", sa.Text, nullable=False),
        sa.Column("posts", JSONB, nullable=False),
        sa.Column("degraded", sa.Text),
        sa.Column("served_at", Moment, nullable=False),
        sa.Column("weight_period", sa.Integer, nullable=False),
    )
    op.create_index("exposures_experiment", "exposures", ["experiment", "served_at"])
    experiments = op.create_table(
        "experiments",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("definition", JSONB, nullable=False),
        sa.Column("running", sa.Boolean, nullable=False),
    )
    history = op.create_table(
        "experiment_history",
        sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("name", sa.Text, sa.ForeignKey("experiments.name"), nullable=False),
        sa.Column("at", Moment, nullable=False, server_default=sa.text("timezone('UTC', now())")),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("definition", JSONB, nullable=False),
    )
    first = {
        "name": "models",
        "enrolment": 1.0,
        "enrolment_salt": "models.enrolment",
        "group_salt": "models.group",
        "weights": {"control": 0.5, "test": 0.5},
        "table": "0" * 5_000 + "1" * 5_000,
        "forced": {},
        "weight_period": 0,
    }
    op.bulk_insert(experiments, [{"name": "models", "definition": first, "running": True}])
    op.bulk_insert(history, [{"name": "models", "reason": "The platform's first split", "definition": first}])
