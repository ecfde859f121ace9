"""Posts that nobody is shown any more, or from some time on."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TIMESTAMP

revision = "0004_posts_gone"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "posts_gone",
        sa.Column("post_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("at", TIMESTAMP(timezone=False), nullable=False),
    )
