"""Rule sets with their history, and what they did to an answer."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP

revision = "0006_rules"
down_revision = "0005_forgetting"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "rule_sets",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("rules", JSONB, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
    )
    op.create_table(
        "rule_history",
        sa.Column("id", sa.BigInteger, primary_key=True),
        sa.Column("name", sa.Text, sa.ForeignKey("rule_sets.name"), nullable=False),
        sa.Column("at", TIMESTAMP(timezone=False), nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("what", sa.Text, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("rules", JSONB, nullable=False),
    )
    op.add_column("exposures", sa.Column("rules", sa.Text))
    op.add_column("exposures", sa.Column("moves", JSONB))
