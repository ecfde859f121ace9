"""Reads every replica's health and metrics at a steady pace and keeps the last hours of them in bounded memory."""

from __future__ import annotations

import asyncio
import json
import socket
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, cast
from urllib.parse import urlsplit

import httpx
import structlog
from fastapi import Depends
from starlette.requests import Request

from console.system.sample import Sample, read, silent

log = structlog.get_logger()

KEPT = timedelta(hours=6)
CALL_SECONDS = 3.0
MOST_REPLICAS = 40
"""Over all services: the memory's bound, about 3 KB for a reading of a gateway."""
MOST_BYTES = 2 * 2**20
"""Of one answer."""


@dataclass(frozen=True, slots=True, order=True)
class Replica:
    service: str
    address: str
    """`host:port`, the host as an IP address where it was found by name."""


class Watch:
    """services: `name=http://host:port`, in the order in which they are shown."""

    def __init__(self, services: Sequence[str], *, poll_seconds: float) -> None:
        self.targets = [(name, url.rstrip("/")) for name, _, url in (one.partition("=") for one in services)]
        self.poll_seconds = poll_seconds
        self._kept = round(KEPT.total_seconds() / poll_seconds) + 1
        self._rings: dict[Replica, deque[Sample]] = {}
        self.left: frozenset[Replica] = frozenset()
        """Those that their service's name no longer leads to."""

    @property
    def names(self) -> list[str]:
        return list(dict.fromkeys(name for name, _ in self.targets))

    def keep(self, replica: Replica, sample: Sample) -> None:
        """A new replica beyond the bound takes the place of the one that answered longest ago."""
        if replica not in self._rings and len(self._rings) >= MOST_REPLICAS:
            del self._rings[min(self._rings, key=lambda one: self._rings[one][-1].at)]
        self._rings.setdefault(replica, deque(maxlen=self._kept)).append(sample)

    def since(self, start: datetime) -> dict[Replica, list[Sample]]:
        """Every replica with a reading in that time."""
        recent = {replica: [one for one in ring if one.at >= start] for replica, ring in self._rings.items()}
        return {replica: samples for replica, samples in recent.items() if samples}

    async def run(self, client: httpx.AsyncClient) -> None:
        """Until cancelled; at once, and then every `poll_seconds`."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self.poll_seconds):
                    await self.poll(client)
            await asyncio.sleep(self.poll_seconds)

    async def poll(self, client: httpx.AsyncClient) -> None:
        """One reading of every replica that its service's name leads to."""
        now = datetime.now(UTC)
        async with asyncio.TaskGroup() as group:
            lookups = [group.create_task(_replicas(name, url)) for name, url in self.targets]
        asked = {replica: url for task in lookups for replica, url in task.result().items()}
        async with asyncio.TaskGroup() as group:
            answers = {replica: group.create_task(_ask(client, url, now)) for replica, url in asked.items()}
        for replica, answer in answers.items():
            self.keep(replica, answer.result())
        self._part_from(asked, now)

    def _part_from(self, asked: Iterable[Replica], now: datetime) -> None:
        """Replicas whose name leads elsewhere now have left: what they did stays as long as all readings do."""
        for replica in [one for one, ring in self._rings.items() if now - ring[-1].at > KEPT]:
            del self._rings[replica]
        self.left = frozenset(self._rings) - frozenset(asked)


async def get_watch(request: Request) -> Watch:
    return cast(Watch, request.state.watch)


WatchDep = Annotated[Watch, Depends(get_watch)]


async def _replicas(name: str, url: str) -> dict[Replica, str]:
    """Every address of the service's host. A host that does not resolve is one replica that does not answer."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    loop = asyncio.get_running_loop()
    try:
        addresses = await loop.getaddrinfo(parts.hostname or "", port, family=socket.AF_INET, type=socket.SOCK_STREAM)
    except OSError:
        return {Replica(name, parts.netloc): url}
    hosts = sorted({str(address[4][0]) for address in addresses})
    if parts.scheme == "https" or not hosts:  # a certificate names the host
        return {Replica(name, parts.netloc): url}
    return {Replica(name, f"{host}:{port}"): f"http://{host}:{port}{parts.path}" for host in hosts}


async def _ask(client: httpx.AsyncClient, url: str, now: datetime) -> Sample:
    try:
        async with asyncio.timeout(CALL_SECONDS):
            health = await client.get(f"{url}/readyz")
            metrics = await client.get(f"{url}/metrics")
        if metrics.status_code != 200 or len(metrics.content) > MOST_BYTES:
            raise ValueError(f"metrics: status {metrics.status_code}, {len(metrics.content)} bytes")
        return read(now, health.status_code, _json(health), metrics.text)
    except (TimeoutError, httpx.HTTPError):
        return silent(now)
    except ValueError as error:
        log.warning("unreadable_metrics", url=url, reason=str(error)[:200])
        return silent(now)


def _json(response: httpx.Response) -> Mapping[str, object]:
    body = json.loads(response.content)
    return body if isinstance(body, Mapping) else {}
