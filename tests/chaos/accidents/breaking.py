"""One part broken in one way under steady load, and what users saw of it."""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from pipeline.stack.servers import HOST

from tests.chaos.accidents import disk
from tests.chaos.accidents.ledger import Ledger
from tests.chaos.accidents.proxy import Proxy
from tests.chaos.accidents.supervised import STORES, Part, Platform
from tests.chaos.accidents.traffic import DEGRADED_ANSWER, FAILED, REFUSED, WHOLE, Answer, Log, Traffic

CALM_SECONDS = 2.0
"""Of whole answers and ready services: before an accident, and until it counts as over."""
PATIENCE_SECONDS = 30.0
LATE_SECONDS = 0.5
"""An answer that comes later is no whole one."""
SLOW_SECONDS = 0.25
POLL_SECONDS = 0.2
OPEN_SECONDS = 0.1
"""Before and after a kill: what was due then may have been open on what was killed."""


@dataclass(frozen=True, slots=True)
class Accident:
    """begin, end: of a part, and of the proxies by which it is reached. lasts: it goes on until its end."""

    name: str
    begin: Callable[[Part, Sequence[Proxy]], None]
    end: Callable[[Part, Sequence[Proxy]], None] = lambda part, doors: None
    lasts: bool = False


def _slow(doors: Iterable[Proxy], seconds: float) -> None:
    for door in doors:
        door.delay = seconds


NOTHING = Accident("nothing", lambda part, doors: None)
NOTHING_BY_PROXIES = Accident("nothing, by proxies", lambda part, doors: None)
"""What the proxies themselves cost: beside it stands what they make slow."""
SLOW = Accident("slow", lambda _, doors: _slow(doors, SLOW_SECONDS), lambda _, doors: _slow(doors, 0.0), lasts=True)
FULL = Accident(
    "full disk", lambda part, _: disk.fill(part.folder), lambda part, _: disk.empty(part.folder), lasts=True
)
STOPPED = Accident(
    "stopped", lambda part, _: part.send(signal.SIGSTOP), lambda part, _: part.send(signal.SIGCONT), lasts=True
)
ACCIDENTS = (
    Accident("killed", lambda part, _: part.send(signal.SIGKILL)),
    STOPPED,
    Accident("restarted", lambda part, _: part.restart()),
    FULL,
    SLOW,
)


@dataclass(frozen=True, slots=True)
class Measured:
    """recovered: seconds from the accident's end (a kill's and a restart's is its moment) to the last answer that was
    not whole, event that was not accepted at once, or service that was not ready. open: of the failed, those that were
    on their way when it happened. why: of what was not whole, with how often."""

    part: str
    accident: str
    asked: int = 0
    failed: int = 0
    open: int = 0
    refused: int = 0
    degraded: int = 0
    slowest: float = 0.0
    recovered: float = 0.0
    events: int = 0
    lost: int = 0
    doubled: int = 0
    never_accepted: int = 0
    unrecorded: int = 0
    otherwise: int = 0
    why: str = ""
    skipped: str = ""


@dataclass(frozen=True)
class Trial:
    """doors: by part, the proxies by which others reach it. seconds: of an accident that lasts."""

    platform: Platform
    ledger: Ledger
    doors: Mapping[str, Sequence[Proxy]]
    users: range
    rate: float
    seconds: float
    logs: Path

    async def measure(self, traffic: Traffic, name: str, accident: Accident) -> Measured:
        part = self.platform.parts[name]
        if accident is FULL and not disk.is_own(part.folder):
            return Measured(name, accident.name, skipped="no tmpfs could be mounted here")
        before = await asyncio.to_thread(self.ledger.counts, self.users)
        over, troubles = asyncio.Event(), list[float]()
        users = asyncio.create_task(traffic.run(self.rate, over))
        watch = asyncio.create_task(self._watch(troubles))
        await asyncio.sleep(CALM_SECONDS)
        began = time.monotonic()
        ended = await self._break(part, self.doors.get(name, ()), accident)
        await self._calm(traffic.log, troubles, ended)
        over.set()
        await users
        watch.cancel()
        traffic.log.write(self.logs / f"{name}-{accident.name.replace(' ', '-')}.jsonl")
        balance = await asyncio.to_thread(self.ledger.balance, traffic.log, before)
        seen = [answer for answer in traffic.log.answers if answer.came > began]
        return Measured(
            part=name,
            accident=accident.name,
            **_told(seen, began),
            recovered=round(max(_last(traffic.log, troubles) - ended, 0.0), 2),
            events=len(traffic.log.sent),
            lost=balance.lost,
            doubled=balance.doubled,
            never_accepted=traffic.log.never_accepted,
            unrecorded=balance.unrecorded,
            otherwise=balance.otherwise,
        )

    async def _break(self, part: Part, doors: Sequence[Proxy], accident: Accident) -> float:
        """When it was over."""
        ended = time.monotonic()
        await asyncio.to_thread(accident.begin, part, doors)
        if accident.lasts:
            await asyncio.sleep(self.seconds)
            ended = time.monotonic()
            await asyncio.to_thread(accident.end, part, doors)
        return ended

    async def _calm(self, log: Log, troubles: Sequence[float], ended: float) -> None:
        while time.monotonic() < ended + PATIENCE_SECONDS:
            await asyncio.sleep(POLL_SECONDS)
            if time.monotonic() - max(ended, _last(log, troubles)) > CALM_SECONDS:
                return

    async def _watch(self, troubles: list[float]) -> None:
        """Notes when a service is not ready; until cancelled."""
        ports = [part.port for part in self.platform.parts.values() if part.name not in STORES]
        timeout = aiohttp.ClientTimeout(total=2 * POLL_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as http:
            while True:
                asked = time.monotonic()
                if not all(await asyncio.gather(*(_is_ready(http, port) for port in ports))):
                    troubles.append(asked)
                await asyncio.sleep(POLL_SECONDS)


async def _is_ready(http: aiohttp.ClientSession, port: int) -> bool:
    with suppress(aiohttp.ClientError, OSError, TimeoutError):
        async with http.get(f"http://{HOST}:{port}/readyz") as answer:
            return answer.status == 200
    return False


def _is_whole(answer: Answer) -> bool:
    return answer.kind == WHOLE and answer.came - answer.due < LATE_SECONDS


def _last(log: Log, troubles: Sequence[float]) -> float:
    """The moment of the last trouble; 0 without any."""
    asked = (answer.due for answer in log.answers if not _is_whole(answer))
    told = (one.came for one in log.sent if one.tries > 1)
    return max((*asked, *told, *troubles), default=0.0)


def _told(answers: Sequence[Answer], began: float) -> dict[str, Any]:
    kinds, why = Counter(answer.kind for answer in answers), Counter(answer.why for answer in answers if answer.why)
    of_open = [answer for answer in answers if answer.kind == FAILED and answer.due < began + OPEN_SECONDS]
    return {
        "asked": len(answers),
        "failed": kinds[FAILED],
        "open": len(of_open),
        "refused": kinds[REFUSED],
        "degraded": kinds[DEGRADED_ANSWER],
        "slowest": round(max((answer.came - answer.due for answer in answers), default=0.0), 2),
        "why": ", ".join(f"{word} {many}" for word, many in why.most_common(3)),
    }
