"""Postgres and Redis of the local platform, really started."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest
import redis
from feature_service.database.schema import migrate
from pipeline.errors import LentaError
from pipeline.home import Home
from pipeline.stack.embedded import POSTGRES, REDIS, Servers, remove_data, start_servers, stop_servers, without_password
from pipeline.stack.processes import Processes
from pipeline.stack.servers import Postgres, PostgresPasswords, free_port

from tests.support.servers import execute


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


def test_nobody_comes_in_without_the_password(home: Home, servers: Servers) -> None:
    for role in ("lenta_services", "lenta", "postgres", "nobody"):
        with pytest.raises(psycopg2.OperationalError, match="no password supplied"):
            psycopg2.connect(without_password(servers.postgres_url), user=role)
    with (
        redis.Redis.from_url(without_password(servers.redis_url)) as client,
        pytest.raises(redis.exceptions.AuthenticationError),
    ):
        client.ping()
    for private in (home.passwords, home.redis / "redis.conf"):
        assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert str(servers).count("lenta_services:") == 0


def test_the_services_role_is_no_superuser_and_owns_what_it_works_on(servers: Servers) -> None:
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        _ask(servers.postgres_url, "COPY (SELECT 1) TO PROGRAM 'id'; SELECT 1")
    assert _ask(servers.postgres_url, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") is False
    migrate(servers.postgres_url)
    assert _ask(servers.postgres_url, "SELECT count(*) FROM user_data") == 0


def test_a_cluster_from_before_there_were_passwords_keeps_its_data_and_gets_some(tmp_path: Path) -> None:
    home = Home(tmp_path / "old")
    old = Postgres(home.postgres)
    before = old.start(free_port(), PostgresPasswords("before", "before")).url
    execute(before, "CREATE DATABASE lenta")
    execute(before.replace("/postgres", "/lenta"), 'CREATE TABLE "Kept" AS SELECT 7 AS seven')
    old.stop()
    (old.data / "pg_hba.conf").write_text("host all all 127.0.0.1/32 trust\n")
    try:
        url = start_servers(home, Processes()).postgres_url
        assert _ask(url, 'ALTER TABLE "Kept" ADD more int; SELECT seven FROM "Kept"') == 7
        with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
            psycopg2.connect(url.replace("lenta_services:", "lenta:"))
    finally:
        stop_servers(home, Processes.read(home))
        remove_data(home)


def test_servers_that_run_without_passwords_are_to_be_stopped_first(home: Home, servers: Servers) -> None:
    kept = home.passwords.rename(home.passwords.with_suffix(".kept"))
    try:
        with pytest.raises(LentaError, match=r"without passwords; `make down`, then `make up` .* keeps the data"):
            start_servers(home, Processes.read(home))
    finally:
        kept.rename(home.passwords)
    assert start_servers(home, Processes.read(home)) == servers


def test_the_home_is_closed_to_other_users_of_the_machine(tmp_path: Path) -> None:
    home = Home(tmp_path / "open")
    for folder in (home.world, home.postgres):
        folder.mkdir(0o755, parents=True)
    home.keep_private()
    assert stat.S_IMODE(home.root.stat().st_mode) & 0o066 == 0
    for folder in (home.world, home.logs, home.run, home.redis, home.models):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


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
