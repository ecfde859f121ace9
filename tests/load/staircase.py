"""How many screens at once are too many: steps up until p99 passes 50 ms or 1 % are not the model's own.

A step that fails is tried once more, since another process of the machine may have made it fail. Imports nothing of
locust.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

FIRST_USERS, STEP = 4, 1.4
MOST_P99_MS, LEAST_OWN = 50.0, 0.99
WARM_UP_SECONDS = 2.0
"""Of each step, left out: in which the new users come."""


@dataclass(frozen=True)
class Step:
    """rate: recommendations asked for a second. own: the share that were the user's own model's full answers."""

    users: int
    rate: float
    p50: float
    p99: float
    own: float
    shed: float

    @property
    def holds(self) -> bool:
        return self.p99 <= MOST_P99_MS and self.own >= LEAST_OWN

    @property
    def line(self) -> str:
        verdict = "" if self.holds else "  too many"
        return f"{self.users:>5} {self.rate:>9.1f} {self.p50:>7.1f} {self.p99:>7.1f} {self.own:>7.1%} {self.shed:>7.1%}{verdict}"


HEADER = f"{'users':>5} {'asked/s':>9} {'p50 ms':>7} {'p99 ms':>7} {'own':>7} {'refused':>7}"


@dataclass
class Staircase:
    """seconds: of a step."""

    seconds: float
    users: int = FIRST_USERS
    steps: list[Step] = field(default_factory=list)
    _milliseconds: list[float] = field(default_factory=list)
    _words: list[str] = field(default_factory=list)
    _began: float = 0.0
    _failed_once: bool = False

    def answered(self, at: float, milliseconds: float, word: str) -> None:
        """at: seconds since the start. word: `own`, `instead` or `refused`."""
        if at - self._began >= WARM_UP_SECONDS:
            self._milliseconds.append(milliseconds)
            self._words.append(word)

    def users_at(self, at: float) -> int | None:
        """None: the knee has been found."""
        if at - self._began < self.seconds:
            return self.users
        step = self._end()
        self._began = at
        if step.holds:
            self.users, self._failed_once = max(self.users + 1, round(STEP * self.users)), False
        elif self._failed_once:
            return None
        else:
            self._failed_once = True
        return self.users

    def _end(self) -> Step:
        measured = self.seconds - WARM_UP_SECONDS
        step = _step(self.users, measured, self._milliseconds, self._words)
        self.steps.append(step)
        self._milliseconds, self._words = [], []
        return step

    @property
    def report(self) -> str:
        knee = max((step for step in self.steps if step.holds), key=lambda step: step.users, default=None)
        result = "no step holds" if knee is None else f"the knee: {knee.users} users, {knee.rate:.0f} requests a second"
        return "\n".join([HEADER, *(step.line for step in self.steps), result])


def _step(users: int, seconds: float, milliseconds: Sequence[float], words: Sequence[str]) -> Step:
    """A step in which nobody was answered does not hold."""
    total = len(words)
    if not total:
        return Step(users, 0.0, float("inf"), float("inf"), 0.0, 0.0)
    p50, p99 = np.quantile(milliseconds, [0.5, 0.99])
    return Step(
        users, total / seconds, float(p50), float(p99), words.count("own") / total, words.count("refused") / total
    )
