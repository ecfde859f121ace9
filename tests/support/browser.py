"""Headless Chromium for tests of pages: one browser per module, a fresh context per page, and what each page did."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
LIGHT_GROUND, DARK_GROUND = "rgb(245, 246, 248)", "rgb(13, 19, 26)"
DESKTOP, PHONE = (1280, 900), (390, 844)


@dataclass
class Seen:
    """What a page did while it was looked at."""

    page: Page
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


def chromium() -> str | None:
    """The browser's program, where the machine has one."""
    return next((program for name in PROGRAMS if (program := shutil.which(name))), None)


@contextmanager
def launched() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium(), args=list(ARGUMENTS))
        yield running
        running.close()


@dataclass
class Opener:
    """Opens pages of one address; `close` ends them all."""

    browser: Browser
    address: str
    contexts: list[BrowserContext] = field(default_factory=list)

    def __call__(
        self,
        path: str,
        size: tuple[int, int] = DESKTOP,
        *,
        dark: bool = False,
        scripts: bool = True,
        theme: str | None = None,
        stopped_clock: bool = False,
    ) -> Seen:
        """stopped_clock: timers of the page run only when the test says."""
        context = self.browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme="dark" if dark else "light",
            java_script_enabled=scripts,
        )
        self.contexts.append(context)
        if stopped_clock:
            context.clock.install()
        if theme:
            context.add_cookies([{"name": "lenta_theme", "value": theme, "domain": "127.0.0.1", "path": "/console"}])
        seen = Seen(context.new_page())
        seen.page.on("request", lambda request: seen.requests.append(request.url))
        seen.page.on("console", lambda message: seen.complaints.append(message.text))
        seen.page.on("pageerror", lambda error: seen.complaints.append(str(error)))
        seen.page.goto(self.address + path, wait_until="load")
        return seen

    def close(self) -> None:
        for context in self.contexts:
            context.close()


def ground(page: Page) -> str:
    return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))
