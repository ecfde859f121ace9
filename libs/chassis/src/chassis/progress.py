"""Progress of long work, reported to whoever watches: a bar in a terminal, a log line, or nobody."""

from __future__ import annotations

from collections.abc import Callable

OnProgress = Callable[[int, int], None]
"""Called with how much is done, and out of how much."""


def silent(done: int, total: int) -> None:
    """Nobody watches."""


def share_of(on_progress: OnProgress, low: int, high: int) -> OnProgress:
    """The progress of a part, reported as that of the whole: between `low` and `high` of a hundred."""

    def report(done: int, total: int) -> None:
        on_progress(low + (high - low) * done // max(total, 1), 100)

    return report
