"""A guardrail: a metric that may not get worse by more than a limit.

Non-inferiority by interval: it holds when the whole interval lies within the limit, is breached when the whole interval
lies past it, and is unclear between (Schuirmann 1987; CONSORT's figure of Piaggio et al., JAMA 2012).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Literal

from experiments.effects import Interval

State = Literal["holds", "breached", "unclear"]


@dataclass(frozen=True, slots=True)
class Limit:
    """How far a metric may go, in the interval's units (a lift of 0.05, or 20 ms). worse: the direction that is harm.

    `Limit(0.05, worse="up")`: may rise by 5 %. `Limit(-0.02, worse="down")`: may fall by 2 %.
    """

    value: float
    worse: Literal["up", "down"]

    def __post_init__(self) -> None:
        if not isfinite(self.value):
            raise ValueError(f"a limit is a number, not {self.value}")


def state(interval: Interval | None, limit: Limit) -> State:
    """Of an interval of test against control; None (not enough data) is unclear. At the limit is within it."""
    if interval is None:
        return "unclear"
    sign = 1 if limit.worse == "up" else -1
    low, high = sorted((sign * interval.low, sign * interval.high))
    if low > sign * limit.value:
        return "breached"
    return "holds" if high <= sign * limit.value else "unclear"
