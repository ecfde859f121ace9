"""What happened: which group an answer counts for, and what the truth says of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf

import numpy as np
import numpy.typing as npt
from contracts.degradation import UNLOGGED

Floats = npt.NDArray[np.float64]


@dataclass(slots=True)
class GroupTally:
    """Of one group. expected: the sum of the requests' true chances of a hit."""

    users: set[int] = field(default_factory=set)
    requests: int = 0
    degraded: int = 0
    unlogged: int = 0
    likes: int = 0
    hits: int = 0
    expected: float = 0.0


@dataclass(slots=True)
class Tally:
    lines: dict[str, GroupTally] = field(default_factory=dict)
    pairs: list[tuple[float, float]] = field(default_factory=list)
    """True chances of a hit of both models' answers to one request: control's, test's."""
    turned_away: int = 0
    shown_again: int = 0
    """Posts in answers that the user had liked before."""
    events: int = 0
    slowest: float = inf
    """Speed of the clock."""

    @property
    def requests(self) -> int:
        return sum(line.requests for line in self.lines.values())

    def answered(self, label: str, user: int, degraded: str, expected: float, likes: int) -> None:
        line = self.lines.setdefault(label, GroupTally())
        line.users.add(user)
        line.requests += 1
        line.degraded += degraded != ""
        line.unlogged += UNLOGGED in degraded
        line.likes += likes
        line.hits += likes > 0
        line.expected += expected

    @property
    def true_difference(self) -> tuple[float, float, float] | None:
        """Test minus control on the same requests, with a normal 95 % interval; None for fewer than two."""
        if len(self.pairs) < 2:
            return None
        differences = np.array([test - control for control, test in self.pairs])
        half = 1.96 * float(differences.std(ddof=1)) / np.sqrt(len(differences))
        mean = float(differences.mean())
        return mean, mean - half, mean + half
