"""One running platform for all end-to-end tests, and one browser for a module's pages.

A test that breaks a part of the platform mends it before it ends.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pipeline.home import Home
from playwright.sync_api import Browser

from tests.support.browser import Opener, launched
from tests.support.platforms.running_platform import RunningPlatform, brought_up


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlatform]:
    with brought_up(Home(tmp_path_factory.mktemp("platform") / "home"), "--world", "tiny") as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched() as running:
        yield running


@pytest.fixture
def opened(browser: Browser, address: str) -> Iterator[Opener]:
    """address: of the console, by the module."""
    opener = Opener(browser, address)
    yield opener
    opener.close()
