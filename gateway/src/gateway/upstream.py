"""The services behind the gateway. A call has a budget; only a refused connection is tried again.

UpstreamError
 |- Down      transport error, timeout or 5xx: the request is answered without it
 |- Refused   a 4xx of our own service: somebody's mistake, handed on to the caller or logged as a bug
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import httpx
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
    def __init__(self, name: str, client: httpx.AsyncClient) -> None:
        self.name, self._client, self._breaker = name, client, Breaker()

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
        if not self._breaker.allows():
            raise Down(self.name, "open")
        budget = deadline.remaining(at_most)
        sent = {**deadline.header(), **(headers or {})}
        started = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(budget):
                response = await self._send(method, path, content, params, sent)
        except (TimeoutError, httpx.TimeoutException) as error:
            raise self._down("timeout", started) from error
        except httpx.ConnectError as error:
            raise self._down("refused", started) from error
        except httpx.HTTPError as error:
            raise self._down("error", started) from error
        if response.status_code >= 500:
            raise self._down("error", started)
        self._breaker.succeeded()
        SECONDS.labels(self.name, "answered").observe(asyncio.get_running_loop().time() - started)
        if response.status_code >= 400:
            raise Refused(self.name, response)
        return response

    async def _send(
        self,
        method: str,
        path: str,
        content: bytes | None,
        params: Mapping[str, str | int] | None,
        headers: Mapping[str, str],
    ) -> httpx.Response:
        try:
            return await self._client.request(method, path, content=content, params=params, headers=headers)
        except httpx.ConnectError:
            return await self._client.request(method, path, content=content, params=params, headers=headers)

    def _down(self, reason: str, started: float) -> Down:
        self._breaker.failed()
        SECONDS.labels(self.name, reason).observe(asyncio.get_running_loop().time() - started)
        return Down(self.name, reason)
