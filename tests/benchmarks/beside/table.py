"""The one table."""

from __future__ import annotations

from rich.table import Table

from tests.benchmarks.beside.rounds import BUDGETS, CONNECTIONS, Record

COLUMNS: tuple[str, ...] = ("what", "side", *(f"p50, p99 ms at {count}" for count in CONNECTIONS))
COLUMNS += (
    *(f"a second, p99 <= {budget:.0f} ms" for budget in BUDGETS),
    "Lenta gives, times",
    "MB",
    "start s",
    "bytes a user",
)


def table(record: Record) -> Table:
    shown = Table(*COLUMNS, title=f"medians of {record.done} paired rounds")
    for line in lines(record):
        shown.add_row(*line)
    return shown


def lines(record: Record) -> list[tuple[str, ...]]:
    return [(task, *_cells(record, task, side)) for task, sides in record.tasks.items() for side in sides]


def _cells(record: Record, task: str, side: str) -> tuple[str, ...]:
    latencies = [
        f"{record.median(task, side, count, 'p50'):.1f}, {record.median(task, side, count, 'p99'):.0f}"
        for count in CONNECTIONS
    ]
    most = [f"{rate:,.0f}" if (rate := record.most(task, side, budget)) else "none" for budget in BUDGETS]
    median, low, high = record.times(task, side)
    times = "" if side == record.tasks[task][-1] else f"{median:.1f} ({low:.1f} to {high:.1f})"
    facts = record.facts.get(side)
    known = (
        ("", "", "")
        if facts is None
        else (f"{facts.megabytes:.0f}", _number(facts.start_seconds, ".1f"), _number(facts.bytes_a_user, ",.0f"))
    )
    return (side, *latencies, *most, times, *known)


def _number(value: float | None, how: str) -> str:
    return "" if value is None else format(value, how)
