"""The frame of every service, around the smallest app: errors in one shape, ids, health, metrics, logs, deadlines."""

from __future__ import annotations

import gc
import json
import logging
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Annotated

import httpx
import pytest
import structlog
from chassis.deadline import Deadline
from chassis.errors import Unavailable
from chassis.logs import configure_logs
from chassis.service import create_service
from contracts.headers import DEADLINE, REQUEST_ID
from contracts.wire import EventBatch
from fastapi import APIRouter, FastAPI, Query
from pipeline.stack.servers import free_port
from starlette.requests import Request

from tests.support.fakes.gateway import served

router = APIRouter()


@router.get("/number")
async def number(value: Annotated[int, Query(ge=1)]) -> int:
    return value


@router.post("/events")
async def events(batch: EventBatch) -> int:
    return len(batch.events)


@router.get("/down")
async def down() -> None:
    raise Unavailable("the store is down", retry_after=3)


@router.get("/bug")
async def bug() -> None:
    raise ZeroDivisionError("secret of the inside")


@router.get("/logged")
async def logged() -> None:
    structlog.get_logger().info("seen", path="/logged")


async def _sound(_: Request) -> str | None:
    return None


async def _slow_store(_: Request) -> str | None:
    return "the store is slow"


def app(public: bool = False, ready: bool = True, metrics_address: str = "", hosts: str = "*") -> FastAPI:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[Mapping[str, int]]:
        yield {"answer": 42}

    return create_service(
        "small",
        version="1",
        lifespan=lifespan,
        routers=[router],
        checks={"store": _sound if ready else _slow_store},
        warnings={"extra": _slow_store},
        public=public,
        metrics_address=metrics_address,
        hosts=hosts,
    )


@contextmanager
def called(made: FastAPI) -> Iterator[httpx.Client]:
    with served(made) as url, httpx.Client(base_url=url, timeout=5) as http:
        yield http


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with served(app()) as url:
        yield url


@pytest.fixture
def client(address: str) -> Iterator[httpx.Client]:
    """Connections of its own: a server closes the one on which a bug showed."""
    with httpx.Client(base_url=address, timeout=30) as http:
        yield http


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "field"),
    [
        ("GET", "/number?value=0", None, 422, "value"),
        ("GET", "/number", None, 422, "value"),
        ("POST", "/events", '{"events": [{"key": "a"}]}', 422, "events.0.user_id"),
        ("POST", "/events", "{", 422, "body"),
        ("POST", "/events", None, 422, "body"),
        ("POST", "/events", b"\xff\xfe{", 422, "body"),
        ("POST", "/events", "[" * 100_000, 422, "body"),
        ("POST", "/events", '{"events": ' + "9" * 5_000 + "}", 422, "body"),
        ("GET", "/livez/", None, 404, None),
        ("GET", "/nowhere", None, 404, None),
        ("DELETE", "/number", None, 405, None),
        ("GET", "/down", None, 503, None),
        ("GET", "/bug", None, 500, None),
    ],
)
def test_every_error_has_the_one_shape_and_names_the_field(
    client: httpx.Client, method: str, path: str, body: str | bytes | None, status: int, field: str | None
) -> None:
    answer = client.request(method, path, content=body, headers={"Content-Type": "application/json"})
    said = answer.json()
    assert (answer.status_code, said.get("field")) == (status, field)
    assert set(said) <= {"error", "message", "field", "request_id"}
    assert "secret" not in answer.text


def test_what_is_down_says_when_to_come_back(client: httpx.Client) -> None:
    assert client.get("/down").headers["Retry-After"] == "3"


def test_our_own_services_keep_the_callers_id_and_the_public_door_makes_one() -> None:
    with called(app()) as inner, called(app(public=True)) as outer:
        given = {REQUEST_ID: "the-callers"}
        assert inner.get("/number?value=0", headers=given).json()["request_id"] == "the-callers"
        answer = outer.get("/number?value=0", headers=given)
        assert answer.json()["request_id"] == answer.headers[REQUEST_ID] != "the-callers"


@pytest.mark.parametrize("odd", ["", "a b", "x" * 65, 'a"b'])
def test_an_id_that_does_not_belong_into_a_log_is_not_taken(client: httpx.Client, odd: str) -> None:
    assert client.get("/livez", headers={REQUEST_ID: odd}).headers[REQUEST_ID] != odd


def test_live_is_not_ready_and_a_warning_takes_nothing_out_of_service(client: httpx.Client) -> None:
    assert client.get("/readyz").json() == {"status": "ready", "warnings": {"extra": "the store is slow"}}
    with called(app(ready=False)) as unready:
        assert unready.get("/livez").status_code == 200
        answer = unready.get("/readyz")
        assert (answer.status_code, answer.json()["reasons"]) == (503, {"store": "the store is slow"})


def test_requests_are_counted_by_route_and_status(client: httpx.Client) -> None:
    client.get("/number?value=3")
    assert (
        'http_request_duration_seconds_count{method="GET",route="/number",status="200"}' in client.get("/metrics").text
    )


def test_log_lines_are_json_and_carry_the_request_id(capfd: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        configure_logs("small")
        with called(app()) as http:
            http.get("/logged", headers={REQUEST_ID: "r-1"})
        lines = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    finally:
        root.handlers[:], root.level = handlers, level
        structlog.reset_defaults()
    seen = next(line for line in lines if line["event"] == "seen")
    assert (seen["service"], seen["request_id"], seen["path"]) == ("small", "r-1", "/logged")


def test_a_deadline_travels_and_runs_out() -> None:
    deadline = Deadline.after(10)
    assert Deadline.of(deadline.header(), 1).at == pytest.approx(deadline.at, abs=0.001)
    assert 9 < deadline.remaining() <= 10
    assert deadline.remaining(2) == 2
    assert Deadline.after(-1).remaining() == 0
    for headers in ({}, {DEADLINE: "soon"}):
        assert Deadline.of(headers, 5).at == pytest.approx(time.time() + 5, abs=1)


def test_metrics_and_health_have_a_port_of_their_own_where_they_are_given_one() -> None:
    address = f"127.0.0.1:{free_port()}"
    with (
        called(app(ready=False, metrics_address=address)) as service,
        httpx.Client(base_url=f"http://{address}") as own,
    ):
        service.get("/number?value=3")
        assert service.get("/metrics").status_code == 404
        assert 'route="/number"' in own.get("/metrics").text
        assert own.get("/readyz").json() == service.get("/readyz").json()
        assert own.get("/livez").status_code == 200
        assert own.get("/number?value=3").status_code == 404
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://{address}/livez")


def test_a_page_that_had_its_own_name_point_here_is_turned_away() -> None:
    with called(app(hosts="127.0.0.1,localhost,*.example.org")) as http:
        for host, status in (("localhost:1", 200), ("a.example.org", 200), ("evil.example", 400), ("", 400)):
            assert http.get("/livez", headers={"Host": host}).status_code == status, host


def test_a_wrong_method_is_told_the_right_ones(client: httpx.Client) -> None:
    answer = client.delete("/number")
    assert (answer.json()["error"], answer.headers["Allow"]) == ("method_not_allowed", "GET")


def test_what_has_started_is_left_alone_by_the_garbage_collector_until_it_stops() -> None:
    made = app()
    with called(made) as http:
        assert http.get("/livez").status_code == 200
        assert gc.get_freeze_count() > 10_000
    assert gc.get_freeze_count() == 0
