"""Postgres and Redis of the local platform: the user's own where a URL says so, else ours, on ports kept for good."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from secrets import token_urlsafe
from urllib.parse import urlsplit, urlunsplit

import psycopg2
from psycopg2.extensions import cursor
from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline.errors import LentaError
from pipeline.home import Home, write_private
from pipeline.stack.ports import is_free
from pipeline.stack.processes import Process, Processes
from pipeline.stack.servers import (
    OWNER,
    SERVICES,
    Postgres,
    PostgresPasswords,
    RunningServer,
    free_port,
    postgres_url,
    redis_url,
    start_redis,
)

POSTGRES, REDIS = "postgres", "redis"
DATABASE = "lenta"
_OWNED_BY_ANOTHER = """
SELECT oid::regclass::text FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm') AND pg_get_userbyid(relowner) <> %s
"""
"""Quoted where need be. Indexes and the sequences of identities follow their tables."""


@dataclass(frozen=True, slots=True)
class Servers:
    postgres_url: str = field(repr=False)
    redis_url: str = field(repr=False)
    embedded: bool
    """False as soon as one of them is the user's own: what it holds is not ours to remove."""


class Passwords(BaseModel):
    """Of our servers: made once, kept over a `down`, in a file that is its owner's alone."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    owner: str
    """Of Postgres: who may do everything."""
    services: str
    """Of Postgres, too."""
    redis: str

    @classmethod
    def of(cls, home: Home, processes: Processes) -> Passwords:
        """Raises LentaError for servers that an earlier version started without, and for a broken file."""
        try:
            return cls.model_validate_json(home.passwords.read_text())
        except FileNotFoundError:
            if processes.alive(POSTGRES) or processes.alive(REDIS):
                raise LentaError(
                    "Postgres and Redis were started by an earlier version, without passwords; "
                    "`make down`, then `make up` gives them some and keeps the data"
                ) from None
            return cls.made(home)
        except ValidationError as error:
            raise LentaError(f"{home.passwords} is broken; `make down` and remove it: others are made") from error

    @classmethod
    def made(cls, home: Home) -> Passwords:
        passwords = cls(owner=token_urlsafe(24), services=token_urlsafe(24), redis=token_urlsafe(24))
        write_private(home.passwords, passwords.model_dump_json(indent=1))
        return passwords


def start_servers(home: Home, processes: Processes) -> Servers:
    """Starts what is not running. `processes` then holds what is ours.

    Raises LentaError when one does not start, or when the user's own does not answer.
    """
    passwords, ports = Passwords.of(home, processes), processes.server_ports
    own_postgres = _own("LENTA_POSTGRES_URL", _postgres_url(passwords, ports.get(POSTGRES)))
    own_redis = _own("LENTA_REDIS_URL", redis_url(ports.get(REDIS), passwords.redis))
    if own_postgres is None:
        of_postgres = PostgresPasswords(passwords.owner, passwords.services)
        _start(POSTGRES, home, processes, lambda port: Postgres(home.postgres).start(port, of_postgres))
        _prepare_database(ports[POSTGRES], passwords)
    if own_redis is None:
        _start(REDIS, home, processes, lambda port: start_redis(home.redis, port, passwords.redis))
    return Servers(
        own_postgres or _postgres_url(passwords, ports[POSTGRES]),
        own_redis or redis_url(ports[REDIS], passwords.redis),
        embedded=own_postgres is None and own_redis is None,
    )


def stop_servers(home: Home, processes: Processes) -> list[str]:
    """Names of those stopped: only ours."""
    stopped = []
    redis = processes.running.pop(REDIS, None)
    if redis is not None and redis.stop():
        stopped.append(REDIS)
    postgres = processes.running.pop(POSTGRES, None)
    if postgres is not None and postgres.live() is not None:
        _stop_postgres(home, postgres)
        stopped.append(POSTGRES)
    return stopped


def remove_data(home: Home) -> None:
    """Of our stopped servers; Postgres' may lie outside the home (see `servers`)."""
    Postgres(home.postgres).delete()
    shutil.rmtree(home.postgres, ignore_errors=True)
    shutil.rmtree(home.redis, ignore_errors=True)


def _start(name: str, home: Home, processes: Processes, start: Callable[[int], RunningServer]) -> None:
    if processes.alive(name) is not None:
        return
    kept = processes.server_ports.get(name)
    port = kept if kept is not None and is_free(kept) else free_port()
    server = start(port)
    processes.running[name] = Process.seen(name, server.pid, port, server.log)
    processes.server_ports[name] = port
    processes.write(home)


def _stop_postgres(home: Home, process: Process) -> None:
    """A fast shutdown: it does not wait for its clients to leave."""
    try:
        Postgres(home.postgres).stop()
    except subprocess.CalledProcessError:
        process.stop()


def _own(variable: str, ours: str) -> str | None:
    """The user's URL, unless it is ours, handed out by `lenta environment`, with whatever password it had then."""
    given = os.environ.get(variable)
    return given if given and without_password(given) != without_password(ours) else None


def without_password(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rsplit("@", 1)[-1]))


def _postgres_url(passwords: Passwords, port: int | None) -> str:
    return postgres_url(SERVICES, passwords.services, port, DATABASE)


def _prepare_database(port: int, passwords: Passwords) -> None:
    """The services' database and all that is in it is theirs, also where an earlier version worked as the owner."""
    with _as_owner(port, passwords, "postgres") as cursor:
        cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,))
        if cursor.fetchone() is None:
            cursor.execute(f"CREATE DATABASE {DATABASE}")
        cursor.execute(f"ALTER DATABASE {DATABASE} OWNER TO {SERVICES}")
    with _as_owner(port, passwords, DATABASE) as cursor:
        cursor.execute(_OWNED_BY_ANOTHER, (SERVICES,))
        for (table,) in cursor.fetchall():
            cursor.execute(f"ALTER TABLE {table} OWNER TO {SERVICES}")


@contextmanager
def _as_owner(port: int, passwords: Passwords, database: str) -> Iterator[cursor]:
    """Each statement for itself. Raises LentaError when Postgres does not answer."""
    try:
        connection = psycopg2.connect(postgres_url(OWNER, passwords.owner, port, database), connect_timeout=10)
    except psycopg2.OperationalError as error:
        raise LentaError(f"Postgres on port {port} does not answer: {error}") from error
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            yield cursor
    finally:
        connection.close()
