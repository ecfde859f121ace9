"""The experiment, system and editor pages in headless Chromium, in every state: what only a browser can tell.

LENTA_SHOTS=folder keeps a picture of every state at both sizes, light and dark.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from console.app import create
from console.settings import ConsoleSettings
from console.state import get_now
from console.system.watch import get_watch
from contracts.reports import Report
from playwright.sync_api import Browser, Page

from tests.support.browser import DARK_GROUND, DESKTOP, LIGHT_GROUND, PHONE, Opener, Seen, ground
from tests.support.fakes.gateway import ADMIN_KEY, NOW, READ_KEY, FakeGateway, served, with_every_state
from tests.support.fakes.reports import LONG_NAME, STATES
from tests.support.fakes.services import watched

pytestmark = pytest.mark.browser

EXPERIMENTS = "/console/experiments"
PAGES = {
    **{name: f"{EXPERIMENTS}/{name}" for name in STATES},
    "unreliable": f"{EXPERIMENTS}/split-failed?unreliable=1",
    "frozen": f"{EXPERIMENTS}/ship?run=481&metric=likes_per_user",
    "list": EXPERIMENTS,
    "drafted": f"{EXPERIMENTS}/drafted",
    "system": "/console/system",
    "key": f"{EXPERIMENTS}/hold/edit",
}
CHARTED = ("ship", "hold", "ramp", LONG_NAME)
MOST_REQUESTS = 6


@pytest.fixture(scope="module")
def gateway() -> FakeGateway:
    return with_every_state()


@pytest.fixture(scope="module")
def address(gateway: FakeGateway) -> Iterator[str]:
    with served(gateway.app()) as url:
        app = create(ConsoleSettings(gateway_url=url, api_key=READ_KEY))
        watch = watched(NOW, version_of_second="0.2.0")
        app.dependency_overrides |= {get_now: lambda: NOW, get_watch: lambda: watch}
        with served(app) as at:
            yield at


@pytest.fixture(scope="module", params=PAGES)
def state(request: pytest.FixtureRequest, browser: Browser, address: str) -> Iterator[tuple[str, Seen]]:
    """Each state opened once for all tests that look at every state."""
    opener = Opener(browser, address)
    yield request.param, opener(PAGES[request.param])
    opener.close()


@pytest.fixture
def editor(opened: Opener) -> Page:
    page = opened(PAGES["key"]).page
    _sign_in(page)
    return page


def _sign_in(page: Page, key: str = ADMIN_KEY) -> None:
    page.fill("#key", key)
    page.click("main .btn")
    page.wait_for_load_state()


def test_axe_finds_nothing(state: tuple[str, Seen]) -> None:
    name, seen = state
    dark = name in ("ship", "split-failed", "too-early", "system")
    for scheme in ("light", "dark") if dark else ("light",):
        seen.page.emulate_media(color_scheme=scheme)
        results = Axe().run(seen.page)
        assert results.violations_count == 0, results.generate_report()


def test_a_page_complains_of_nothing_and_stays_at_home(state: tuple[str, Seen], address: str) -> None:
    _, seen = state
    assert seen.complaints == []
    assert [url for url in seen.requests if not url.startswith(f"{address}/console")] == []
    assert len(seen.requests) <= MOST_REQUESTS


def test_no_page_scrolls_sideways(state: tuple[str, Seen]) -> None:
    _, seen = state
    page = seen.page
    page.evaluate("() => document.querySelectorAll('details').forEach(one => { one.open = true })")
    for font in ("Inter", "DejaVu Sans"):
        page.evaluate("font => { document.body.style.fontFamily = font }", font)
        for width in (320, 800, 1280):
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (font, width)
    page.evaluate("() => document.querySelectorAll('details').forEach(one => { one.open = false })")
    page.evaluate("document.body.style.fontFamily = ''")


def test_labels_of_a_chart_do_not_collide(state: tuple[str, Seen]) -> None:
    _, seen = state
    for size in (DESKTOP, (800, 900), PHONE):
        seen.page.set_viewport_size({"width": size[0], "height": size[1]})
        collisions = seen.page.evaluate(
            """() => [...document.querySelectorAll("svg")].filter(svg => svg.getBoundingClientRect().width).flatMap(
            svg => {
                const texts = [...svg.querySelectorAll("text")].map(
                    text => [text.textContent, text.getBoundingClientRect()]);
                return texts.flatMap(([a, one], i) => texts.slice(i + 1).filter(([, other]) =>
                    one.left < other.right - 1 && other.left < one.right - 1
                    && one.top < other.bottom - 2 && other.top < one.bottom - 2).map(([b]) => `${a} | ${b}`));
            })"""
        )
        assert collisions == [], size


def test_targets_are_large_enough(state: tuple[str, Seen]) -> None:
    _, seen = state
    for size in (DESKTOP, PHONE):
        seen.page.set_viewport_size({"width": size[0], "height": size[1]})
        small = seen.page.evaluate(
            """() => [...document.querySelectorAll("a:not(.skip), button, input:not([type=hidden]), select, summary")]
                .map(one => [one.innerText, one.getBoundingClientRect()])
                .filter(([, box]) => box.width && (box.height < 24 || box.width < 24)).map(([text]) => text)"""
        )
        assert small == []


def test_every_look_is_calm(state: tuple[str, Seen], tmp_path: Path) -> None:
    name, seen = state
    folder = Path(os.environ.get("LENTA_SHOTS") or tmp_path)
    for size, label in ((DESKTOP, "1280"), (PHONE, "390")):
        seen.page.set_viewport_size({"width": size[0], "height": size[1]})
        for scheme, wanted in (("light", LIGHT_GROUND), ("dark", DARK_GROUND)):
            seen.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            picture = folder / f"{name[:20]}-{label}-{scheme}.png"
            seen.page.screenshot(path=picture, full_page=bool(os.environ.get("LENTA_SHOTS")))
            assert picture.stat().st_size > 5_000
            assert ground(seen.page) == wanted


@pytest.mark.parametrize("name", ["ship", "split-failed", "decided", "interleave", LONG_NAME])
def test_the_verdict_is_in_the_first_screen(opened: Opener, name: str) -> None:
    page = opened(PAGES[name]).page
    for size, target in ((DESKTOP, ".verdict"), (PHONE, ".say > div")):
        page.set_viewport_size({"width": size[0], "height": size[1]})
        box = page.locator(target).bounding_box()
        assert box is not None
        assert box["y"] + box["height"] <= size[1]


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("name", ["ship", "worse", LONG_NAME])
def test_bars_end_where_their_numbers_say(opened: Opener, name: str, size: tuple[int, int]) -> None:
    page = opened(PAGES[name], size).page
    half = float(page.locator(".ax i").nth(2).text_content().strip("+%")) / 100  # type: ignore[union-attr]
    far = 2 * half
    drawn = page.evaluate(
        """() => [...document.querySelectorAll(".metrics tbody tr")].map(row => {
            const axis = row.querySelector(".forest").getBoundingClientRect();
            const bar = row.querySelector(".iv").getBoundingClientRect(), point = row.querySelector(".pt");
            const middle = point && point.getBoundingClientRect();
            return [axis.left, axis.width, bar.left, bar.right, middle && (middle.left + middle.right) / 2];
        })"""
    )
    assert len(drawn) == len(STATES[name].metrics)
    for (left, width, start, end, middle), one in zip(drawn, STATES[name].metrics, strict=True):
        interval = one.always_valid
        assert interval is not None

        def place(value: float, left: float = left, width: float = width) -> float:
            return left + width * (min(max(value, -far), far) + far) / (2 * far)

        stroke = 1.0
        assert start == pytest.approx(place(interval.low), abs=1 + stroke)
        assert end == pytest.approx(place(interval.high), abs=1 + stroke)
        assert (middle is None) == (abs(interval.estimate) > far)
        if middle is not None:
            assert middle == pytest.approx(place(interval.estimate), abs=1)


def test_a_cut_interval_has_an_arrow_and_a_settled_one_is_filled(opened: Opener) -> None:
    page = opened(PAGES[LONG_NAME]).page
    rows = page.locator(".metrics tbody tr")
    assert [rows.nth(i).locator(".cut").count() for i in (0, 1, 6)] == [0, 1, 2]
    assert [rows.nth(i).locator(".hollow").count() for i in (0, 2)] == [0, 1]


@pytest.mark.parametrize("name", ["ship", "split-failed", "system", "list", "interleave", "shadow"])
def test_the_text_is_the_same_without_scripts(opened: Opener, name: str) -> None:
    with_scripts = opened(PAGES[name]).page.inner_text("body")
    without = opened(PAGES[name], scripts=False).page.inner_text("body")
    assert with_scripts.replace("Pause", "").split() == without.split()


def test_the_first_paint_is_quick_and_nothing_moves(opened: Opener) -> None:
    page = opened(PAGES["ship"]).page
    page.wait_for_timeout(300)
    paint, moved = page.evaluate(
        """() => new Promise(done => {
            let largest = 0, moved = 0;
            new PerformanceObserver(list => { largest = list.getEntries().at(-1).startTime; })
                .observe({type: "largest-contentful-paint", buffered: true});
            new PerformanceObserver(list => { list.getEntries().forEach(entry => { moved += entry.value; }); })
                .observe({type: "layout-shift", buffered: true});
            setTimeout(() => done([largest, moved]), 200);
        })"""
    )
    print(f"largest paint {paint:.0f} ms")
    assert 0 < paint < 1_000
    assert moved == 0


def _answered(page: Page, seconds: int = 15) -> None:
    """Lets the page's clock run until its next question was answered."""
    with page.expect_response(lambda response: "/console/" in response.url):
        page.clock.run_for(seconds * 1000)
    page.wait_for_timeout(150)


