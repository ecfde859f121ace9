"""The demo page in headless Chromium: what only a browser can tell."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from console.app import create
from console.settings import ConsoleSettings
from console.state import get_now
from playwright.sync_api import Browser

from tests.support.browser import DARK_GROUND, DESKTOP, LIGHT_GROUND, PHONE, Opener, ground
from tests.support.fakes.gateway import (
    CYRILLIC,
    FALLBACK,
    NOW,
    READ_KEY,
    READER,
    SHORT,
    SLOW,
    STRANGER,
    served,
    with_every_state,
)

pytestmark = pytest.mark.browser

DEMO = "/console/demo"
STATES = {
    "empty": DEMO,
    "feeds": f"{DEMO}?user={READER}",
    "ten": f"{DEMO}?user={CYRILLIC}&k=10",
    "unknown": f"{DEMO}?user={STRANGER}",
    "short": f"{DEMO}?user={SHORT}",
    "degraded": f"{DEMO}?user={FALLBACK}",
    "silent": f"{DEMO}?user={SLOW}",
    "refused": f"{DEMO}?user=abc",
    "rules": "/console/rules",
    "post": "/console/posts/812",
    "absent": "/console/nothing",
}
MOST_REQUESTS = 6


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with served(with_every_state().app()) as gateway:
        app = create(ConsoleSettings(gateway_url=gateway, api_key=READ_KEY, preview_timeout_seconds=0.4))
        app.dependency_overrides[get_now] = lambda: NOW
        with served(app) as url:
            yield url


@pytest.mark.parametrize("state", STATES)
def test_axe_finds_nothing(opened: Opener, state: str) -> None:
    page = opened(STATES[state]).page
    for scheme in ("light", "dark") if state in ("feeds", "refused") else ("light",):
        page.emulate_media(color_scheme=scheme)
        results = Axe().run(page)
        assert results.violations_count == 0, results.generate_report()


def test_axe_finds_nothing_on_a_phone(opened: Opener) -> None:
    results = Axe().run(opened(STATES["feeds"], PHONE).page)
    assert results.violations_count == 0, results.generate_report()


@pytest.mark.parametrize("state", STATES)
def test_no_page_scrolls_sideways(opened: Opener, state: str) -> None:
    page = opened(STATES[state]).page
    page.evaluate("() => document.querySelectorAll('details').forEach(one => { one.open = true })")
    for font in ("Inter", "DejaVu Sans"):
        page.evaluate("font => { document.body.style.fontFamily = font }", font)
        for width in (320, 800, 1280):
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_browser_has_no_complaint_and_stays_at_home(opened: Opener, address: str) -> None:
    for name in ("empty", "feeds", "ten"):
        seen = opened(STATES[name])
        seen.page.wait_for_load_state("networkidle")
        assert seen.complaints == []
        assert [url for url in seen.requests if not url.startswith(f"{address}/console")] == []
        assert len(seen.requests) <= MOST_REQUESTS


def test_the_text_is_the_same_without_scripts(opened: Opener) -> None:
    with_scripts = opened(STATES["feeds"]).page.inner_text("body")
    without = opened(STATES["feeds"], scripts=False).page.inner_text("body")
    assert _without_durations(with_scripts) == _without_durations(without)


def test_the_keyboard_goes_through_the_page_in_reading_order(opened: Opener) -> None:
    page = opened(STATES["feeds"]).page
    order = []
    for _ in range(18):
        page.keyboard.press("Tab")
        order.append(page.evaluate("(document.activeElement.id || document.activeElement.innerText).trim()"))
    assert order[:7] == ["Skip to the content", "lenta", "Demo", "Experiments", "Rules", "System", "Theme: system"]
    assert order[7:10] == ["user", "k", "Show feeds"]
    assert [re.sub(r"\s+", " ", stop) for stop in order[10:16]] == [f"user {number}" for number in range(200, 206)]
    assert re.sub(r"\s+", " ", order[16]) == "post 812"
    assert order[17] == "test: 3"


def test_the_skip_link_leads_to_the_content(opened: Opener) -> None:
    page = opened(STATES["feeds"]).page
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_slash_goes_to_the_search_but_can_be_typed_there(opened: Opener) -> None:
    page = opened(STATES["feeds"]).page
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "user"
    page.keyboard.type("2/3")
    assert page.input_value("#user") == "2/3"


def test_a_user_is_found_by_typing(opened: Opener) -> None:
    page = opened(DEMO).page
    page.fill("#user", str(READER))
    page.select_option("#k", "3")
    page.keyboard.press("Enter")
    page.wait_for_selector(".cards")
    assert page.url.endswith(f"{DEMO}?user={READER}&k=3")
    assert page.locator("#control-3").count() == 1
    assert page.locator("#control-4").count() == 0


def test_a_standing_leads_to_the_same_post_in_the_other_list(opened: Opener) -> None:
    page = opened(STATES["feeds"]).page
    page.click("#control-1 a.stand")
    assert page.url.endswith("#test-3")
    assert page.inner_text("#control-1 .lede") == page.inner_text("#test-3 .lede")


def test_the_rest_of_a_post_opens_in_place(opened: Opener) -> None:
    page = opened(STATES["feeds"], scripts=False).page
    rest = page.locator("#control-1 details p")
    assert not rest.is_visible()
    page.click("#control-1 summary")
    assert rest.is_visible()


def test_the_theme_changes_in_place_and_is_remembered(opened: Opener) -> None:
    page = opened(STATES["feeds"]).page
    light = ground(page)
    page.click("#theme button")
    page.click("#theme button")
    dark = ground(page)
    assert dark != light
    page.reload()
    assert ground(page) == dark
    assert page.inner_text("#theme button") == "Theme: dark"


def test_the_theme_changes_without_scripts_too(opened: Opener) -> None:
    page = opened(STATES["feeds"], scripts=False, theme="light").page
    with page.expect_navigation():
        page.click("#theme button")
    assert page.url.endswith(STATES["feeds"])
    assert page.inner_text("#theme button") == "Theme: dark"


def test_a_chosen_theme_is_there_before_any_script_runs(opened: Opener) -> None:
    assert ground(opened(STATES["feeds"], scripts=False, theme="dark").page) == DARK_GROUND
    assert ground(opened(STATES["feeds"], scripts=False, theme="light", dark=True).page) == LIGHT_GROUND


def test_nothing_moves_while_the_page_loads(opened: Opener) -> None:
    page = opened(STATES["feeds"]).page
    moved = page.evaluate(
        """() => new Promise(done => new PerformanceObserver(list =>
            done(list.getEntries().reduce((sum, entry) => sum + entry.value, 0))
        ).observe({type: "layout-shift", buffered: true}) || setTimeout(() => done(0), 300))"""
    )
    assert moved == 0


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_targets_are_large_enough(opened: Opener, size: tuple[int, int]) -> None:
    page = opened(STATES["feeds"], size).page
    small = page.evaluate(
        """() => [...document.querySelectorAll("a:not(.skip), button, input:not([type=hidden]), select, summary")]
            .map(one => [one.innerText, one.getBoundingClientRect()])
            .filter(([, box]) => box.width && (box.height < 24 || box.width < 24)).map(([text]) => text)"""
    )
    assert small == []


def test_main_acts_are_easy_to_hit_on_a_phone(opened: Opener) -> None:
    page = opened(STATES["feeds"], PHONE).page
    for target in ("#user", "#k", ".btn"):
        box = page.locator(target).bounding_box()
        assert box is not None
        assert box["height"] >= 44


def test_the_answer_is_in_the_first_screen(opened: Opener) -> None:
    page = opened(STATES["feeds"]).page
    for target in ("#who", ".agree strong", "#control-1 .lede", "#test-1 .lede"):
        box = page.locator(target).bounding_box()
        assert box is not None
        assert box["y"] + box["height"] <= DESKTOP[1]


def test_on_a_phone_the_feeds_follow_each_other_with_links_to_jump(opened: Opener) -> None:
    page = opened(STATES["feeds"], PHONE).page
    control, test = (page.locator(f"#{name}").bounding_box() for name in ("control", "test"))
    assert control is not None
    assert test is not None
    assert control["y"] < test["y"]
    page.click(".jump a >> nth=1")
    assert page.url.endswith("#test")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_every_look_can_be_taken(opened: Opener, tmp_path: Path, size: tuple[int, int], dark: bool) -> None:
    page = opened(STATES["feeds"], size, dark=dark).page
    picture = tmp_path / "page.png"
    page.screenshot(path=picture)
    assert picture.stat().st_size > 20_000
    assert ground(page) == (DARK_GROUND if dark else LIGHT_GROUND)


def test_colours_may_be_forced(browser: Browser, address: str) -> None:
    context = browser.new_context(forced_colors="active", reduced_motion="reduce")
    page = context.new_page()
    page.goto(address + STATES["feeds"])
    width = page.evaluate("getComputedStyle(document.querySelector('.badge.test')).borderTopWidth")
    scroll = page.evaluate("getComputedStyle(document.documentElement).scrollBehavior")
    context.close()
    assert (width, scroll) == ("1px", "auto")


def _without_durations(text: str) -> str:
    return re.sub(r"\d+ ms", "… ms", text)


def test_a_click_likes_a_post_and_both_lists_change_and_nothing_is_kept(opened: Opener) -> None:
    page = opened(STATES["feeds"]).page
    first = page.locator("#control-1")
    shown = first.locator(".id").inner_text()
    first.get_by_role("link", name="Like").click()
    page.wait_for_url("**liked=*")
    assert page.locator("#here").inner_text() == "Liked here"
    ids = page.locator(".card .id").all_inner_texts()
    assert shown not in ids
    assert len(ids) == 10
    assert "because the user liked" in page.locator("#test-1 .because").inner_text()
    results = Axe().run(page)
    assert results.violations_count == 0, results.generate_report()
    page.get_by_role("link", name="Take back").click()
    page.wait_for_url(re.compile("k=5#"))
    assert page.locator("#here").count() == 0
    assert shown in page.locator(".card .id").all_inner_texts()
