"""Events that wait to be sent, in order. An event leaves once the gateway has it for certain, or refuses it by name."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable
from itertools import islice
from threading import Lock

from lenta_client.calls import MAX_BATCH
from lenta_client.errors import InvalidParameter, OutboxFull
from lenta_client.messages import Event

_PLACE = re.compile(r"events\.(\d+)(\..+)?")


class Outbox:
    """Any thread adds; one at a time sends: it takes a batch, then says what became of it."""

    def __init__(self, most: int) -> None:
        self._most, self._lock = most, Lock()
        self._events: deque[Event] = deque()

    def __len__(self) -> int:
        return len(self._events)

    def add(self, events: Iterable[Event]) -> None:
        """All of them. Raises OutboxFull, and then takes none."""
        new = list(events)
        with self._lock:
            if len(self._events) + len(new) > self._most:
                raise OutboxFull(
                    f"{len(self._events)} events wait for Lenta, which does not answer; {len(new)} not taken"
                )
            self._events += new

    def batch(self) -> list[Event]:
        """The oldest, at most MAX_BATCH; they stay until they are sent or refused."""
        with self._lock:
            return list(islice(self._events, MAX_BATCH))

    def sent(self, count: int) -> None:
        """So many of the oldest."""
        with self._lock:
            for _ in range(count):
                self._events.popleft()

    def refused(self, error: InvalidParameter) -> Event:
        """Takes out the event of the batch that the error names. Raises the error where it names none."""
        place = _PLACE.fullmatch(error.field or "")
        if place is None or int(place[1]) >= len(self._events):
            raise error
        with self._lock:
            event = self._events[int(place[1])]
            del self._events[int(place[1])]
        return event
