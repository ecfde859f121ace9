"""What was measured: kept from run to run, and summed up over paired rounds."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

CONNECTIONS = (1, 8, 16)
BUDGETS = (50.0, 300.0)
"""Milliseconds at the 99th percentile."""


@dataclass(frozen=True, slots=True)
class Round:
    """One closed loop. rate: good answers a second. p50, p99: milliseconds. other: share of other answers."""

    number: int
    task: str
    side: str
    connections: int
    rate: float
    p50: float
    p99: float
    other: float


@dataclass(frozen=True, slots=True)
class Facts:
    """Of a side. rows: in one answer."""

    side: str
    start_seconds: float | None
    megabytes: float
    bytes_a_user: float | None
    rows: int
    note: str


class Record:
    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._rounds, self._facts = folder / "rounds.jsonl", folder / "facts.json"
        lines = self._rounds.read_text().splitlines() if self._rounds.exists() else []
        self.rounds = [Round(**json.loads(line)) for line in lines]
        known = json.loads(self._facts.read_text()) if self._facts.exists() else {"sides": [], "errors": {}}
        self.facts = {line["side"]: Facts(**line) for line in known["sides"]}
        self.errors: Mapping[str, str] = known["errors"]

    @property
    def done(self) -> int:
        return 1 + max((one.number for one in self.rounds), default=-1)

    def add(self, rounds: Sequence[Round]) -> None:
        """One whole round of every side, or none of it."""
        self.rounds += rounds
        with self._rounds.open("a") as file:
            file.write("".join(json.dumps(asdict(one)) + "\n" for one in rounds))

    def know(self, facts: Iterable[Facts]) -> None:
        self.facts = {one.side: one for one in facts}
        known = {"sides": [asdict(one) for one in self.facts.values()], "errors": self.errors}
        self._facts.write_text(json.dumps(known, indent=1))

    def forget(self) -> None:
        self.rounds, self.facts = [], {}
        self._rounds.unlink(missing_ok=True)
        self._facts.unlink(missing_ok=True)

    @property
    def tasks(self) -> Mapping[str, list[str]]:
        """The sides that answer each, Lenta's last."""
        sides: dict[str, dict[str, None]] = {}
        for one in self.rounds:
            sides.setdefault(one.task, {})[one.side] = None
        return {task: sorted(names, key=lambda name: name.startswith("Lenta")) for task, names in sides.items()}

    def at(self, task: str, side: str, connections: int) -> Sequence[Round]:
        """By round."""
        wanted = (task, side, connections)
        rounds = [one for one in self.rounds if (one.task, one.side, one.connections) == wanted]
        return sorted(rounds, key=lambda one: one.number)

    def median(self, task: str, side: str, connections: int, what: str) -> float:
        values = [float(getattr(one, what)) for one in self.at(task, side, connections)]
        return statistics.median(values)

    def most(self, task: str, side: str, budget: float) -> float:
        """The median rate at the connections that give most with a median p99 within the budget; 0 where none does."""
        kept = [count for count in CONNECTIONS if self.median(task, side, count, "p99") <= budget]
        return max((self.median(task, side, count, "rate") for count in kept), default=0.0)

    def times(self, task: str, side: str) -> tuple[float, float, float]:
        """How many times the rows that this side gives Lenta gives, at the connections at which each gives most: the
        median of the rounds' ratios, the least and the greatest."""
        lenta = self.tasks[task][-1]
        ours, theirs = (self._best(task, name) for name in (lenta, side))
        rows = self.rows(lenta) / self.rows(side)
        ratios = [rows * a.rate / max(b.rate, 0.1) for a, b in zip(ours, theirs, strict=True)]
        return statistics.median(ratios), min(ratios), max(ratios)

    def rows(self, side: str) -> int:
        return self.facts[side].rows if side in self.facts else 1

    def _best(self, task: str, side: str) -> Sequence[Round]:
        best = max(CONNECTIONS, key=lambda count: self.median(task, side, count, "rate"))
        return self.at(task, side, best)
