"""How commands talk in a terminal: a line per step, with a moving bar while it works; times as people write them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from chassis.progress import OnProgress
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn

from pipeline.errors import LentaError

WORTH_SAYING_SECONDS = 0.5


class Steps:
    def __init__(self, console: Console) -> None:
        self.console = console

    @contextmanager
    def step(self, title: str) -> Iterator[OnProgress]:
        started = time.monotonic()
        columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn())
        with Progress(
            *columns, TimeElapsedColumn(), console=self.console, transient=True, disable=not self.console.is_terminal
        ) as progress:
            task = progress.add_task(title, total=None)
            yield lambda done, total: progress.update(task, completed=done, total=total)
        took = time.monotonic() - started
        seconds = f" [dim]{took:.1f} s[/dim]" if took >= WORTH_SAYING_SECONDS else ""
        self.console.print(f"[green]✓[/green] {escape(title)}{seconds}", highlight=False)

    def say(self, line: str) -> None:
        """line: in rich's markup; escape what comes from outside."""
        self.console.print(line, highlight=False, soft_wrap=True)


def parse_time(text: str, name: str) -> datetime:
    """UTC where no zone is given. Raises LentaError naming what was asked for."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise LentaError(f"{name}={text} is not a time (2026-01-31 or 2026-01-31T12:00:00)") from error
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
