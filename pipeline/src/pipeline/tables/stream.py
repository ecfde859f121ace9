"""What comes, in batches that nobody waits for: a stream that pauses is handed on as far as it has come."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import TypeVar

PAUSE_SECONDS = 0.5
T = TypeVar("T")


def prompt_batches(items: Iterable[T], size: int, pause_seconds: float = PAUSE_SECONDS) -> Iterator[list[T]]:
    """At most `size` each; fewer once nothing has come for a moment. What reading them raises is raised here, after
    those that came before. Reads ahead by one batch."""
    waiting: queue.Queue[T | _End] = queue.Queue(size)
    threading.Thread(target=_read, args=(items, waiting), name="reading", daemon=True).start()
    while True:
        batch: list[T] = []
        end = _fill(batch, waiting, size, pause_seconds)
        if batch:
            yield batch
        if end is not None:
            if end.error is not None:
                raise end.error
            return


class _End:
    def __init__(self, error: Exception | None = None) -> None:
        self.error = error


def _read(items: Iterable[T], waiting: queue.Queue[T | _End]) -> None:
    try:
        for item in items:
            waiting.put(item)
        waiting.put(_End())
    except Exception as error:  # noqa: BLE001  who takes the batches gets it
        waiting.put(_End(error))


def _fill(batch: list[T], waiting: queue.Queue[T | _End], size: int, pause_seconds: float) -> _End | None:
    """Waits for the first as long as it takes."""
    while len(batch) < size:
        try:
            item = waiting.get(timeout=pause_seconds if batch else None)
        except queue.Empty:
            return None
        if isinstance(item, _End):
            return item
        batch.append(item)
    return None
