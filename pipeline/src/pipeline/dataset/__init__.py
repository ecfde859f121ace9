"""From three tables to what models learn from: as-of features by DuckDB over Parquet, in bounded memory."""

from __future__ import annotations

from pipeline.dataset.feed import Feed, opened
from pipeline.dataset.history import Batch, History, Requests
from pipeline.tables.folder import Tables, export

__all__ = ["Batch", "Feed", "History", "Requests", "Tables", "export", "opened"]
