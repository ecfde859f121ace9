"""The services behind the gateway. A call has a budget; only a refused connection is tried again.

UpstreamError
 |- Down      transport error, timeout or 5xx: the request is answered without it
 |- Refused   a 4xx of our own service: somebody's mistake, handed on to the caller or logged as a bug
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

import httpx
from chassis.clients import was_cut, was_refused
from chassis.deadline import Deadline
from prometheus_client import Histogram

from gateway.breaker import Breaker

SECONDS = Histogram(
    "gateway_upstream_seconds",
    "Time of calls to other services.",
    ["service", "outcome"],
    buckets=(0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.03, 0.05, 0.12, 0.3, 1.0),
)


class UpstreamError(Exception):
    pass


class Down(UpstreamError):
    """The service did not answer in time, or could not. `reason` is one word: timeout, refused, error, open."""

    def __init__(self, service: str, reason: str) -> None:
        super().__init__(f"{service}: {reason}")
        self.service, self.reason = service, reason


class Refused(UpstreamError):
    def __init__(self, service: str, response: httpx.Response) -> None:
        super().__init__(f"{service} answered {response.status_code}: {response.text[:200]}")
        self.response = response


class Upstream:
    """One kind of calls to one service. What fails together has one breaker: a service that cannot read histories,
    since Postgres is down, still gives rows."""

    def __init__(self, name: str, client: httpx.AsyncClient) -> None:
        self.name, self._client, self._breaker = name, client, Breaker()

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
    ) -> httpx.Response:
        """at_most: seconds of the deadline that this call may take. Raises Down or Refused."""
        budget = deadline.remaining(at_most)
        if budget <= 0:  # used up by others: says nothing about this service
            raise Down(self.name, "timeout")
        if not self._breaker.allows():
            raise Down(self.name, "open")
        request = self._client.build_request(
            method, path, content=content, params=params, headers={**deadline.header(), **(headers or {})}
        )
        started = time.perf_counter()
        try:
            async with asyncio.timeout(budget):
                response = await self._send(request)
        except TimeoutError as error:
            raise self._down("timeout", started) from error
        except httpx.HTTPError as error:
            raise self._down(_reason(error), started) from error
        if response.status_code >= 500:
            raise self._down("error", started)
        self._breaker.succeeded()
        SECONDS.labels(self.name, "answered").observe(time.perf_counter() - started)
        if response.status_code >= 400:
            raise Refused(self.name, response)
        return response

    async def _send(self, request: httpx.Request) -> httpx.Response:
        try:
            return await self._client.send(request)
        except httpx.HTTPError as error:
            if not was_refused(error):
                raise
            return await self._client.send(request)

    def _down(self, reason: str, started: float) -> Down:
        self._breaker.failed()
        SECONDS.labels(self.name, reason).observe(time.perf_counter() - started)
        return Down(self.name, reason)


def _reason(error: httpx.HTTPError) -> str:
    if was_refused(error):
        return "refused"
    return "timeout" if isinstance(error, httpx.TimeoutException) and not was_cut(error) else "error"
