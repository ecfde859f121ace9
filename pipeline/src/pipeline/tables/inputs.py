"""A column of somebody's file as SQL: what the file says, read as its mapping tells, and as the platform's value."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.tables.formats import Column, quoted
from pipeline.tables.mapping import ColumnInput

WHOLE = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT"}
FLOATS = {"FLOAT", "DOUBLE"}
PER_SECOND = {"seconds": 1, "milliseconds": 1_000, "microseconds": 1_000_000}
BEYOND = 4e15
"""Microseconds since 1970, in the year 2096: more is a number in another unit."""

NAMES_ZONE = r":\d\d.*([A-Za-z]|[+-]\d)"
"""Regular expression: a time with a zone behind it."""


@dataclass(frozen=True)
class Input:
    """One column. raw: SQL of what the file says, NULL where it has no such column; type: DuckDB's of `raw`."""

    column: Column
    how: ColumnInput
    raw: str
    type: str
    is_csv: bool

    @property
    def value(self) -> str:
        """SQL: of the column's own type, NULL for what is missing."""
        return f"CASE WHEN NOT {self._is_missing} THEN {self._cast} END"

    @property
    def fault(self) -> str:
        """SQL: whether a row's value may not stand there."""
        return f"({self._is_wrong} OR {self._is_below})" if self.how.levels else self._is_wrong

    @property
    def _is_below(self) -> str:
        """SQL: whether it is a number that reaches no level."""
        return f"coalesce(TRY_CAST({self.raw} AS DOUBLE) < {min(self.how.levels)!r}, FALSE)"

    @property
    def _is_wrong(self) -> str:
        if self.column.type == "VARCHAR" and self.column.allowed == "TRUE":
            return "FALSE" if self.is_csv else f"coalesce(contains({self._cast}, chr(0)), FALSE)"
        holds = self.column.allowed.replace("value", f"({self._cast})")
        is_required = "TRUE" if self.column.required else "FALSE"
        return f"(CASE WHEN {self._is_missing} THEN {is_required} ELSE NOT coalesce({holds}, FALSE) END)"

    @property
    def left_out(self) -> str | None:
        """SQL: whether the mapping says that a value, and so its row, means nothing. None where it cannot."""
        if not self.column.required or None not in {*self.how.values.values(), *self.how.levels.values()}:
            return None
        return f"({self.raw} IS NOT NULL AND trim(CAST({self.raw} AS VARCHAR)) <> '' AND {self._meant} IS NULL)"

    @property
    def what(self) -> str:
        """In words, what it must be."""
        if self.how.levels:
            return f"{self.column.what}, by levels from {min(self.how.levels):g} on"
        return f"{self.column.what}, read as {self.how.unit}" if self.how.unit else self.column.what

    @property
    def shown(self) -> str:
        """Its name in the file, and the platform's where that is another."""
        own = self.how.column
        return self.column.name if own in (None, self.column.name) else f"{own} ({self.column.name})"

    @property
    def _meant(self) -> str:
        """SQL: `raw`, put into the platform's words."""
        if self.how.levels:
            return self._level
        if not self.how.values:
            return self.raw
        said = f"trim(CAST({self.raw} AS VARCHAR))"
        if self.type in FLOATS:  # 1.0, as pandas writes a column of whole numbers with gaps
            said = f"regexp_replace({said}, '\\.0$', '')"
        cases = "".join(f" WHEN {quoted(said)} THEN {_literal(meant)}" for said, meant in self.how.values.items())
        return f"(CASE {said}{cases} ELSE CAST({self.raw} AS VARCHAR) END)"

    @property
    def _level(self) -> str:
        """SQL: what a number that reaches a level means; another text stays as it is."""
        number = f"TRY_CAST({self.raw} AS DOUBLE)"
        cases = "".join(
            f" WHEN {number} >= {least!r} THEN {_literal(meant)}"
            for least, meant in sorted(self.how.levels.items(), reverse=True)
        )
        return f"(CASE{cases} ELSE CAST({self.raw} AS VARCHAR) END)"

    @property
    def _is_typed(self) -> bool:
        """Whether the file declares it a whole number or a time, so that no text needs parsing."""
        if self.how.values or self.how.levels:
            return False
        if self.column.type == "TIMESTAMP":
            return self.type == "TIMESTAMP" and not self.how.zone and not self.how.unit
        return self.column.type not in ("VARCHAR", "DOUBLE") and self.type in WHOLE

    @property
    def _is_missing(self) -> str:
        if self._is_typed:
            return f"({self.raw} IS NULL)"
        return f"({self._meant} IS NULL OR trim(CAST({self._meant} AS VARCHAR)) IN ('', 'NaN', 'nan'))"

    @property
    def _cast(self) -> str:
        """SQL. Whole numbers may be written as floats (19.0), as pandas dumps a column with gaps."""
        if self._is_typed:
            return f"TRY_CAST({self.raw} AS {self.column.type})"
        meant = self._meant
        if self.is_csv and self.column.type != "VARCHAR":
            meant = f"nullif(trim({meant}), '')"
        if self.column.type in ("INTEGER", "SMALLINT"):
            return whole(meant, self.column.type)
        if self.column.type == "DOUBLE":
            return f"TRY_CAST({meant} AS DOUBLE)"
        if self.column.type == "TIMESTAMP":
            return self._time(meant)
        return f"CAST({meant} AS VARCHAR)"

    def _time(self, meant: str) -> str:
        """SQL: in UTC, which is the connection's zone. A zone that the text names goes before the mapping's.

        A cast to TIMESTAMP would drop the text's zone.
        """
        if self.how.unit:
            at = f"TRY_CAST({meant} AS DOUBLE) * {1_000_000 // PER_SECOND[self.how.unit]}"
            return f"CASE WHEN {at} BETWEEN 0 AND {BEYOND} THEN make_timestamp(CAST({at} AS BIGINT)) END"
        named = f"CAST(TRY_CAST({meant} AS TIMESTAMPTZ) AS TIMESTAMP)"
        if not self.how.zone:
            return named
        there = f"CAST(timezone({quoted(self.how.zone)}, TRY_CAST({meant} AS TIMESTAMP)) AS TIMESTAMP)"
        return f"CASE WHEN regexp_matches(CAST({meant} AS VARCHAR), '{NAMES_ZONE}') THEN {named} ELSE {there} END"


def _literal(meant: str | None) -> str:
    return "NULL" if meant is None else quoted(meant)


def whole(raw: str, type_: str) -> str:
    """SQL: a whole number, also written as 19.0; NULL for anything else."""
    return f"CASE WHEN TRY_CAST({raw} AS DOUBLE) = floor(TRY_CAST({raw} AS DOUBLE)) THEN TRY_CAST({raw} AS {type_}) END"
