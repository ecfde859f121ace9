"""Who was assigned where: reported to feature-service once per user and weight period, whatever becomes of the request.

The sample-ratio check counts these, and not exposures, which failures distort. A process reports what it has not
reported yet; Postgres ignores repetitions, so that forgetting costs a line on the wire and nothing else. One that is
killed loses half a second's lines, of all groups alike, and reports them at these users' next requests.
"""

from __future__ import annotations

import asyncio
from array import array
from collections import deque
from collections.abc import Iterable
from datetime import datetime

import structlog
from chassis.deadline import Deadline
from prometheus_client import Counter, Gauge

from gateway.split import Enrolment
from gateway.upstream import JSON_BODY, Down, Refused, Upstream

BATCH = 500
"""Lines per call. At most `contracts.wire.MAX_BATCH`; fewer hold up feature-service for less long."""
CAPACITY = 50_000
"""Lines that wait while feature-service is down, some 10 MB."""
WAYS = 4
ENTRY_BYTES = 8
FLUSH_SECONDS = 0.5
RETRY_SECONDS = 1.0
CALL_SECONDS = 3.0
RUN_SECONDS = 60.0

LOST = Counter("gateway_lost_assignments_total", "Assignments that feature-service never heard of.", ["reason"])
WAITING = Gauge("gateway_waiting_assignments", "Assignments that feature-service has not taken yet.")
log = structlog.get_logger()


class RecentlyReported:
    """A set of 64-bit hashes in a fixed number of bytes: sets of four, in each the longest unused gives way.

    Two keys with one hash are taken for one: once in some 10^13 lookups of a full table.
    """

    def __init__(self, capacity: int) -> None:
        """capacity: bytes; rounded down to a power of two."""
        sets = 1 << (max(capacity // (ENTRY_BYTES * WAYS), 1).bit_length() - 1)
        self._mask = sets - 1
        self._hashes = array("q", bytes(sets * WAYS * ENTRY_BYTES))

    @property
    def nbytes(self) -> int:
        return len(self._hashes) * self._hashes.itemsize

    def __contains__(self, key: tuple[str, int, int]) -> bool:
        """As of its latest use: what is looked for stays longer."""
        hashed, first = self._place(key)
        hashes = self._hashes
        if hashes[first] == hashed:
            return True
        for place in range(first + 1, first + WAYS):
            if hashes[place] == hashed:
                hashes[first + 1 : place + 1] = hashes[first:place]
                hashes[first] = hashed
                return True
        return False

    def add(self, key: tuple[str, int, int]) -> None:
        hashed, first = self._place(key)
        self._hashes[first + 1 : first + WAYS] = self._hashes[first : first + WAYS - 1]
        self._hashes[first] = hashed

    def _place(self, key: tuple[str, int, int]) -> tuple[int, int]:
        hashed = hash(key) or 1  # 0 is an empty place
        return hashed, (hashed & self._mask) * WAYS


class AssignmentReporter:
    """Noted on the hot path, sent beside it."""

    def __init__(self, records: Upstream, reported: RecentlyReported, capacity: int = CAPACITY) -> None:
        self._records, self._reported, self._capacity = records.within(CALL_SECONDS), reported, capacity
        self._waiting = deque[bytes]()
        self._some = asyncio.Event()

    def note(self, user_id: int, enrolments: Iterable[Enrolment], at: datetime) -> None:
        """A line for each experiment that has not heard of this user in this weight period."""
        for experiment, assignment in enrolments:
            key = (experiment.name, user_id, assignment.weight_period)
            if key in self._reported:
                continue
            if len(self._waiting) >= self._capacity:
                LOST.labels("overflow").inc()
                continue  # not noted as reported: the user's next request tries again
            self._reported.add(key)
            self._waiting.append(_line(user_id, experiment.name, assignment.group, assignment.weight_period, at))
            self._some.set()

    async def run(self) -> None:
        """Until cancelled: sends what is waiting in batches, and again what was not taken."""
        while True:
            await self._some.wait()
            await asyncio.sleep(FLUSH_SECONDS)
            if not await self._flush(Deadline.after(RUN_SECONDS)):
                await asyncio.sleep(RETRY_SECONDS)

    async def close(self) -> None:
        """A last try, once no more requests come; what fails then is counted as lost."""
        if not await self._flush(Deadline.after(CALL_SECONDS)):
            LOST.labels("stopped").inc(len(self._waiting))
            log.error("assignments_lost", lines=len(self._waiting))

    async def _flush(self, deadline: Deadline) -> bool:
        """Whether all that waited was taken by then."""
        while self._waiting:
            batch = [self._waiting[place] for place in range(min(BATCH, len(self._waiting)))]
            try:
                await self._send(batch, deadline)
            except Down as error:
                log.warning("assignments_wait", reason=error.word, lines=len(self._waiting))
                WAITING.set(len(self._waiting))
                return False
            except Refused:  # a bug: sending it again would not help
                log.exception("assignments_refused")
                LOST.labels("refused").inc(len(batch))
            for _ in batch:
                self._waiting.popleft()
        self._some.clear()
        WAITING.set(0)
        return True

    async def _send(self, batch: list[bytes], deadline: Deadline) -> None:
        content = b'{"assigned":[' + b",".join(batch) + b"]}"
        await self._records.call("POST", "/assignments", content=content, deadline=deadline, headers=JSON_BODY)


def _line(user_id: int, experiment: str, group: str, weight_period: int, at: datetime) -> bytes:
    """An `Assigned` as JSON. None of its strings can hold what JSON escapes; as bytes it is a tenth of the object."""
    return (
        f'{{"experiment":"{experiment}","user_id":{user_id},"group":"{group}",'
        f'"weight_period":{weight_period},"at":"{at.isoformat()}"}}'
    ).encode()
