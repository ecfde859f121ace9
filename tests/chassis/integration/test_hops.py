"""A hop between our own services, against a real server and against sockets that misbehave."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator

import pytest
import uvloop
from chassis.hops import Answer, Broken, Hop, NotConnected
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from tests.support.fakes.gateway import served


async def echo(request: Request) -> Response:
    headers = {"X-Path": request.scope["path"].encode("unicode_escape").decode(), "X-Query": str(request.query_params)}
    return Response(await request.body(), 201, {**headers, "X-Port": str(request.client and request.client.port)})


async def pieces(_: Request) -> Response:
    return StreamingResponse(b"x" * 1_000 for _ in range(200))


async def nothing(_: Request) -> Response:
    return Response(status_code=304, headers={"ETag": '"1"'})


async def last(_: Request) -> Response:
    return Response(b"bye", headers={"Connection": "close"})


async def slow(_: Request) -> Response:
    await asyncio.sleep(5)
    return Response()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    routes = [
        Route("/pieces", pieces),
        Route("/nothing", nothing),
        Route("/last", last),
        Route("/slow", slow),
        Route("/{path:path}", echo, methods=["GET", "POST"]),
    ]
    with served(Starlette(routes=routes)) as address:
        yield address


def ask(url: str, *paths: str, content: bytes | None = None) -> list[Answer]:
    """One after the other, so that they share a connection where they can."""

    async def all_of_them() -> list[Answer]:
        async with Hop(url) as hop:
            return [await hop.request("POST" if content else "GET", path, content=content) for path in paths]

    return uvloop.run(all_of_them())


def test_bodies_of_any_size_come_and_go_whole(url: str) -> None:
    for size in (1, 10_000, 900_000):
        answer = ask(url, "/a", content=bytes(range(256)) * (size // 256) + b"x")[0]
        assert (answer.status, len(answer.content)) == (201, size // 256 * 256 + 1)
    assert ask(url, "/pieces")[0].content == b"x" * 200_000


def test_calls_share_a_connection_unless_the_other_side_ends_it(url: str) -> None:
    first, empty, second, _, third = ask(url, "/a", "/nothing", "/b", "/last", "/c")
    assert (empty.status, empty.headers["etag"], empty.content) == (304, '"1"', b"")
    assert first.headers["x-port"] == second.headers["x-port"] != third.headers["x-port"]


def test_calls_at_once_get_each_its_own_answer(url: str) -> None:
    async def at_once() -> list[Answer]:
        async with Hop(url) as hop:
            return await asyncio.gather(*(hop.request("POST", "/", content=b"%d" % n) for n in range(50)))

    assert [answer.content for answer in uvloop.run(at_once())] == [b"%d" % number for number in range(50)]


def test_what_a_path_or_a_query_holds_is_not_taken_for_more(url: str) -> None:
    async def odd() -> tuple[Answer, Answer]:
        async with Hop(url) as hop:
            answer = await hop.request("GET", "/a b?c#d%2F/é", params={"name": "a&b=c\r\n", "n": 1})
            return answer, await hop.request("GET", "/nothing HTTP/1.1\r\n\r\n")

    answer, of_two_lines = uvloop.run(odd())
    assert of_two_lines.status == 404
    assert answer.headers["x-path"] == r"/a b?c#d%2F/\xe9"
    assert answer.headers["x-query"] == "name=a%26b%3Dc%0D%0A&n=1"


def test_a_header_of_two_lines_is_not_sent(url: str) -> None:
    async def smuggle() -> None:
        async with Hop(url) as hop:
            await hop.request("GET", "/", headers={"If-None-Match": "x\r\nX-API-Key: y"})

    with pytest.raises(ValueError, match="line end"):
        uvloop.run(smuggle())


def test_whoever_gives_up_takes_nobody_elses_answer(url: str) -> None:
    async def give_up() -> Answer:
        async with Hop(url) as hop:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await hop.request("GET", "/slow")
            return await hop.request("POST", "/", content=b"mine")

    assert uvloop.run(give_up()).content == b"mine"


def test_a_connection_that_was_closed_while_idle_is_replaced() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_answer_once_a_connection, args=(listener, 3), daemon=True).start()
        answers = ask(f"http://127.0.0.1:{listener.getsockname()[1]}", "/a", "/b", "/c")
    assert [answer.content for answer in answers] == [b"0", b"1", b"2"]


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", b"SSH-2.0\r\n\r\n"])
def test_what_breaks_off_or_is_no_http_is_broken(said: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_say, args=(listener, said), daemon=True).start()
        with pytest.raises(Broken):
            ask(f"http://127.0.0.1:{listener.getsockname()[1]}", "/")


def test_nobody_there_is_told_apart() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(NotConnected):
            ask(f"http://127.0.0.1:{taken.getsockname()[1]}", "/")
    with pytest.raises(ValueError, match="http://host:port"):
        Hop("features:8001")


def _answer_once_a_connection(listener: socket.socket, times: int) -> None:
    """And then closes it, without having said so."""
    for number in range(times):
        connection = listener.accept()[0]
        connection.recv(10_000)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d" % number)
        connection.close()


def _say(listener: socket.socket, what: bytes) -> None:
    connection = listener.accept()[0]
    connection.recv(10_000)
    connection.sendall(what)
    connection.close()
