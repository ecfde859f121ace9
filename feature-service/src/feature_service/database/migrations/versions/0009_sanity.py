"""Each night's A/A of the platform's own traffic."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0009_sanity"
down_revision = "0008_sync_watermarks"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "sanity_checks",
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("result", JSONB, nullable=False),
    )
