"""What was measured, with its interval, and what that says of a bar."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class BarVerdict(StrEnum):
    HOLDS = "holds"
    FAILS = "fails"
    UNCLEAR = "too few users to tell"
    SHOWN = ""
    """There is no bar: the figure is shown for comparison."""


@dataclass(frozen=True, slots=True)
class Bar:
    limit: float
    at_least: bool
    """True: higher is better (a hit rate). False: lower is better (latency, memory)."""

    def __str__(self) -> str:
        return f"{'>=' if self.at_least else '<='} {self.limit:g}"


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured value with its 95 % interval; for a plain reading low = high = value."""

    name: str
    value: float
    low: float
    high: float
    unit: str = ""
    bar: Bar | None = None

    @property
    def verdict(self) -> BarVerdict:
        """The bar holds when the whole interval lies on its good side, fails when it lies wholly on the other."""
        if self.bar is None:
            return BarVerdict.SHOWN
        good, bad = (self.low, self.high) if self.bar.at_least else (-self.high, -self.low)
        limit = self.bar.limit if self.bar.at_least else -self.bar.limit
        if good >= limit:
            return BarVerdict.HOLDS
        return BarVerdict.FAILS if bad < limit else BarVerdict.UNCLEAR


def reading(name: str, value: float, unit: str, bar: Bar | None = None) -> Figure:
    return Figure(name, value, value, value, unit, bar)
