"""Real Postgres and Redis for as long as a block lasts."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg2
import redis
from feature_service.database.schema import migrate
from pipeline.stack.servers import Postgres, PostgresPasswords, free_port, start_redis, stop_process

TEMPLATE = "lenta_template"


@contextmanager
def running_postgres(folder: Path) -> Iterator[str]:
    """A new server; yields its URL. What a killed one left there is removed."""
    postgres = Postgres(folder)
    postgres.delete()
    try:
        yield postgres.start(free_port(), PostgresPasswords("owner", "services")).url
    finally:
        postgres.stop()
        postgres.delete()


@contextmanager
def migrated_postgres(folder: Path) -> Iterator[str]:
    """A new server that holds the template of `migrated_database`."""
    with running_postgres(folder) as url:
        execute(url, f"CREATE DATABASE {TEMPLATE}")
        migrate(_in_database(url, TEMPLATE))
        yield url


@contextmanager
def migrated_database(server: str) -> Iterator[str]:
    name = f"test_{uuid.uuid4().hex}"
    execute(server, f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    yield _in_database(server, name)
    execute(server, f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def running_redis(folder: Path) -> Iterator[str]:
    server = start_redis(folder, free_port(), "secret")
    try:
        yield server.url
    finally:
        stop_process(server.pid)


def empty_redis(url: str) -> str:
    """The server without its data, with the platform's settings."""
    with redis.Redis.from_url(url) as client:
        client.flushall()
        client.config_set("appendonly", "yes")
        client.config_set("appendfsync", "always")
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", "0")
    return url


def execute(url: str, statement: str) -> None:
    """One statement, outside a transaction."""
    connection = psycopg2.connect(url)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
    finally:
        connection.close()


def _in_database(url: str, name: str) -> str:
    return f"{url.rsplit('/', 1)[0]}/{name}"
