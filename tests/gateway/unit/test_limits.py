"""What is over the limit of its kind is refused, at the door or once its body is here."""

from __future__ import annotations

import asyncio
import json

import pytest
from gateway.limits import Limits, WithinLimits
from starlette.types import Message, Receive, Scope, Send

MOST = 2


class Held:
    """An app that answers when it is let."""

    def __init__(self) -> None:
        self.let = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.let.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"posts"})


class Gateway:
    def __init__(self) -> None:
        self.app, self.limits = Held(), Limits(MOST)
        self._inside = WithinLimits(self.app, self.limits)

    async def ask(self, path: str = "/post/recommendations/", method: str = "GET") -> list[Message]:
        """All that was sent; nothing by the app where the door turned it away."""
        sent: list[Message] = []
        scope: Scope = {"type": "http", "method": method, "path": path, "client": ("10.0.0.1", 9), "headers": []}

        async def receive() -> Message:
            return {"type": "http.request"}

        async def send(message: Message) -> None:
            sent.append(message)

        if entered := self.limits.door.enter(scope, self._inside):
            await entered(scope, receive, send)
        return sent

    async def fill(self, method: str = "GET") -> list[asyncio.Task[list[Message]]]:
        under_way = [asyncio.create_task(self.ask(method=method)) for _ in range(MOST)]
        await asyncio.sleep(0)
        return under_way

    async def let(self, under_way: list[asyncio.Task[list[Message]]]) -> None:
        self.app.let.set()
        assert [status(await task) for task in under_way] == [200] * len(under_way)


def status(sent: list[Message]) -> int:
    return int(sent[0]["status"]) if sent else 0


def test_a_full_gateway_turns_away_at_the_door_and_lets_in_again() -> None:
    async def full() -> None:
        gateway = Gateway()
        under_way = await gateway.fill()
        assert await gateway.ask() == []
        await gateway.let(under_way)
        assert status(await gateway.ask()) == 200

    asyncio.run(full())


def test_as_many_enter_at_once_as_there_are_places() -> None:
    """All of them are asked for before any of them has begun: a door that only looked would let them all in."""

    async def at_once() -> None:
        gateway = Gateway()
        asked = [asyncio.create_task(gateway.ask()) for _ in range(20)]
        await asyncio.sleep(0)
        gateway.app.let.set()
        assert [status(sent) for sent in await asyncio.gather(*asked)].count(200) == MOST

    asyncio.run(at_once())


def test_what_the_door_let_in_is_refused_inside_with_words() -> None:
    async def inside() -> None:
        gateway = Gateway()
        under_way = await gateway.fill("POST")
        start, body = await gateway.ask(method="POST")
        assert (start["status"], dict(start["headers"])[b"retry-after"]) == (503, b"1")
        assert json.loads(body["body"])["error"] == "unavailable"
        assert dict(start["headers"])[b"content-length"] == b"%d" % len(body["body"])
        await gateway.let(under_way)

    asyncio.run(inside())


def test_what_is_added_to_one_refusal_is_in_no_other() -> None:
    """Refusals once grew by two headers each: after some thousand, one took a millisecond and 100 kB."""

    async def refused_often() -> None:
        gateway = Gateway()
        under_way = await gateway.fill("POST")
        for number in range(50):
            start, _ = await gateway.ask(method="POST")
            assert len(start["headers"]) == 3
            start["headers"].append((b"x-request-id", b"%d" % number))
        await gateway.let(under_way)

    asyncio.run(refused_often())


@pytest.mark.parametrize("path", ["/user/1", "/experiments", "/livez", "/v1/post/1"])
def test_a_kind_that_is_full_turns_away_no_other(path: str) -> None:
    async def other_kind() -> None:
        gateway = Gateway()
        under_way = [*await gateway.fill(), asyncio.create_task(gateway.ask(path))]
        await asyncio.sleep(0)
        await gateway.let(under_way)

    asyncio.run(other_kind())


@pytest.mark.parametrize("path", ["/v1/post/recommendations", "/test/post/recommendations/"])
def test_a_call_is_of_one_kind_however_it_is_written(path: str) -> None:
    async def written() -> None:
        gateway = Gateway()
        under_way = await gateway.fill()
        assert await gateway.ask(path) == []
        await gateway.let(under_way)

    asyncio.run(written())
