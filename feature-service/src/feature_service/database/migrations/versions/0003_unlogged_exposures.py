"""How many of a user's exposures of a day were answered while the log was dead."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("exposure_days", sa.Column("unlogged", sa.Integer, nullable=False, server_default="0"))
