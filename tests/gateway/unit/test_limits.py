"""What is over the limit is refused at once, and whoever insists on the same connection waits for the next refusal."""

from __future__ import annotations

import asyncio
import json
import time

from gateway.limits import MOST_WAITING, PAUSE_SECONDS, Limits
from starlette.types import Message, Receive, Scope, Send

SELDOM = 0.5 * PAUSE_SECONDS
"""Less than a pause, and more than what a busy machine takes for nothing."""


class Held:
    """An app that answers when it is let."""

    def __init__(self) -> None:
        self.let = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.let.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"posts"})


class Caller:
    def __init__(self, limits: Limits, port: int, path: str = "/post/recommendations/") -> None:
        self._limits = limits
        self._scope = {"type": "http", "method": "GET", "path": path, "client": ("10.0.0.1", port), "headers": []}

    async def ask(self) -> tuple[int, float, list[Message]]:
        """The status, after how many seconds, and all that was sent."""
        sent, started = list[Message](), time.monotonic()

        async def receive() -> Message:
            return {"type": "http.request"}

        async def send(message: Message) -> None:
            sent.append(message)

        await self._limits(self._scope, receive, send)
        return sent[0]["status"], time.monotonic() - started, sent


async def full(app: Held, limits: Limits) -> list[asyncio.Task[tuple[int, float, list[Message]]]]:
    under_way = [asyncio.create_task(Caller(limits, port).ask()) for port in range(2)]
    await asyncio.sleep(0)
    return under_way


def test_a_refusal_is_at_once_and_says_when_to_come_again() -> None:
    async def refused() -> None:
        app = Held()
        limits = Limits(app, max_concurrent=2)
        under_way = await full(app, limits)
        status, seconds, (start, body) = await Caller(limits, 9).ask()
        assert (status, dict(start["headers"])[b"retry-after"]) == (503, b"1")
        assert seconds < SELDOM
        assert json.loads(body["body"])["error"] == "unavailable"
        assert dict(start["headers"])[b"content-length"] == b"%d" % len(body["body"])
        app.let.set()
        assert [(await task)[0] for task in under_way] == [200, 200]

    asyncio.run(refused())


def test_what_is_added_to_one_refusal_is_in_no_other() -> None:
    """Refusals once grew by two headers each: after some thousand, one took a millisecond and 100 kB."""

    async def refused_often() -> None:
        app = Held()
        limits = Limits(app, max_concurrent=2)
        under_way = await full(app, limits)
        sizes = set[int]()
        for port in range(10, 60):
            _, _, (start, _) = await Caller(limits, port).ask()
            sizes.add(len(start["headers"]))
            start["headers"].append((b"x-request-id", b"%d" % port))
        assert sizes == {3}
        app.let.set()
        await asyncio.gather(*under_way)

    asyncio.run(refused_often())


def test_whoever_insists_waits_and_others_do_not() -> None:
    async def insisting() -> None:
        app = Held()
        limits = Limits(app, max_concurrent=2)
        under_way = await full(app, limits)
        stubborn = Caller(limits, 9)
        assert (await stubborn.ask())[1] < SELDOM
        assert (await stubborn.ask())[1] > 0.9 * PAUSE_SECONDS
        assert (await Caller(limits, 10).ask())[1] < SELDOM
        app.let.set()
        await asyncio.gather(*under_way)
        status, seconds, _ = await stubborn.ask()
        assert (status, seconds < SELDOM) == (200, True)

    asyncio.run(insisting())


def test_many_who_are_taken_for_one_caller_wait_for_one_pause_and_not_for_each_other() -> None:
    async def behind_a_proxy() -> None:
        app = Held()
        limits = Limits(app, max_concurrent=2)
        under_way = await full(app, limits)
        answers = await asyncio.gather(*(Caller(limits, 0).ask() for _ in range(20)))
        assert max(seconds for _, seconds, _ in answers) < PAUSE_SECONDS + SELDOM
        app.let.set()
        await asyncio.gather(*under_way)

    asyncio.run(behind_a_proxy())


def test_the_more_refusals_wait_the_sooner_they_are_said() -> None:
    """So that what insists holds a bounded number of requests."""

    async def a_crowd() -> None:
        app = Held()
        limits = Limits(app, max_concurrent=2)
        under_way = await full(app, limits)
        await asyncio.gather(*(Caller(limits, port).ask() for port in range(100, 100 + MOST_WAITING)))
        answers = await asyncio.gather(*(Caller(limits, port).ask() for port in range(100, 100 + MOST_WAITING)))
        assert min(seconds for _, seconds, _ in answers) < SELDOM
        app.let.set()
        await asyncio.gather(*under_way)

    asyncio.run(a_crowd())


def test_a_kind_that_is_full_turns_away_no_other() -> None:
    async def other_kinds() -> None:
        app = Held()
        limits = Limits(app, max_concurrent=2)
        under_way = await full(app, limits)
        others = [asyncio.create_task(Caller(limits, 9, path).ask()) for path in ("/user/1", "/experiments", "/livez")]
        await asyncio.sleep(0)
        app.let.set()
        assert [(await task)[0] for task in (*under_way, *others)] == [200] * 5

    asyncio.run(other_kinds())
