"""Real servers for every test that wants them, and the rule that a skip names what is missing.

A unit test starts within two seconds: what servers need is imported by their fixtures, what a machine has is looked for
only where a test asks for it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from ctypes.util import find_library
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from xdist.remote import Producer
    from xdist.scheduler import Scheduling

for door in ("GATEWAY", "CONSOLE"):  # every service of a test is on this machine alone
    os.environ.setdefault(f"{door}_LISTEN", "127.0.0.1")

MINILM = Path(".lenta/minilm")
ORIGINAL_ROWS = "LENTA_ORIGINAL_ROWS"


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One server for the session, with a migrated template database."""
    from tests.support.servers import migrated_postgres

    with migrated_postgres(tmp_path_factory.mktemp("servers") / "postgres") as url:
        yield url


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """A migrated database of the test's own."""
    from tests.support.servers import migrated_database

    with migrated_database(postgres_server) as url:
        yield url


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    from tests.support.servers import running_redis

    with running_redis(tmp_path_factory.mktemp("servers") / "redis") as url:
        yield url


@pytest.fixture
def redis_url(redis_server: str) -> str:
    """An empty server with the platform's settings."""
    from tests.support.servers import empty_redis

    return empty_redis(redis_server)


@pytest.fixture(scope="session")
def minilm_weights() -> Path:
    """A folder of real weights."""
    return MINILM


@pytest.fixture(scope="session")
def original_rows() -> Path:
    """A folder with rows of the original platform's three tables, which are not part of this repository."""
    return Path(os.environ[ORIGINAL_ROWS])


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling | None:
    """Workers share out whole files; what starts the platform goes to one of them, which starts it once."""
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class Files(LoadFileScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            return "tests/e2e" if nodeid.startswith("tests/e2e/") else str(super()._split_scope(nodeid))

    return Files(config, log)


def _lacks_docker() -> str | None:
    try:
        for command in (["docker", "info"], ["docker", "compose", "version"]):
            subprocess.run(command, capture_output=True, check=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return "no Docker engine with compose answers here"
    return None


def _lacks_browser() -> str | None:
    from tests.support.browser import chromium

    if not chromium():
        return "no Chromium on PATH (Debian: apt-get install chromium)"
    return (
        None
        if find_library("atomic")
        else "no libatomic, which drives the browser (Debian: apt-get install libatomic1)"
    )


def _lacks_minilm() -> str | None:
    here = (MINILM / "model.onnx").exists()
    return None if here else f"no weights in {MINILM} (run: infra/local/minilm {MINILM})"


def _lacks_curl() -> str | None:
    return None if shutil.which("curl") else "no curl on PATH (Debian: apt-get install curl)"


def _lacks_java() -> str | None:
    return None if shutil.which("java") else "no Java on PATH (Debian: apt-get install default-jre-headless)"


def _lacks_original_rows() -> str | None:
    if not (folder := os.environ.get(ORIGINAL_ROWS)):
        return f"{ORIGINAL_ROWS} names no folder with the original platform's rows (made rows are tested everywhere)"
    return None if Path(folder, "feed_data.csv").exists() else f"{ORIGINAL_ROWS}={folder} holds no feed_data.csv"


LACKS: dict[str, Callable[[], str | None]] = {
    "docker": _lacks_docker,
    "browser": _lacks_browser,
    "curl": _lacks_curl,
    "minilm": _lacks_minilm,
    "spark": _lacks_java,
    "original": _lacks_original_rows,
}
"""By marker: why such a test cannot run here, or None."""


@pytest.hookimpl(trylast=True)  # after -m and -k have left out what is not wanted
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What a machine lacks is skipped with its reason; with LENTA_REQUIRE_ALL=1 (CI) it fails instead."""
    wanted = {marker.name for item in items for marker in item.iter_markers()} & LACKS.keys()
    lacking = {name: reason for name in sorted(wanted) if (reason := LACKS[name]())}
    if lacking and os.environ.get("LENTA_REQUIRE_ALL") == "1":
        raise pytest.UsageError(f"LENTA_REQUIRE_ALL=1, but {'; '.join(lacking.values())}")
    for item in items:
        for name in {marker.name for marker in item.iter_markers()} & lacking.keys():
            item.add_marker(pytest.mark.skip(reason=lacking[name]))
