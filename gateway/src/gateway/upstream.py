"""The services behind the gateway. A call has a budget; only a refused connection is tried again.

UpstreamError
 |- Down            transport error, timeout, 429 or 5xx: the request is answered without it
 |- Refused         a 4xx of our own service: the caller's mistake where a call is forwarded, else a bug of ours
 |- Misunderstood   an answer that is not what was agreed: a bug
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self, TypeVar

import structlog
from chassis.deadline import Deadline
from chassis.hops import Broken, Hop, NotConnected
from contracts.degradation import Failure
from contracts.headers import TEXTS_VERSION
from prometheus_client import Histogram

from gateway.breaker import Breaker

CALL_SECONDS = 3.0
LATE_SECONDS = 0.05
"""A time-out that rings so late says that this process was held up, and nothing about the service."""
BUSY = 429
"""Of a service that is up and would not come to it in time: nobody's failure, and no sign of one."""
JSON = "application/json"
JSON_BODY = {"Content-Type": JSON}
ROW_BODY = {"Content-Type": "application/octet-stream"}

SECONDS = Histogram(
    "gateway_upstream_seconds",
    "Time of calls to other services.",
    ["service", "outcome"],
    buckets=(0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.03, 0.05, 0.12, 0.3, 1.0),
)

_TEXTS_VERSION = TEXTS_VERSION.lower()
T = TypeVar("T")
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    content_type: str
    content: bytes
    etag: str | None = None
    texts_version: str | None = None


class UpstreamError(Exception):
    """word: what went wrong. Whatever is not an outage is a bug."""

    word: Failure = "bug"


class Down(UpstreamError):
    """The service did not answer in time, or could not."""

    def __init__(self, service: str, word: Failure) -> None:
        super().__init__(f"{service}: {word}")
        self.word = word


class Refused(UpstreamError):
    def __init__(self, service: str, reply: Reply) -> None:
        super().__init__(f"{service} answered {reply.status}: {reply.content[:200].decode(errors='replace')}")
        self.reply = reply


class Misunderstood(UpstreamError):
    pass


class Upstream:
    """One kind of calls to one service. What fails together has one breaker: a service that cannot read histories,
    since Postgres is down, still gives rows."""

    def __init__(self, name: str, hop: Hop, seconds: float = CALL_SECONDS, breaker: Breaker | None = None) -> None:
        """seconds: the most that one call may take of its deadline."""
        self.name, self.seconds = name, seconds
        self._hop, self._breaker = hop, breaker or Breaker()

    def within(self, seconds: float) -> Self:
        """The same service and breaker, with another budget."""
        return type(self)(self.name, self._hop, seconds, self._breaker)

    @property
    def trouble(self) -> str | None:
        return f"{self.name} does not answer" if self._breaker.is_open else None

    async def ask(
        self,
        method: str,
        path: str,
        *,
        into: Callable[[bytes], T],
        deadline: Deadline | None = None,
        content: bytes | None = None,
        params: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> T:
        """For a request of our own: what `into` makes of the answer. Raises UpstreamError; a bug is logged here."""
        try:
            reply = await self.call(method, path, deadline=deadline, content=content, params=params, headers=headers)
        except Refused as error:
            self._log_bug(error)
            raise
        return self.read(reply, into)

    def read(self, reply: Reply, into: Callable[[bytes], T]) -> T:
        """Raises Misunderstood, and logs it, for bytes that `into` refuses with a ValueError."""
        try:
            return into(reply.content)
        except ValueError as error:
            self._log_bug(error)
            raise Misunderstood(f"{self.name}: {error}") from error

    async def call(
        self,
        method: str,
        path: str,
        *,
        deadline: Deadline | None = None,
        content: bytes | None = None,
        params: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """deadline: of the request that needs it; by default this call's own budget. Raises Down or Refused.

        The service is told until when this call waits, which may be less than its request has: nobody works for longer.
        """
        deadline = deadline or Deadline.after(self.seconds)
        budget = deadline.remaining(self.seconds)
        if budget <= 0:  # used up by others: says nothing about this service
            raise Down(self.name, "timeout")
        if not self._breaker.allows():
            raise Down(self.name, "open")
        sent = {**Deadline.after(budget).header(), **(headers or {})}
        started = time.perf_counter()
        try:
            async with asyncio.timeout(budget):
                try:
                    reply = await self._send(method, path, content, params, sent)
                except NotConnected:  # nobody listened, so nothing was sent
                    reply = await self._send(method, path, content, params, sent)
        except TimeoutError as error:
            if time.perf_counter() - started < budget + LATE_SECONDS:
                self._breaker.timed_out()
            raise self._down("timeout", started) from error
        except NotConnected as error:
            self._breaker.failed()
            raise self._down("refused", started) from error
        except Broken as error:
            self._breaker.failed()
            raise self._down("error", started) from error
        if reply.status >= 500:
            self._breaker.failed()
            raise self._down("error", started)
        self._breaker.succeeded()
        if reply.status == BUSY:
            raise self._down("timeout", started)
        SECONDS.labels(self.name, "answered").observe(time.perf_counter() - started)
        if reply.status >= 400:
            raise Refused(self.name, reply)
        return reply

    async def _send(
        self,
        method: str,
        path: str,
        content: bytes | None,
        params: Mapping[str, str | int] | None,
        headers: Mapping[str, str],
    ) -> Reply:
        answer = await self._hop.request(method, path, content=content, params=params, headers=headers)
        told = answer.headers
        content_type = told.get("content-type", "").split(";", 1)[0]
        return Reply(answer.status, content_type, answer.content, told.get("etag"), told.get(_TEXTS_VERSION))

    def _down(self, word: Failure, started: float) -> Down:
        SECONDS.labels(self.name, word).observe(time.perf_counter() - started)
        return Down(self.name, word)

    def _log_bug(self, error: Exception) -> None:
        log.error("own_service_misunderstood", upstream=self.name, error=str(error))


class Absent(Upstream):
    """A service that nobody set up."""

    def __init__(self, name: str) -> None:
        self.name, self.seconds = name, CALL_SECONDS

    async def call(self, *_: Any, **__: Any) -> Reply:
        raise Down(self.name, "refused")