@pytest.fixture
def changing(gateway: FakeGateway) -> Iterator[FakeGateway]:
    gateway.reports["changing"] = _named("hold")
    yield gateway
    del gateway.reports["changing"]


def _named(state: str) -> Report:
    report = STATES[state]
    experiment = report.experiment.model_copy(update={"name": "changing"})
    return report.model_copy(update={"experiment": experiment})


def test_a_changed_verdict_is_shown_and_announced(opened: Opener, changing: FakeGateway) -> None:
    page = opened(f"{EXPERIMENTS}/changing", stopped_clock=True).page
    changing.reports["changing"] = _named("ship")
    _answered(page)
    assert page.inner_text("#vh") == "Ship test"
    assert page.text_content("#said") == "Ship test"
    assert "v-good" in str(page.get_attribute(".verdict", "class"))
    assert page.title().startswith("Ship test")


def test_a_poll_keeps_focus_and_what_is_open(opened: Opener, changing: FakeGateway) -> None:
    page = opened(f"{EXPERIMENTS}/changing", stopped_clock=True).page
    page.click("#course summary")
    page.focus(".metrics tbody tr:nth-child(2) a")
    page.evaluate("document.querySelector('#course details').dataset.mine = 'yes'")
    changing.reports["changing"] = _named("ship")
    _answered(page)
    assert page.evaluate("document.activeElement.textContent") == "Likes per exposure"
    assert page.evaluate("document.querySelector('#course details').open")
    assert page.evaluate("document.querySelector('#course details').dataset.mine") == "yes"
    assert page.inner_text(".metrics tbody tr:first-child .num") == "+3.1%"
    assert "+0.7 to +5.5%" in page.inner_text("#course details tbody")


