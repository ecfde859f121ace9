"""The browser client on its example page, in headless Chromium, against a gateway of another origin."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Route
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from tests.support.browser import Opener, Seen
from tests.support.checkout import ROOT
from tests.support.docs import fences
from tests.support.fakes.gateway import served
from tests.support.platforms.gateway_stage import KEY, Stage, gateway_stage, until

pytestmark = pytest.mark.browser

CLIENT = ROOT / "clients/browser"
MOST_BYTES = 5 * 1024
SECRET = "secret" * 8
SEEN_MS, LINGER_MS = 1000, 2000
SMALL, TALL = (800, 420), (800, 4000)
"""A small screen holds a post or two of the page, a tall one all five."""
STORAGE = {
    "its own": "",
    "denied": "Object.defineProperty(window, 'localStorage', { get() { throw new Error('denied'); } })",
    "full": "Object.defineProperty(window, 'localStorage', { value: new Proxy({}, { set() { throw new Error('full'); } }) })",
}
"""Scripts that make it so."""


@pytest.fixture(scope="module")
def running() -> Iterator[Stage]:
    with gateway_stage(cors_origins="*", token_secrets=SECRET) as stage:
        yield stage


@pytest.fixture
def stage(running: Stage) -> Stage:
    running.features.seen.clear()
    running.features.busy = 0
    return running


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with served(Starlette(routes=[Mount("/", StaticFiles(directory=CLIENT))])) as url:
        yield url


def _token(user: str) -> str:
    return jwt.encode({"sub": user, "exp": int(time.time()) + 600}, SECRET)


def _path(stage: Stage, key: str = KEY) -> str:
    return f"/example.html?gateway={str(stage.http.base_url).rstrip('/')}&user=200#{key}"


def _page(opened: Opener, stage: Stage, storage: str = "its own") -> Page:
    """Its timers run only when the test says; its posts are there."""
    context = opened.browser.new_context(viewport={"width": SMALL[0], "height": SMALL[1]})
    opened.contexts.append(context)
    context.add_init_script(STORAGE[storage])
    page = context.new_page()
    page.clock.install(time=datetime.now(UTC))
    page.clock.pause_at(datetime.now(UTC) + timedelta(seconds=1))
    page.goto(opened.address + _path(stage))
    page.wait_for_selector("article:nth-of-type(5)")
    return page


def _events(stage: Stage) -> list[dict[str, Any]]:
    return [event for body in list(stage.features.seen) for event in json.loads(body)["events"]]


def _likes(stage: Stage) -> list[dict[str, Any]]:
    return [event for event in _events(stage) if event["action"] == "like"]


def _waiting(page: Page) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = page.evaluate("lenta.waiting")
    return events


def _ids(page: Page) -> list[int]:
    return [int(post) for post in page.eval_on_selector_all("article", "all => all.map(one => one.dataset.post)")]


def _frame(page: Page) -> None:
    """Observers have reported what is on the screen."""
    page.wait_for_timeout(150)


def _look(page: Page) -> None:
    """Long enough for a view to count, and to be sent."""
    _frame(page)
    page.clock.run_for(SEEN_MS)
    page.clock.run_for(LINGER_MS)


def test_the_client_is_as_small_as_promised() -> None:
    assert (CLIENT / "lenta.js").stat().st_size <= MOST_BYTES


def test_a_page_with_a_users_token_asks_and_likes_for_that_user_alone(opened: Opener, stage: Stage) -> None:
    page = opened(_path(stage, _token("200")), TALL).page
    page.click("article:nth-of-type(2) button")
    until(lambda: len(_likes(stage)) == 1, 5)
    refused = opened(_path(stage, _token("201"))).page
    refused.wait_for_function("document.querySelector('#notice').textContent.includes('nothing of others')")


def test_what_was_on_the_screen_is_viewed_and_nothing_else(opened: Opener, stage: Stage) -> None:
    page = _page(opened, stage)
    first, *_, last = _ids(page)
    _look(page)
    until(lambda: bool(_events(stage)), 5)
    seen = {event["post_id"] for event in _events(stage)}
    assert first in seen
    assert last not in seen
    page.evaluate("document.querySelector('article:last-of-type').scrollIntoView()")
    _look(page)
    until(lambda: last in {event["post_id"] for event in _events(stage)}, 5)
    views = _events(stage)
    assert len({event["post_id"] for event in views}) == len(views)  # each once
    assert {event["request_id"] for event in views} == {stage.features.exposures[-1].key}
    assert {(event["user_id"], event["action"]) for event in views} == {(200, "view")}


def test_what_was_scrolled_past_is_not_viewed(opened: Opener, stage: Stage) -> None:
    page = _page(opened, stage)
    first = _ids(page)[0]
    _frame(page)
    page.clock.run_for(SEEN_MS - 100)
    page.evaluate("document.querySelector('article:last-of-type').scrollIntoView()")
    _look(page)
    until(lambda: bool(_events(stage)), 5)
    assert first not in {event["post_id"] for event in _events(stage)}


def test_a_post_taller_than_the_screen_can_be_seen_too(opened: Opener, stage: Stage) -> None:
    page = _page(opened, stage)
    page.add_style_tag(content="article { min-height: 300vh }")
    page.evaluate("document.querySelector('article').scrollIntoView()")
    _look(page)
    until(lambda: _ids(page)[0] in {event["post_id"] for event in _events(stage)}, 5)


def test_a_like_is_sent_at_once_and_names_the_answer(opened: Opener, stage: Stage) -> None:
    page = _page(opened, stage)
    page.click("article:first-of-type button")
    until(lambda: bool(_events(stage)), 5)
    (like,) = _events(stage)
    assert (like["action"], like["post_id"]) == ("like", _ids(page)[0])
    assert like["request_id"] == stage.features.exposures[-1].key
    until(lambda: _waiting(page) == [], 5)


def test_what_happens_offline_is_sent_once_the_network_is_back(opened: Opener, stage: Stage) -> None:
    page = _page(opened, stage)
    page.context.set_offline(True)
    page.click("article:first-of-type button")
    until(lambda: len(_waiting(page)) == 1, 5)
    _look(page)
    assert len(_waiting(page)) >= 2
    assert stage.features.seen == []
    kept = {event["key"] for event in _waiting(page)}
    page.context.set_offline(False)
    until(lambda: _waiting(page) == [], 5)
    keys = [event["key"] for event in _events(stage)]
    assert set(keys) == kept
    assert len(keys) == len(kept)


def test_what_a_closed_page_left_is_sent_by_the_next(opened: Opener, stage: Stage) -> None:
    page = _page(opened, stage)
    page.context.set_offline(True)
    page.click("article:first-of-type button")
    until(lambda: len(_waiting(page)) == 1, 5)
    (kept,) = _waiting(page)
    page.close()
    assert stage.features.seen == []
    context = opened.contexts[-1]
    context.set_offline(False)
    context.new_page().goto(opened.address + _path(stage))
    until(lambda: {like["key"] for like in _likes(stage)} == {kept["key"]}, 5)


def test_a_page_that_is_left_sends_what_waits(opened: Opener, stage: Stage) -> None:
    page = _page(opened, stage)
    _frame(page)
    page.clock.run_for(SEEN_MS)
    assert _waiting(page)
    assert stage.features.seen == []
    page.goto("about:blank")
    until(lambda: bool(_events(stage)), 5)


@pytest.mark.parametrize("storage", STORAGE)
def test_a_busy_gateway_is_asked_again_when_it_says(opened: Opener, stage: Stage, storage: str) -> None:
    """Where the browser stores nothing, an event waits in memory."""
    page = _page(opened, stage, storage)
    stage.features.busy = 1
    with page.expect_response(lambda response: response.status == 503) as response:
        page.click("article:first-of-type button")
    assert response.value.header_value("Retry-After") == "1"
    _frame(page)
    page.clock.run_for(900)
    assert stage.features.seen == []
    page.clock.run_for(200)
    until(lambda: len(_likes(stage)) == 1, 5)


@pytest.mark.parametrize(("field", "sent"), [("post_id", 0), ("timestamp", 1)])
def test_a_refused_event_stops_nothing_behind_it(opened: Opener, stage: Stage, field: str, sent: int) -> None:
    """Of a wrong clock, it comes again without its time."""
    page = _page(opened, stage)
    refusals = [{"error": "invalid_parameter", "message": "no", "field": f"events.0.{field}"}]

    def refuse(route: Route) -> None:
        allowed = {"Access-Control-Allow-Origin": "*"}
        if route.request.method == "POST" and refusals:
            route.fulfill(status=422, json=refusals.pop(), headers=allowed)
        else:
            route.fallback()

    page.route("**/v1/events", refuse)
    page.evaluate("lenta.like(1, 'a'); lenta.like(2, 'a')")
    until(lambda: _waiting(page) == [] and not refusals, 5)
    events = {event["post_id"]: event for event in _events(stage)}
    assert set(events) == ({1, 2} if sent else {2})
    if sent:
        assert "timestamp" not in events[1] or events[1]["timestamp"] is None


def test_the_page_of_the_documentation_works_as_it_stands(
    opened: Opener, stage: Stage, tmp_path: Path, browser: Browser
) -> None:
    (page,) = [text for language, text in fences(ROOT / "docs/app.md") if language == "html"]
    page = page.replace("http://127.0.0.1:8000", str(stage.http.base_url)).replace('"..."', f'"{_token("200")}"')
    (tmp_path / "page.html").write_text(page)
    (tmp_path / "lenta.js").write_bytes((CLIENT / "lenta.js").read_bytes())
    with served(Starlette(routes=[Mount("/", StaticFiles(directory=tmp_path))])) as url:
        shown = Opener(browser, url, opened.contexts)("/page.html").page
        shown.click("article:nth-of-type(5)")
        until(lambda: len(_likes(stage)) == 1, 5)


def test_the_example_says_why_there_are_no_posts(opened: Opener, stage: Stage) -> None:
    page = opened(_path(stage).replace("user=200", "user=-1")).page
    page.wait_for_function("document.querySelector('#notice').textContent.includes('id: ')")


def test_axe_finds_nothing_and_the_browser_has_no_complaint(opened: Opener, stage: Stage) -> None:
    seen: Seen = opened(_path(stage), TALL)
    seen.page.wait_for_selector("article:nth-of-type(5)")
    results = Axe().run(seen.page)
    assert results.violations_count == 0, results.generate_report()
    assert seen.complaints == []
    assert all(url.startswith((opened.address, str(stage.http.base_url))) for url in seen.requests)
