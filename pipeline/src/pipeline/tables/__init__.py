"""The platform's three tables: as files in somebody's folder, as Parquet, and in Postgres."""