def test_nothing_new_is_not_sent_again(opened: Opener, changing: FakeGateway) -> None:
    page = opened(f"{EXPERIMENTS}/changing", stopped_clock=True).page
    _answered(page)
    with page.expect_response(lambda response: response.status == 304):
        page.clock.run_for(15_000)
    assert page.text_content("#said") == ""


def test_a_page_with_another_shape_is_replaced_as_a_whole(opened: Opener, changing: FakeGateway) -> None:
    page = opened(f"{EXPERIMENTS}/changing", stopped_clock=True).page
    changing.reports["changing"] = _named("split-failed")
    _answered(page)
    assert page.inner_text("#vh") == "Do not decide"
    assert page.text_content("#said") == "Do not decide"
    assert not re.search(r"[+−]\d+\.\d%", page.inner_text("main"))


def test_polling_can_be_paused(opened: Opener, changing: FakeGateway) -> None:
    seen = opened(f"{EXPERIMENTS}/changing", stopped_clock=True)
    page = seen.page
    page.click("#pause")
    before = len(seen.requests)
    page.clock.run_for(120_000)
    assert len(seen.requests) == before
    assert (page.inner_text("#pause"), page.get_attribute("#pause", "aria-pressed")) == ("Resume", "true")
    with page.expect_response(lambda response: response.url.endswith("/changing")):
        page.click("#pause")


def test_failed_polls_back_off_and_tell_the_age(opened: Opener, changing: FakeGateway) -> None:
    seen = opened(f"{EXPERIMENTS}/changing", stopped_clock=True)
    changing.down = True
    _answered(seen.page)
    before = len(seen.requests)
    seen.page.clock.run_for(16_000)
    assert len(seen.requests) == before, "the next question waits for twice as long"
    _answered(seen.page, 15)
    assert "not updated for" in seen.page.inner_text("#fresh")
    assert seen.page.inner_text("#vh") == "Hold", "the last reading stays"
    changing.down = False
    _answered(seen.page, 60)
    assert "not updated for" not in seen.page.inner_text("#fresh")


def test_a_frozen_page_and_a_form_ask_for_nothing(opened: Opener) -> None:
    for name in ("frozen", "key"):
        seen = opened(PAGES[name], stopped_clock=True)
        seen.page.wait_for_load_state("networkidle")
        before = len(seen.requests)
        seen.page.clock.run_for(60_000)
        assert len(seen.requests) == before
        assert seen.page.locator("#pause").count() == 0


