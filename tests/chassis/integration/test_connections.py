"""What a connection may do, over real sockets, with limits so small that a test is quick."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, suppress

import pytest
from chassis import bodies, connections
from chassis.service import create_service
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from tests.support.callers import answer, connected, trickling
from tests.support.fakes.gateway import served

router = APIRouter()
KEYED = b"X-May-Send: 1\r\n"


async def _size(request: Request) -> Response:
    return Response(str(len(await request.body())))


async def _endless(_: Request) -> Response:
    return Response(b"x" * 32 * 2**20)


async def _busy(_: Request) -> Response:
    await asyncio.sleep(1)
    return Response(b"done")


router.add_route("/size", _size, ["POST"])
router.add_route("/endless", _endless)
router.add_route("/busy", _busy)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    @asynccontextmanager
    async def lifespan(_: object) -> AsyncIterator[Mapping[str, int]]:
        yield {}

    made = create_service(
        "small",
        version="1",
        lifespan=lifespan,
        routers=[router],
        checks={},
        admits=lambda scope: any(name == b"x-may-send" for name, _ in scope["headers"]),
    )
    with served(made) as url:
        yield url


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "SECONDS", {"head": 0.4, "body": 0.8})
    monkeypatch.setattr(connections, "WRITE_SECONDS", 0.4)
    monkeypatch.setattr(bodies, "BODY_SECONDS", 0.4)


def post(body: bytes, *more: bytes) -> bytes:
    head = b"POST /size HTTP/1.1\r\nHost: h\r\nConnection: close\r\n" + b"".join(more)
    return head + f"Content-Length: {len(body)}\r\n\r\n".encode() + body


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(b"", id="silent"),
        pytest.param(b"GET /livez HTTP/1.1\r\nX-Odd: ", id="in its head"),
        pytest.param(b"GET /livez HTTP/1.1\r\nHost: h\r\n\r\n\r\n", id="after its first answer"),
        pytest.param(b"POST /nowhere HTTP/1.1\r\nHost: h\r\nContent-Length: 900\r\n\r\n", id="in a body nobody reads"),
    ],
)
def test_a_connection_that_takes_too_long_is_closed(url: str, first: bytes) -> None:
    started = time.monotonic()
    with trickling(url, first, callers=1) as (one,):
        answer(one)
    assert time.monotonic() - started < 3


def test_line_ends_between_two_requests_keep_no_connection(url: str) -> None:
    with connected(url) as one:
        one.sendall(b"GET /livez HTTP/1.1\r\nHost: h\r\n\r\n")
        one.recv(2**16)
        started = time.monotonic()
        with suppress(BrokenPipeError, ConnectionResetError):
            while time.monotonic() - started < 5:
                one.sendall(b"\r\n")
                time.sleep(0.1)
    assert time.monotonic() - started < 2.5


def test_a_request_that_takes_its_time_to_be_answered_is_answered(url: str) -> None:
    with connected(url) as one:
        one.sendall(b"GET /busy HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        assert answer(one).endswith(b"done")


def test_whoever_does_not_read_an_answer_is_dropped(url: str) -> None:
    with connected(url) as one:
        one.sendall(b"GET /endless HTTP/1.1\r\nHost: h\r\n\r\n")
        time.sleep(1)
        assert len(answer(one)) < 32 * 2**20


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /livez?" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", 431),
        (b"GET /livez HTTP/1.1\r\nX-Long: " + b"a" * 70_000 + b"\r\n\r\n", 431),
        (b"GET /livez HTTP/1.1\r\n" + b"a: b\r\n" * 101 + b"\r\n", 431),
        (b"GET /livez HTTP/1.1\r\nConnection: close\r\n" + b"a: b\r\n" * 99 + b"\r\n", 200),
        (b"GET /livez?" + b"a" * 60_000 + b" HTTP/1.1\r\nConnection: close\r\n\r\n", 200),
        (b"GET /livez HTTP/1.1\r\nHost: h\r\n\r\n" * 40, 400),
        (b"\x16\x03\x01 no http", 400),
    ],
)
def test_heads_have_their_limits_to_the_byte(url: str, head: bytes, status: int) -> None:
    with connected(url) as one:
        one.sendall(head)
        assert answer(one).startswith(f"HTTP/1.1 {status} ".encode())


def test_trailers_of_a_body_in_chunks_count_as_headers_do(url: str) -> None:
    with connected(url) as one:
        one.sendall(b"POST /size HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n" + KEYED + b"\r\n0\r\n")
        one.sendall(b"a: b\r\n" * 200)
        assert b"431" in answer(one)


def test_a_body_is_read_whole_from_whoever_may_send_one_and_not_at_all_from_others(url: str) -> None:
    body = b"x" * 900_000
    for headers, size in (((KEYED,), b"900000"), ((), b"0")):
        with connected(url) as one:
            one.sendall(post(body, *headers))
            assert answer(one).endswith(b"\r\n\r\n" + size)


def test_a_slow_body_is_answered_408_and_its_connection_closed(url: str) -> None:
    with trickling(url, b"POST /size HTTP/1.1\r\nHost: h\r\nContent-Length: 900\r\n" + KEYED + b"\r\n", 1) as (one,):
        said = answer(one)
    assert said.startswith(b"HTTP/1.1 408 ")
    assert b"x-request-id: " in said.lower()


@pytest.mark.parametrize("size", [bodies.MAX_BODY_BYTES, bodies.MAX_BODY_BYTES + 1])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_may_have_a_megabyte_and_no_byte_more(url: str, size: int, chunked: bool) -> None:
    with connected(url) as one:
        if chunked:
            head = b"POST /size HTTP/1.1\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n" + KEYED + b"\r\n"
            one.sendall(head + f"{size:x}\r\n".encode() + b"x" * size + b"\r\n0\r\n\r\n")
        else:
            one.sendall(post(b"x" * size, KEYED))
        said = answer(one)
    assert said.startswith(b"HTTP/1.1 200 " if size == bodies.MAX_BODY_BYTES else b"HTTP/1.1 413 ")


def test_bodies_on_their_way_are_bounded_all_together(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "MAX_HELD_BYTES", 400_000)
    monkeypatch.setattr(bodies, "BODY_SECONDS", 3)
    half = post(b"x" * 600_000, KEYED)[:300_000]
    with connected(url) as first, connected(url) as second:
        first.sendall(half)
        time.sleep(0.2)
        second.sendall(half)
        assert second.recv(2**16).startswith(b"HTTP/1.1 503 ")
    with connected(url) as later:
        later.sendall(post(b"x" * 300_000, KEYED))
        assert answer(later).endswith(b"300000")


def test_the_newest_caller_takes_the_place_of_the_one_that_waited_longest(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "SECONDS", {"head": 20.0, "body": 20.0})
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 3)
    with ExitStack() as stack:
        busy = stack.enter_context(connected(url))
        busy.sendall(b"GET /busy HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        time.sleep(0.2)  # until it is accepted: a connection waits from then on
        oldest = stack.enter_context(connected(url))
        time.sleep(0.2)
        older, newest = (stack.enter_context(connected(url)) for _ in range(2))
        assert answer(oldest) == b""
        assert answer(busy).endswith(b"done")
        for one in (newest, older):
            one.sendall(b"GET /livez HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            assert answer(one).startswith(b"HTTP/1.1 200 ")


def test_where_all_are_being_answered_the_newest_caller_is_told_to_come_back(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 1)
    with connected(url) as busy:
        busy.sendall(b"GET /busy HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        time.sleep(0.2)
        with connected(url) as newest:
            said = answer(newest)
        assert answer(busy).endswith(b"done")
    assert said.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after: 1" in said


def test_no_bytes_whatever_break_the_server(url: str, caplog: pytest.LogCaptureFixture) -> None:
    draw = random.Random(8)
    seed = post(b'{"events": []}', KEYED, b"Transfer-Encoding: chunked\r\n") + b"GET /livez HTTP/1.1\r\nHost: h\r\n\r\n"
    with caplog.at_level("ERROR"):
        for _ in range(1_000):
            with connected(url, 0.05) as one, suppress(OSError):
                one.sendall(_damaged(seed, draw))
                one.recv(2**16)
        with connected(url) as last:
            last.sendall(post(b"whole", KEYED))
            assert answer(last).endswith(b"\r\n\r\n5")
    assert caplog.records == []


def _damaged(seed: bytes, draw: random.Random) -> bytes:
    """Cut, repeated, and with some bytes replaced by any."""
    data = bytearray(seed[draw.randrange(20) :][: draw.randrange(1, len(seed))] * draw.choice((1, 1, 1, 2, 30)))
    for _ in range(draw.randrange(6)):
        data[draw.randrange(len(data))] = draw.choice(b"\0\r\n :;,\xff\x80\x16aZ09%/")
    return bytes(data)
