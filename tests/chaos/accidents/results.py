"""What was measured: kept from run to run, and as a table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.table import Table

from tests.chaos.accidents.breaking import NOTHING, NOTHING_BY_PROXIES, Measured

BACK_SECONDS = 5.0
COLUMNS: tuple[str, ...] = (
    "part",
    "accident",
    "asked",
    "failed",
    "refused",
    "degraded",
    "slowest s",
    "back after s",
    "events",
)
COLUMNS += ("lost", "doubled", "unrecorded", "what was not whole")


class Results:
    def __init__(self, path: Path) -> None:
        self._path = path
        lines = path.read_text().splitlines() if path.exists() else []
        self.measured = [Measured(**json.loads(line)) for line in lines]

    def has(self, part: str, accident: str) -> bool:
        return any((one.part, one.accident) == (part, accident) for one in self.measured)

    def add(self, one: Measured) -> None:
        self.measured.append(one)
        with self._path.open("a") as file:
            file.write(json.dumps(asdict(one)) + "\n")

    def forget(self) -> None:
        self.measured = []
        self._path.unlink(missing_ok=True)


def faults(measured: Sequence[Measured]) -> list[str]:
    """What should not have been: an answer that failed and was not open on a killed worker, an event lost or doubled,
    not back in time."""
    wrongs = []
    for one in measured:
        allowed = one.open if (one.part, one.accident) == ("gateway", "killed") else 0
        wrong = {
            "answers failed": one.failed - allowed,
            "events lost": one.lost + one.never_accepted,
            "events doubled": one.doubled,
            "exposures of other posts than were shown": one.otherwise,
            f"s until it was back, more than {BACK_SECONDS:.0f}": one.recovered if one.recovered > BACK_SECONDS else 0,
        }
        wrongs += [f"{one.part} {one.accident}: {many} {what}" for what, many in wrong.items() if many]
    return wrongs


def table(measured: Sequence[Measured]) -> Table:
    shown = Table(*COLUMNS, title="each part broken under steady load")
    for one in measured:
        shown.add_row(*_cells(one))
    return shown


def markdown(measured: Sequence[Measured]) -> str:
    lines = [COLUMNS, ("---",) * len(COLUMNS), *map(_cells, measured)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cells(one: Measured) -> tuple[str, ...]:
    part = "" if one.accident in (NOTHING.name, NOTHING_BY_PROXIES.name) else one.part
    if one.skipped:
        return (part, one.accident, *[""] * (len(COLUMNS) - 3), one.skipped)
    failed = f"{one.failed} ({one.open} open)" if one.open else str(one.failed)
    counts = (one.lost + one.never_accepted, one.doubled, one.unrecorded)
    times = (f"{one.slowest:.2f}", f"{one.recovered:.1f}")
    seen = (str(one.asked), failed, str(one.refused), str(one.degraded), *times, str(one.events))
    return (part, one.accident, *seen, *map(str, counts), one.why)
