"""The platform's three tables from CSV or Parquet into Postgres."""
