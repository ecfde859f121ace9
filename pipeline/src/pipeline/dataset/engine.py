"""What runs the SQL of `pipeline.dataset.counters`: DuckDB in this process, or Spark (`pipeline.dataset.spark`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import duckdb

from pipeline.dataset.feed import Columns, fetch


class Engine(Protocol):
    """Both engines are given the same text: what only one of them understands has no place in it."""

    def take(self, *names: str) -> None:
        """Makes tables of the feed's database readable, as they are now."""

    def keep(self, name: str, query: str) -> None:
        """Computes `query` and keeps the answer as the table `name`, in place of one of that name."""

    def fetch(self, query: str) -> Columns:
        """Columns as plain arrays; what may be NULL must be coalesced in the query."""


@dataclass(frozen=True)
class DuckDB:
    """The feed's own database."""

    database: duckdb.DuckDBPyConnection

    def take(self, *names: str) -> None:
        """Nothing to do: the tables are in this database already."""

    def keep(self, name: str, query: str) -> None:
        self.database.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS {query}")

    def fetch(self, query: str) -> Columns:
        return fetch(self.database, query)
