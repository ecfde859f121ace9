"""An absolute deadline that travels in a header, so that nobody works for a caller who has gone."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from contracts.headers import DEADLINE


@dataclass(frozen=True, slots=True)
class Deadline:
    """at: unix time in seconds."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> Self:
        return cls(time.time() + seconds)

    @classmethod
    def of(cls, headers: Mapping[str, str], default_seconds: float) -> Self:
        """The caller's deadline, or `default_seconds` from now where it names none that can be read."""
        try:
            return cls(int(headers[DEADLINE]) / 1000)
        except (KeyError, ValueError):
            return cls.after(default_seconds)

    def remaining(self, at_most: float = float("inf")) -> float:
        """Seconds left, at least 0 and at most `at_most`."""
        return min(max(self.at - time.time(), 0.0), at_most)

    def header(self) -> dict[str, str]:
        return {DEADLINE: str(int(self.at * 1000))}
