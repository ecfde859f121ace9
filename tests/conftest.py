"""Real servers for every test that wants them, and the rule that a skip names what is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest
import redis
from feature_service.database.schema import migrate
from pipeline.stack.servers import running_postgres, running_redis

TEMPLATE = "lenta_template"


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One server for the session, with a migrated template database."""
    with running_postgres(tmp_path_factory.mktemp("servers") / "postgres") as url:
        _run(url, f"CREATE DATABASE {TEMPLATE}")
        migrate(_in_database(url, TEMPLATE))
        yield url


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """A migrated database of the test's own."""
    name = f"test_{uuid.uuid4().hex}"
    _run(postgres_server, f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    yield _in_database(postgres_server, name)
    _run(postgres_server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_redis(tmp_path_factory.mktemp("servers") / "redis") as url:
        yield url


@pytest.fixture
def redis_url(redis_server: str) -> str:
    """An empty server with the platform's settings."""
    with redis.Redis.from_url(redis_server) as client:
        client.flushall()
        client.config_set("appendonly", "yes")
        client.config_set("appendfsync", "always")
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", "0")
    return redis_server


MINILM = Path(".lenta/minilm")


@pytest.fixture(scope="session")
def minilm_weights() -> Path:
    """A folder of real weights."""
    return MINILM


def chromium() -> Path | None:
    found = (shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome"))
    return next((Path(path) for path in found if path), None)


def _docker_answers() -> bool:
    try:
        for command in (["docker", "info"], ["docker", "compose", "version"]):
            subprocess.run(command, capture_output=True, check=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return False
    return True


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What a machine lacks is skipped with its reason; with LENTA_REQUIRE_ALL=1 (CI) it fails instead."""
    missing = {
        "docker": None if _docker_answers() else "no Docker engine with compose answers here",
        "browser": None if chromium() else "no Chromium on PATH (Debian: apt-get install chromium)",
        "minilm": None
        if (MINILM / "model.onnx").exists()
        else f"no weights in {MINILM} (run: infra/local/minilm {MINILM})",
        "spark": None if shutil.which("java") else "no Java on PATH (Debian: apt-get install default-jre-headless)",
    }
    wanted = {marker.name for item in items for marker in item.iter_markers()} & missing.keys()
    lacking = {name: reason for name in wanted if (reason := missing[name])}
    if lacking and os.environ.get("LENTA_REQUIRE_ALL") == "1":
        raise pytest.UsageError(f"LENTA_REQUIRE_ALL=1, but {'; '.join(lacking.values())}")
    for item in items:
        for name in {marker.name for marker in item.iter_markers()} & lacking.keys():
            item.add_marker(pytest.mark.skip(reason=lacking[name]))


def _in_database(url: str, name: str) -> str:
    return f"{url.rsplit('/', 1)[0]}/{name}"


def _run(url: str, statement: str) -> None:
    connection = psycopg2.connect(url)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
    finally:
        connection.close()
