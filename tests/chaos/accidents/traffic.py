"""Users at a steady rate, who keep a log of their own of what they were answered and what was accepted from them.

An open loop: requests come at a rate whatever becomes of them. Who is answered views the five posts and likes some; the
events are sent until they are accepted, under the same keys, as a client does.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import aiohttp
from contracts.headers import API_KEY, DEGRADED, REQUEST_ID

GIVEN_UP_SECONDS = 15.0
"""Longer than anything is stopped."""
AGAIN_SECONDS = 0.2
LIKE_RATE = 0.1
WHOLE, DEGRADED_ANSWER, REFUSED, FAILED = "whole", "degraded", "refused", "failed"


@dataclass(frozen=True, slots=True)
class Answer:
    """due, came: seconds of the monotonic clock. key: by which its exposure is recorded."""

    due: float
    came: float
    kind: str
    why: str = ""
    user: int = 0
    key: str = ""
    posts: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Event:
    """timestamp: UTC without a zone, and of no other event of this client."""

    key: str
    user_id: int
    post_id: int
    action: str
    timestamp: datetime

    def message(self, request_id: str) -> dict[str, str | int]:
        when = {"timestamp": self.timestamp.isoformat(), "request_id": request_id}
        return {"key": self.key, "user_id": self.user_id, "post_id": self.post_id, "action": self.action, **when}


@dataclass(frozen=True, slots=True)
class Sent:
    """An event that was accepted, at the `tries`-th try."""

    event: Event
    came: float
    tries: int


@dataclass
class Log:
    """Of the client. What is kept in memory is written to a file by `write`."""

    answers: list[Answer] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)
    never_accepted: int = 0

    def write(self, path: Path) -> None:
        kept: list[Answer | Sent] = [*self.answers, *self.sent]
        lines = [json.dumps(asdict(one), default=str) for one in kept]
        path.write_text("\n".join(lines) + "\n")


class Traffic:
    """users: of whom one is drawn for every request."""

    def __init__(self, url: str, api_key: str, users: range, rng: random.Random) -> None:
        self._url, self._headers, self._users, self._rng = url, {API_KEY: api_key}, users, rng
        self._latest = _now()
        self.log = Log()

    async def run(self, rate: float, over: asyncio.Event) -> None:
        """Until `over`, and until what was begun has been answered and accepted."""
        timeout = aiohttp.ClientTimeout(total=GIVEN_UP_SECONDS)
        session = aiohttp.ClientSession(self._url, timeout=timeout, connector=aiohttp.TCPConnector(limit=0))
        async with session as http, asyncio.TaskGroup() as users:
            due = time.monotonic()
            while not over.is_set():
                due += self._rng.expovariate(rate)
                await asyncio.sleep(max(due - time.monotonic(), 0))
                users.create_task(self._scroll(http, due, self._rng.choice(self._users)))

    async def _scroll(self, http: aiohttp.ClientSession, due: float, user: int) -> None:
        answer = await self._ask(http, due, user)
        self.log.answers.append(answer)
        if answer.posts:
            await self._tell(http, answer)

    async def _ask(self, http: aiohttp.ClientSession, due: float, user: int) -> Answer:
        try:
            async with http.get("/post/recommendations/", params={"id": str(user)}, headers=self._headers) as answer:
                body, headers, status = await answer.json(), answer.headers, answer.status
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            return Answer(due, time.monotonic(), FAILED, type(error).__name__)
        if status != 200:
            return Answer(due, time.monotonic(), REFUSED if "Retry-After" in headers else FAILED, str(status))
        why = headers.get(DEGRADED, "")
        posts = [post["id"] for post in body["recommendations"]]
        kind = DEGRADED_ANSWER if why else WHOLE
        return Answer(due, time.monotonic(), kind, why, user, headers[REQUEST_ID], posts)

    async def _tell(self, http: aiohttp.ClientSession, answer: Answer) -> None:
        events = [self._event(answer.user, post, "view") for post in answer.posts]
        if self._rng.random() < LIKE_RATE:
            events.append(self._event(answer.user, self._rng.choice(answer.posts), "like"))
        tries, until = 1, time.monotonic() + 2 * GIVEN_UP_SECONDS
        while not await self._accepted(http, [event.message(answer.key) for event in events]):
            if time.monotonic() > until:
                self.log.never_accepted += len(events)
                return
            await asyncio.sleep(AGAIN_SECONDS)
            tries += 1
        self.log.sent += [Sent(event, time.monotonic(), tries) for event in events]

    def _event(self, user: int, post: int, action: str) -> Event:
        self._latest = max(_now(), self._latest + timedelta(microseconds=1))
        return Event(uuid4().hex, user, post, action, self._latest)

    async def _accepted(self, http: aiohttp.ClientSession, events: list[dict[str, str | int]]) -> bool:
        try:
            async with http.post("/events", json={"events": events}, headers=self._headers) as answer:
                return answer.status == 202
        except (aiohttp.ClientError, OSError, TimeoutError):
            return False


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
