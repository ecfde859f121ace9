"""Postgres: the engine, tables, partitions and migrations."""
