"""The services behind the gateway. A call has a budget; only a refused connection is tried again.

UpstreamError
 |- Down      transport error, timeout or 5xx: the request is answered without it
 |- Refused   a 4xx of our own service: somebody's mistake, handed on to the caller or logged as a bug
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp
import structlog
from chassis.deadline import Deadline
from prometheus_client import Histogram

from gateway.breaker import Breaker

SECONDS = Histogram(
    "gateway_upstream_seconds",
    "Time of calls to other services.",
    ["service", "outcome"],
    buckets=(0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.03, 0.05, 0.12, 0.3, 1.0),
)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    content_type: str
    content: bytes
    etag: str | None = None


class UpstreamError(Exception):
    pass


class Down(UpstreamError):
    """The service did not answer in time, or could not. `reason` is one word: timeout, refused, error, open."""

    def __init__(self, service: str, reason: str) -> None:
        super().__init__(f"{service}: {reason}")
        self.service, self.reason = service, reason


class Refused(UpstreamError):
    def __init__(self, service: str, reply: Reply) -> None:
        super().__init__(f"{service} answered {reply.status}: {reply.content[:200].decode(errors='replace')}")
        self.reply = reply


class Upstream:
    """One kind of calls to one service. What fails together has one breaker: a service that cannot read histories,
    since Postgres is down, still gives rows."""

    def __init__(self, name: str, session: aiohttp.ClientSession) -> None:
        self.name, self._session, self._breaker = name, session, Breaker()

    @property
    def trouble(self) -> str | None:
        return f"{self.name} does not answer" if self._breaker.is_open else None

    async def call(
        self,
        method: str,
        path: str,
        *,
        deadline: Deadline,
        at_most: float,
        content: bytes | None = None,
        params: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """at_most: seconds of the deadline that this call may take. Raises Down or Refused."""
        budget = deadline.remaining(at_most)
        if budget <= 0:  # used up by others: says nothing about this service
            raise Down(self.name, "timeout")
        if not self._breaker.allows():
            raise Down(self.name, "open")
        sent = {**deadline.header(), **(headers or {})}
        started = time.perf_counter()
        try:
            async with asyncio.timeout(budget):
                try:
                    reply = await self._send(method, path, content, params, sent)
                except aiohttp.ClientConnectorError:  # nobody listened, so nothing was sent
                    reply = await self._send(method, path, content, params, sent)
        except TimeoutError as error:
            raise self._down("timeout", started) from error
        except aiohttp.ClientConnectorError as error:
            raise self._down("refused", started) from error
        except aiohttp.ClientError as error:
            raise self._down("error", started) from error
        if reply.status >= 500:
            raise self._down("error", started)
        self._breaker.succeeded()
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
        async with self._session.request(method, path, data=content, params=params, headers=headers) as response:
            content = await response.read()
            return Reply(response.status, response.content_type, content, response.headers.get("ETag"))

    def _down(self, reason: str, started: float) -> Down:
        self._breaker.failed()
        SECONDS.labels(self.name, reason).observe(time.perf_counter() - started)
        return Down(self.name, reason)


def in_a_word(what: str, error: Exception) -> str:
    """The reason in one word. What our own service says wrongly or refuses is a bug, not an outage: it is logged as one."""
    if isinstance(error, Down):
        return f"{what}_{error.reason}"
    log.error("own_service_misunderstood", what=what, error=str(error))
    return f"{what}_bug"
