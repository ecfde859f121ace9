"""Exposures that the log did not take when their answers were given: kept, and sent until it does.

A repetition changes nothing, since an exposure's key is its identity. What is kept is lost with the process, and beyond
`CAPACITY` the oldest give way; both are counted.
"""

from __future__ import annotations

import asyncio
from collections import deque

import structlog
from chassis.deadline import Deadline
from contracts.wire import Exposure
from prometheus_client import Counter, Gauge

from gateway.upstream import JSON_BODY, Down, Refused, Upstream

CAPACITY = 20_000
"""Some 20 MB; half a minute of answers under full load."""
RETRY_SECONDS = 0.5
CALL_SECONDS = 3.0

LOST = Counter("gateway_lost_exposures_total", "Answers whose exposure was never recorded.", ["group", "reason"])
WAITING = Gauge("gateway_waiting_exposures", "Exposures that the log has not taken yet.")
log = structlog.get_logger()


class WaitingExposures:
    def __init__(self, records: Upstream, capacity: int = CAPACITY) -> None:
        self._records, self._capacity = records.within(CALL_SECONDS), capacity
        self._waiting = deque[Exposure]()
        self._some = asyncio.Event()

    def keep(self, exposure: Exposure) -> None:
        if len(self._waiting) >= self._capacity:
            LOST.labels(self._waiting.popleft().group, "overflow").inc()
        self._waiting.append(exposure)
        WAITING.set(len(self._waiting))
        self._some.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._some.wait()
            await asyncio.sleep(RETRY_SECONDS)
            await self._send_all(Deadline.after(float("inf")))

    async def close(self) -> None:
        """A last try, once no more requests come; what fails then is counted as lost."""
        await self._send_all(Deadline.after(CALL_SECONDS))
        for exposure in self._waiting:
            LOST.labels(exposure.group, "stopped").inc()

    async def _send_all(self, deadline: Deadline) -> None:
        """Oldest first, until none is left or one is not taken."""
        while self._waiting and deadline.remaining() > 0:
            exposure = self._waiting.popleft()
            try:
                await self._send(exposure)
            except asyncio.CancelledError:  # the process stops: `close` sends it
                self._waiting.appendleft(exposure)
                raise
            except Down as error:
                self._waiting.appendleft(exposure)
                log.warning("exposures_wait", reason=error.word, exposures=len(self._waiting))
                return
            except Refused:  # a bug: sending it again would not help
                log.exception("exposure_refused")
                LOST.labels(exposure.group, "refused").inc()
            WAITING.set(len(self._waiting))
        self._some.clear()

    async def _send(self, exposure: Exposure) -> None:
        await self._records.call("POST", "/exposures", content=exposure.model_dump_json().encode(), headers=JSON_BODY)
