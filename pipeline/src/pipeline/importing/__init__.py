"""The platform's three tables from CSV or Parquet into Postgres. Import from here."""

from __future__ import annotations

from pipeline.importing.loading import ImportReport, import_tables
from pipeline.importing.reading import read_feed

__all__ = ["ImportReport", "import_tables", "read_feed"]
