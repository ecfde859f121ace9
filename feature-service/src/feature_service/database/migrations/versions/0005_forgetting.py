"""What it takes to forget a user: numbers for sums of nobody, and the way to a user's rows."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.schema import CreateSequence

revision = "0005_forgetting"
down_revision = "0004_posts_gone"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(CreateSequence(sa.Sequence("nobodies", start=-1, increment=-1, maxvalue=-1, minvalue=-(2**31))))
    op.create_index("shadows_user", "shadows", ["user_id"])
