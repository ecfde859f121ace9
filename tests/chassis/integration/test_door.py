"""What a door turns away is told so at once, over real sockets, and whoever insists on one connection waits."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from typing import NamedTuple

import pytest
from chassis import door as doors
from chassis.door import DOOR, Door
from chassis.service import create_service
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Scope

from tests.support.callers import answer, connected
from tests.support.fakes.gateway import served

FULL = b"GET /full HTTP/1.1\r\nHost: h\r\n\r\n"
FREE = b"GET /free HTTP/1.1\r\nHost: h\r\n\r\n"
ANSWERED = b"GET /answered HTTP/1.1\r\nHost: h\r\n\r\n"
LAST = b"GET /free HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
WAIT = 0.4
SELDOM = 0.5 * WAIT
"""Less than a wait, and more than what a busy machine takes for nothing."""
router = APIRouter()


async def _answer(request: Request) -> Response:
    return Response(request.url.path.encode() + await request.body())


router.add_route("/free", _answer)
router.add_route("/full", _answer, ["GET", "POST"])


async def _answered(request: Request) -> Response:
    request.state.door.answered()
    return Response()


router.add_route("/answered", _answered)


def _enter(scope: Scope, app: ASGIApp) -> ASGIApp | None:
    return None if scope["path"] == "/full" else app


class Small(NamedTuple):
    url: str
    door: Door


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[Small]:
    """Without any credit: whoever insists waits until others are answered, or for good."""
    monkeypatch.setattr(doors, "RETRY_SECONDS", 2 * WAIT)
    monkeypatch.setattr(doors, "LONGEST_SECONDS", WAIT)
    monkeypatch.setattr(doors, "MOST_CREDIT", 0)
    door = Door(_enter, b"503 Service Unavailable", [(b"content-length", b"4"), (b"retry-after", b"1")], b"full")
    monkeypatch.setattr(doors, "MOST_CREDIT", 2)

    @asynccontextmanager
    async def lifespan(_: object) -> AsyncIterator[Mapping[str, Door]]:
        yield {DOOR: door}

    with served(create_service("small", version="1", lifespan=lifespan, routers=[router], checks={})) as url:
        yield Small(url, door)


@pytest.fixture
def url(small: Small) -> str:
    return small.url


def read(one: socket.socket) -> tuple[bytes, float]:
    """One refusal, and after how many seconds."""
    started, said = time.monotonic(), b""
    while not said.endswith(b"\r\n\r\nfull"):
        piece = one.recv(2**16)
        assert piece, said
        said += piece
    return said, time.monotonic() - started


def test_a_refusal_is_whole_has_an_id_of_its_own_and_is_counted(url: str) -> None:
    ids = set[bytes]()
    for _ in range(3):
        with connected(url) as one:
            one.sendall(FULL)
            said, seconds = read(one)
        head, _, _ = said.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        assert lines[0] == b"HTTP/1.1 503 Service Unavailable"
        assert {b"retry-after: 1", b"content-length: 4", b"x-content-type-options: nosniff"} < set(lines[1:])
        ids.add(next(line for line in lines if line.startswith(b"x-request-id: ")))
        assert seconds < SELDOM
    assert len(ids) == 3
    with connected(url) as one:
        one.sendall(b"GET /metrics HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        assert b'http_request_duration_seconds_count{method="GET",route="unmatched",status="503"}' in answer(one)


def test_whoever_insists_on_one_connection_waits_and_others_do_not(url: str) -> None:
    with connected(url) as stubborn, connected(url) as other:
        stubborn.sendall(FULL)
        assert read(stubborn)[1] < SELDOM
        stubborn.sendall(FULL)
        other.sendall(FULL)
        assert read(other)[1] < SELDOM
        assert read(stubborn)[1] > SELDOM
        stubborn.sendall(LAST)
        assert answer(stubborn).endswith(b"/free")


def test_a_pipeline_is_answered_in_its_order(url: str) -> None:
    with connected(url) as one:
        one.sendall(FREE + FULL + FULL + LAST)
        said = answer(one)
    assert re.findall(rb"HTTP/1.1 (\d+) ", said) == [b"200", b"503", b"503", b"200"]


def test_a_caller_that_leaves_during_its_pause_disturbs_nobody(url: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("WARNING"):
        with connected(url) as impatient:
            impatient.sendall(FULL)
            read(impatient)
            impatient.sendall(FULL)
        time.sleep(WAIT + 0.1)
        with connected(url) as one:
            one.sendall(LAST)
            assert answer(one).endswith(b"/free")
    assert caplog.records == []


def test_a_connection_that_is_not_kept_is_closed_after_its_refusal(url: str) -> None:
    with connected(url) as one:
        one.sendall(b"GET /full HTTP/1.0\r\n\r\n")
        assert answer(one).endswith(b"full")


def test_a_body_behind_a_refusal_is_no_request(url: str) -> None:
    with connected(url) as one:
        one.sendall(b"GET /full HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % len(FREE) + FREE + LAST)
        assert answer(one).count(b"HTTP/1.1 ") == 2


@pytest.mark.parametrize(
    "asked",
    [b"POST /full HTTP/1.1\r\nContent-Length: 0\r\n", b"GET /full HTTP/1.1\r\nOrigin: https://app.example\r\n"],
)
def test_what_has_a_body_or_another_origin_is_refused_further_in(url: str, asked: bytes) -> None:
    with connected(url) as one:
        one.sendall(asked + b"Host: h\r\nConnection: close\r\n\r\n")
        assert answer(one).startswith(b"HTTP/1.1 200 ")


def test_of_those_who_insist_two_hear_so_for_an_answer_to_others_and_the_third_waits(small: Small) -> None:
    with ExitStack() as stack:
        callers = [stack.enter_context(connected(small.url)) for _ in range(3)]
        for one in callers:
            one.sendall(FULL)
            read(one)
        for one in callers:
            one.sendall(FULL)
        with connected(small.url) as other:
            other.sendall(ANSWERED + LAST)
            assert answer(other).count(b"200 OK") == 2
        took = sorted(read(one)[1] for one in callers)
    assert took[1] < SELDOM < took[2]


def test_a_caller_that_waits_as_it_is_told_never_waits_for_its_refusal(url: str) -> None:
    with connected(url) as polite:
        for _ in range(2):
            polite.sendall(FULL)
            assert read(polite)[1] < SELDOM
            time.sleep(2.5 * WAIT)
