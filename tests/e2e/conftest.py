"""One running platform for all end-to-end tests. A test that breaks a part of it mends it before it ends."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from e2e.running_platform import RunningPlatform, brought_up
from pipeline.stack.home import Home


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlatform]:
    with brought_up(Home(tmp_path_factory.mktemp("platform") / "home"), "--world", "tiny") as running:
        yield running
