"""Bare routes answer as all others do: the same errors in the same shape, counted, and none of them hides another."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from chassis.bare_routes import BareAPIRoute
from chassis.errors import Unavailable
from chassis.service import create_service
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response
from starlette.testclient import TestClient


class Upper(BareAPIRoute):
    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        async def handle(request: Request) -> Response:
            return Response(request.query_params["word"].upper())

        return handle


router, described = APIRouter(), APIRouter(route_class=Upper)


async def _thing(request: Request) -> Response:
    return Response(f"{request.method} {request.path_params.get('number')} {request.state.name}")


async def _down(_: Request) -> Response:
    raise Unavailable("not now")


async def _broken(_: Request) -> Response:
    raise RuntimeError("secret")


router.add_route("/things", _thing, ["POST"])
router.add_route("/things/{number:int}", _thing)
router.add_route("/down", _down)
router.add_route("/broken", _broken)


@router.get("/things")
async def things() -> str:
    return "all"


@described.get("/upper")
async def upper(word: str) -> str:
    """Never called: its route reads the request itself."""
    raise NotImplementedError(word)


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    @asynccontextmanager
    async def lifespan(_: object) -> AsyncIterator[Mapping[str, str]]:
        yield {"name": "small"}

    made = create_service("small", version="1", lifespan=lifespan, routers=[router, described], checks={})
    with TestClient(made, raise_server_exceptions=False) as client:
        yield client


def test_one_is_found_by_its_path_and_method_and_knows_the_state(client: TestClient) -> None:
    assert client.post("/things").text == "POST None small"
    assert client.get("/things/7").text == "GET 7 small"
    assert client.head("/things/7").status_code == 200


def test_another_method_and_a_path_that_is_like_it_are_the_apps(client: TestClient) -> None:
    assert client.get("/things").json() == "all"
    assert client.get("/things/seven").status_code == 404
    assert client.put("/things/7").status_code == 405


def test_one_that_reads_its_query_itself_is_described_as_all_are(client: TestClient) -> None:
    assert client.get("/upper", params={"word": "so"}).text == "SO"
    assert client.app.openapi()["paths"]["/upper"]["get"]["parameters"][0]["name"] == "word"  # type: ignore[attr-defined]


def test_its_errors_have_the_one_shape_and_tell_nothing_of_the_inside(client: TestClient) -> None:
    down, broken = client.get("/down"), client.get("/broken")
    assert (down.status_code, down.headers["Retry-After"], down.json()["error"]) == (503, "1", "unavailable")
    assert (broken.status_code, broken.json()["error"]) == (500, "internal")
    assert "secret" not in broken.text
    assert down.json()["request_id"] == down.headers["X-Request-ID"]


def test_it_is_counted_by_its_route(client: TestClient) -> None:
    client.get("/things/8")
    counted = 'http_request_duration_seconds_count{method="GET",route="/things/{number:int}",status="200"}'
    assert counted in client.get("/metrics").text
