"""Alembic runs on the connection that `feature_service.database.schema.migrate` hands over."""

from __future__ import annotations

from alembic import context
from feature_service.database.tables import Table

context.configure(connection=context.config.attributes["connection"], target_metadata=Table.metadata)
with context.begin_transaction():
    context.run_migrations()
