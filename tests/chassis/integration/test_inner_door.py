"""Who may call a service that the world does not call."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from chassis.errors import render_errors
from chassis.inner_door import InnerDoor, internal_headers
from fastapi import FastAPI

JSON = {"Content-Type": "application/json"}


def asked(
    headers: dict[str, str], keys: str = "new,old", client: str = "10.0.0.7", path: str = "/exposures"
) -> httpx.Response:
    return asyncio.run(_asked(headers, keys, client, path))


async def _asked(headers: dict[str, str], keys: str, client: str, path: str) -> httpx.Response:
    app = FastAPI()
    render_errors(app)
    app.add_api_route("/exposures", lambda: "in", methods=["POST"])
    app.add_api_route("/livez", lambda: "in", methods=["POST"])
    transport = httpx.ASGITransport(InnerDoor(app, keys), client=(client, 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://inside") as http:
        return await http.post(path, headers=headers)


@pytest.mark.parametrize("theirs", ["new", "old", " old , new", "old,older"])
def test_a_service_that_shares_a_secret_is_let_in_while_it_changes_too(theirs: str) -> None:
    assert asked({**internal_headers(theirs), **JSON}).status_code == 200


@pytest.mark.parametrize("theirs", ["", "older", "new,old2", "neu"])
def test_whoever_does_not_know_it_is_refused_wherever_the_call_comes_from(theirs: str) -> None:
    headers = JSON | ({"X-Internal-Key": theirs} if theirs else {})
    for client in ("10.0.0.7", "127.0.0.1"):
        answer = asked(headers, client=client)
        assert (answer.status_code, answer.json()["error"]) == (401, "unauthorized")


@pytest.mark.parametrize(("client", "status"), [("127.0.0.1", 200), ("::1", 200), ("10.0.0.7", 401), ("::2", 401)])
def test_without_a_secret_its_own_machine_alone_is_let_in(client: str, status: int) -> None:
    assert asked(JSON, keys=" , ", client=client).status_code == status


def test_health_is_open() -> None:
    assert asked({}, path="/livez").status_code == 200


@pytest.mark.parametrize(
    ("media_type", "status"),
    [
        ("application/json", 200),
        ("Application/JSON; charset=utf-8", 200),
        ("application/octet-stream", 200),
        ("text/plain", 415),
        ("text/plain; application/json", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=x", 415),
        ("", 415),
    ],
)
def test_what_a_page_may_send_to_another_origin_unasked_is_not_taken(media_type: str, status: int) -> None:
    headers = {**internal_headers("new"), **({"Content-Type": media_type} if media_type else {})}
    assert asked(headers).status_code == status
