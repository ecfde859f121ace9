"""A post's page before a small real gateway."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from console.app import create
from console.settings import ConsoleSettings
from console.state import get_now

from tests.console.integration.test_editor import said_in
from tests.support.fakes.gateway import GONE_POST, NOW, READ_KEY, served, with_every_state


@pytest.fixture(scope="module")
def reader() -> Iterator[httpx.Client]:
    with served(with_every_state().app()) as url:
        app = create(ConsoleSettings(gateway_url=url, api_key=READ_KEY))
        app.dependency_overrides[get_now] = lambda: NOW
        with served(app) as at, httpx.Client(base_url=at) as client:
            yield client


def test_a_post_is_shown_whole_with_what_each_model_takes_for_like_it(reader: httpx.Client) -> None:
    value = reader.get("/console/posts/812.json").json()
    assert value["post"]["id"] == 812
    assert {fact["label"] for fact in value["facts"]} == {"Topic", "Last events", "Last seen"}
    control, test = value["columns"]
    assert [one["post_id"] for one in control["posts"]] == [47, 366, 505, 918, 61]
    assert [one["likeness"] for one in test["posts"]] == ["0.90", "0.80", "0.70", "0.60", "0.50"]
    said = said_in(reader.get("/console/posts/812"))
    assert " ".join(value["post"]["text"].split())[:80] in said


def test_a_model_that_does_not_know_the_post_says_so(reader: httpx.Client) -> None:
    _, test = reader.get("/console/posts/918.json").json()["columns"]
    assert (test["posts"], test["note"]) == ([], "This model does not know the post yet.")


@pytest.mark.parametrize("post", [str(GONE_POST), "abc", "2147483648", "9" * 400])
def test_no_post_is_a_page_that_says_so(reader: httpx.Client, post: str) -> None:
    assert reader.get(f"/console/posts/{post}").status_code == 404
    assert reader.get(f"/console/posts/{post}.json").json()["error"] == "not_found"


def test_each_card_of_the_demo_leads_to_its_post(reader: httpx.Client) -> None:
    assert 'href="/console/posts/812"' in reader.get("/console/demo?user=200").text
