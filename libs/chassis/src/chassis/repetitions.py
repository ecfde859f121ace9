"""The same warning once a second, with how often it came since, instead of once an answer."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from time import monotonic

SECONDS = 1.0
REMEMBERED = 1_000
"""Of different warnings."""
VARYING = {"timestamp", "request_id"}
"""Fields in which two of the same may differ."""


class Repetitions(logging.Filter):
    """Of a handler: events of structlog and the standard library's records alike. clock: in seconds.

    The last ones of a series are counted by the next of its kind, and by nobody where there is none.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        super().__init__()
        self._clock, self._lock = clock, Lock()
        self._series: OrderedDict[object, tuple[float, int]] = OrderedDict()
        """By what was said: when last, and how often it was kept back since."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING:
            return True
        with self._lock:
            kept_back = self._kept_back(_said(record))
        if kept_back:
            _count(record, kept_back)
        return kept_back is not None

    def _kept_back(self, said: object) -> int | None:
        """How many of them there were since the last that was let through; None for one more to keep back."""
        now = self._clock()
        last, count = self._series.get(said, (float("-inf"), 0))
        if now - last < SECONDS:
            self._series[said] = (last, count + 1)
            return None
        self._series[said] = (now, 0)
        self._series.move_to_end(said)
        if len(self._series) > REMEMBERED:
            self._series.popitem(last=False)
        return count


def _said(record: logging.LogRecord) -> object:
    if isinstance(record.msg, dict):
        return (
            record.levelno,
            *sorted((name, str(value)) for name, value in record.msg.items() if name not in VARYING),
        )
    return (record.levelno, record.name, record.getMessage())


def _count(record: logging.LogRecord, kept_back: int) -> None:
    if isinstance(record.msg, dict):
        record.msg["repeated"] = kept_back
    else:
        record.msg, record.args = f"{record.getMessage()} ({kept_back} more since the last)", ()