def test_the_keyboard_goes_through_the_page_in_reading_order(opened: Opener) -> None:
    page = opened(PAGES["ship"]).page
    order = []
    for _ in range(16):
        page.keyboard.press("Tab")
        order.append(re.sub(r"\s+", " ", page.evaluate("document.activeElement.innerText")).strip())
    assert order == [
        "Skip to the verdict", "lenta", "Demo", "Experiments", "Rules", "System", "Pause", "Theme: system",
        "Record the decision", "Edit", "How this is decided", "Hit rate", "Likes per exposure", "Likes per user",
        "Exposures per user", "Show finer numbers",
    ]  # fmt: skip


def test_a_metrics_name_leads_to_its_chart(opened: Opener) -> None:
    page = opened(PAGES["ship"]).page
    page.click("text=Likes per user")
    assert page.url.endswith("?metric=likes_per_user#course")
    assert page.inner_text("#ch") == "Likes per user over time"
    page.wait_for_function(
        "() => { const y = document.querySelector('#ch').getBoundingClientRect().top; return y > 0 && y < 300; }"
    )


def test_main_acts_are_easy_to_hit_on_a_phone(opened: Opener) -> None:
    page = opened(PAGES["ship"], PHONE).page
    box = page.locator(".act .btn").bounding_box()
    assert box is not None
    assert box["height"] >= 44


def test_colours_may_be_forced_and_motion_reduced(browser: Browser, address: str) -> None:
    context = browser.new_context(forced_colors="active", reduced_motion="reduce")
    page = context.new_page()
    page.goto(address + PAGES["ship"])
    border = page.evaluate("getComputedStyle(document.querySelector('.key')).borderTopWidth")
    moving = page.evaluate("getComputedStyle(document.querySelector('.pulse')).animationName")
    context.close()
    assert (border, moving) == ("1px", "none")


def test_a_wrong_key_opens_nothing_and_is_not_shown(opened: Opener) -> None:
    seen = opened(PAGES["key"])
    with seen.page.expect_response(lambda response: response.status == 403):
        _sign_in(seen.page, "a-wrong-key")
    assert "This key does not open the editor." in seen.page.inner_text("main")
    assert "a-wrong-key" not in seen.page.content()
    assert seen.page.input_value("#key") == ""


def test_the_editor_is_whole_for_everybody(editor: Page, opened: Opener) -> None:
    results = Axe().run(editor)
    assert results.violations_count == 0, results.generate_report()
    for width in (320, 800, 1280):
        editor.set_viewport_size({"width": width, "height": 900})
        assert editor.evaluate("document.documentElement.scrollWidth") <= width
    assert ADMIN_KEY not in editor.content()
    assert ADMIN_KEY not in editor.url
    assert editor.evaluate("document.cookie") == ""


def test_a_refused_draft_shows_every_fault_where_it_is_and_back_asks_for_nothing_again(editor: Page) -> None:
    editor.goto(editor.url.replace("/hold/edit", "/new"))
    editor.fill("#name", "third-one")
    editor.fill("#weight_test", "60")
    editor.fill("#reason", "a better text model")
    editor.click("summary:has-text('When it is decided')")
    editor.fill("#alpha", "abc")
    editor.click(".act .btn")
    editor.wait_for_selector(".faults")
    assert [link.inner_text() for link in editor.query_selector_all(".faults a")] == [
        "Error rate, %:",
        "Weight of test, %:",
    ]
    assert editor.is_visible("#alpha"), "the folded part with a fault stands open"
    assert not editor.is_visible("#group_salt")
    assert Axe().run(editor).violations_count == 0
    editor.fill("#alpha", "5")
    editor.fill("#weight_test", "50")
    editor.click(".act .btn")
    editor.wait_for_selector("#confirm")
    editor.go_back()
    editor.wait_for_selector(".faults")
    assert editor.input_value("#reason") == "a better text model"
    editor.go_forward()
    editor.wait_for_selector("#confirm")
    editor.click("a:text-is('Change')")
    editor.wait_for_selector("#alpha", state="attached")
    assert editor.input_value("#alpha") == "5"
    assert editor.query_selector(".faults") is None


def test_a_change_is_made_by_hand(editor: Page, gateway: FakeGateway) -> None:
    assert editor.is_disabled("#group_salt")
    editor.fill("#weight_control", "20")
    editor.fill("#weight_test", "80")
    editor.fill("#reason", "more users for test")
    editor.click(".edit:last-of-type .act .btn")
    editor.wait_for_selector("#confirm")
    assert "About 15,000 users would change model" in editor.inner_text("main")
    results = Axe().run(editor)
    assert results.violations_count == 0, results.generate_report()
    editor.fill("#confirm", "hold")
    editor.keyboard.press("Enter")
    editor.wait_for_selector(".verdict")
    assert editor.url.endswith(PAGES["hold"])
    assert gateway.edits[-1][1].reason == "more users for test"


def test_slash_does_not_disturb_a_page_without_a_search(opened: Opener) -> None:
    seen = opened(PAGES["ship"])
    seen.page.keyboard.press("/")
    assert seen.complaints == []
