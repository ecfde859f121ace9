"""Postgres and Redis of the local platform: the user's own where a URL says so, else ours, on ports kept for good."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass

import psycopg2

from pipeline.errors import LentaError
from pipeline.home import Home
from pipeline.stack.ports import is_free
from pipeline.stack.processes import Process, Processes
from pipeline.stack.servers import HOST, Postgres, RunningServer, free_port, start_redis

POSTGRES, REDIS = "postgres", "redis"
DATABASE = "lenta"


@dataclass(frozen=True, slots=True)
class Servers:
    postgres_url: str
    redis_url: str
    embedded: bool
    """False as soon as one of them is the user's own: what it holds is not ours to remove."""


def start_servers(home: Home, processes: Processes) -> Servers:
    """Starts what is not running. `processes` then holds what is ours.

    Raises LentaError when one does not start, or when the user's own does not answer.
    """
    own_postgres = _own("LENTA_POSTGRES_URL", _postgres_url(processes.server_ports.get(POSTGRES)))
    own_redis = _own("LENTA_REDIS_URL", _redis_url(processes.server_ports.get(REDIS)))
    if own_postgres is None:
        _start(POSTGRES, home, processes, lambda port: Postgres(home.postgres).start(port))
        _create_database(processes.server_ports[POSTGRES])
    if own_redis is None:
        _start(REDIS, home, processes, lambda port: start_redis(home.redis, port))
    postgres_url = own_postgres or _postgres_url(processes.server_ports.get(POSTGRES))
    redis_url = own_redis or _redis_url(processes.server_ports.get(REDIS))
    return Servers(postgres_url, redis_url, embedded=own_postgres is None and own_redis is None)


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
    """The user's URL, unless it is ours, handed out by `lenta environment`."""
    given = os.environ.get(variable)
    return given if given and given != ours else None


def _postgres_url(port: int | None) -> str:
    return f"postgresql://lenta@{HOST}:{port}/{DATABASE}"


def _redis_url(port: int | None) -> str:
    return f"redis://{HOST}:{port}/0"


def _create_database(port: int) -> None:
    try:
        connection = psycopg2.connect(f"postgresql://lenta@{HOST}:{port}/postgres", connect_timeout=10)
    except psycopg2.OperationalError as error:
        raise LentaError(f"Postgres on port {port} does not answer: {error}") from error
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,))
            if cursor.fetchone() is None:
                cursor.execute(f"CREATE DATABASE {DATABASE}")
    finally:
        connection.close()
