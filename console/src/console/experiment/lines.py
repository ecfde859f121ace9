"""The list of experiments: one line of each, with what one would ask first."""

from __future__ import annotations

from datetime import datetime

from contracts import names, numbers
from contracts.names import MODES
from contracts.numbers import UNKNOWN
from contracts.reports import ExperimentLine
from contracts.wire import Message


class ListRow(Message):
    name: str
    is_running: bool
    state: str
    """`Running, day 3 of 14`."""
    mode: str
    users: str
    primary: str
    lift: str
    interval: str
    standing: str
    started_at: datetime | None


def list_row(line: ExperimentLine) -> ListRow:
    progress = names.progress(line)
    return ListRow(
        name=line.name,
        is_running=line.state == "running",
        state=line.state.capitalize() + (f", {progress}" if progress else ""),
        mode=MODES[line.mode].partition(":")[0],
        users=UNKNOWN if line.users is None else f"{line.users:,}",
        primary=names.metric(line.primary),
        lift=numbers.percent(line.lift.estimate) if line.lift else UNKNOWN,
        interval=numbers.interval(line.lift) if line.lift else "",
        standing=names.standing(line),
        started_at=line.started_at,
    )
