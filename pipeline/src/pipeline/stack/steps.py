"""One line a step of `lenta up`: a moving bar while it works, its time when it is done."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn

OnProgress = Callable[[int, int], None]
"""How much is done, out of how much."""

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
