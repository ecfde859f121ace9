"""Postgres and Redis of the local platform, really started."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest
import redis
from pipeline.home import Home
from pipeline.stack.embedded import POSTGRES, REDIS, Servers, remove_data, start_servers, stop_servers
from pipeline.stack.processes import Processes
from pipeline.stack.servers import Postgres


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    home = Home(tmp_path_factory.mktemp("stack"))
    yield home
    stop_servers(home, Processes.read(home))
    remove_data(home)


@pytest.fixture(scope="module")
def servers(home: Home) -> Servers:
    return start_servers(home, Processes.read(home))


def test_both_servers_answer_with_the_platforms_settings(servers: Servers) -> None:
    assert servers.embedded
    with redis.Redis.from_url(servers.redis_url) as client:
        assert client.config_get("append*")["appendfsync"] == "always"
    assert _ask(servers.postgres_url, "SHOW timezone") == "UTC"
    assert _ask(servers.postgres_url, "SHOW max_connections") == "50"


def test_starting_again_starts_nothing(home: Home, servers: Servers) -> None:
    before = Processes.read(home)
    assert start_servers(home, Processes.read(home)) == servers
    assert Processes.read(home) == before


def test_a_server_that_died_comes_back_on_its_port_with_its_data(home: Home, servers: Servers) -> None:
    with redis.Redis.from_url(servers.redis_url) as client:
        client.set("kept", "yes")
    _ask(servers.postgres_url, "CREATE TABLE kept AS SELECT 1 AS one; SELECT 1")
    before = Processes.read(home)
    before.running[REDIS].stop()
    Postgres(home.postgres).stop()
    assert start_servers(home, Processes.read(home)) == servers
    after = Processes.read(home)
    assert after.server_ports == before.server_ports
    assert {name: after.running[name].pid for name in (REDIS, POSTGRES)} != {
        name: before.running[name].pid for name in (REDIS, POSTGRES)
    }
    with redis.Redis.from_url(servers.redis_url) as client:
        assert client.get("kept") == b"yes"
    assert _ask(servers.postgres_url, "SELECT one FROM kept") == 1


def test_servers_of_the_users_own_are_used_and_never_stopped(
    home: Home, servers: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LENTA_POSTGRES_URL", servers.postgres_url)
    monkeypatch.setenv("LENTA_REDIS_URL", servers.redis_url)
    other, processes = Home(tmp_path), Processes()
    used = start_servers(other, processes)
    assert used == Servers(servers.postgres_url, servers.redis_url, embedded=False)
    assert stop_servers(other, processes) == []
    assert Processes.read(home).alive(REDIS) is not None


def test_postgres_never_runs_as_root(home: Home, servers: Servers) -> None:
    process = Processes.read(home).running[POSTGRES].live()
    assert process is not None
    assert process.uids().effective != 0
    assert os.geteuid() == 0 or process.uids().effective == os.geteuid()


def _ask(url: str, statement: str) -> object:
    connection = psycopg2.connect(url)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)
            row = cursor.fetchone()
            assert row is not None
            return row[0]
    finally:
        connection.close()
