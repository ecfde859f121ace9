"""Columns that a team declares itself, of users and of posts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007_own_columns"
down_revision = "0006_rules"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "own_columns",
        sa.Column("entity", sa.String(4), primary_key=True),
        sa.Column("place", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.UniqueConstraint("entity", "name", name="own_columns_name"),
    )
    for table, key, of in (("user_own", "user_id", "user_data.user_id"), ("post_own", "post_id", "post_text_df.id")):
        op.create_table(
            table,
            sa.Column(key, sa.Integer, sa.ForeignKey(of, ondelete="CASCADE"), primary_key=True, autoincrement=False),
            sa.Column("own", sa.JSON, nullable=False),
        )
