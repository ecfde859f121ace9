"""What both clients can be told."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from lenta_client.errors import InvalidParameter
from lenta_client.messages import Event

log = logging.getLogger("lenta_client")


def log_refused(event: Event, error: InvalidParameter) -> None:
    log.error("an event is refused and left out: %s: %r", error, event)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Times in seconds.

    timeout: of one attempt, each time that nothing comes. patience: a call that finds the gateway unavailable is tried
    again for so long; event_patience: the same of `flush` and of closing. linger: how long an event may wait for others
    to go with it. most_waiting: events that the client keeps while the gateway does not answer. on_refused: gets an
    event that the gateway will never take; by default it is logged.
    """

    timeout: float = 5.0
    patience: float = 2.0
    event_patience: float = 30.0
    linger: float = 0.5
    most_waiting: int = 100_000
    on_refused: Callable[[Event, InvalidParameter], None] = field(default=log_refused)
