"""A platform's parts as processes that are started again when they end, as containers with a restart policy are."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import httpx
import psutil
from pipeline.errors import LentaError
from pipeline.home import Home
from pipeline.stack.embedded import Passwords
from pipeline.stack.ports import DEFAULTS
from pipeline.stack.processes import Processes, spawn
from pipeline.stack.readiness import reason_not_ready
from pipeline.stack.servers import HOST, Postgres, PostgresPasswords, free_port, start_redis
from pipeline.stack.services import PYTHON, Service, services

from pipeline import environment
from tests.chaos.accidents.disk import own_disk

STORES = ("postgres", "redis")
NAMES = ("redis", "postgres", "feature-service", "ingest", "ranker-control", "ranker-test", "console", "gateway")
WATCH_SECONDS = 0.05
AGAIN_SECONDS = 0.25
"""Before what ended is started again."""
READY_SECONDS = 90.0
DISK_BYTES = dict.fromkeys(NAMES, 2**25) | {"redis": 2**28, "postgres": 2**30}


class Part:
    """start: makes it run, and returns its process' id. folder: of all that it writes."""

    def __init__(self, name: str, port: int, folder: Path, start: Callable[[], int]) -> None:
        self.name, self.port, self.folder = name, port, folder
        self._start, self._over = start, threading.Event()
        self._process: psutil.Process | None = None
        self._watch = threading.Thread(target=self._keep_running, name=name)

    @contextmanager
    def supervised(self) -> Iterator[Part]:
        self._watch.start()
        try:
            yield self
        finally:
            self._over.set()
            self._watch.join()
            last = [*self.processes, *([self._process] if self._process is not None else [])]
            for process in last:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            psutil.wait_procs(last, timeout=10)

    @property
    def processes(self) -> list[psutil.Process]:
        """The first and what it has started; of the gateway its workers alone: their master is what restarts them."""
        if self._process is None or not self._process.is_running():
            return []
        with suppress(psutil.NoSuchProcess):
            children = self._process.children(recursive=True)
            return children if self.name == "gateway" else [self._process, *children]
        return []

    def send(self, number: signal.Signals) -> None:
        for process in self.processes:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def restart(self) -> None:
        """As its container would be told to; the gateway's master replaces its worker."""
        told = {"gateway": signal.SIGHUP, "postgres": signal.SIGINT}.get(self.name, signal.SIGTERM)
        if self._process is not None:
            self._process.send_signal(told)

    def _keep_running(self) -> None:
        while not self._over.is_set():
            if not self._lives():
                self._run()
            self._over.wait(WATCH_SECONDS)

    def _lives(self) -> bool:
        with suppress(psutil.NoSuchProcess):
            return self._process is not None and self._process.status() != psutil.STATUS_ZOMBIE
        return False

    def _run(self) -> None:
        """What cannot be started, as on a full disk, is tried again."""
        try:
            self._process = psutil.Process(self._start())
        except (LentaError, OSError, psutil.NoSuchProcess) as error:
            print(f"{self.name} does not start: {str(error).splitlines()[0]}", file=sys.stderr)
        self._over.wait(AGAIN_SECONDS)


@dataclass(frozen=True)
class Platform:
    parts: Mapping[str, Part]
    gateway: str
    features: str
    """What the client calls, and where rows are read afterwards."""
    postgres_url: str
    api_key: str
    internal_key: str

    def reasons(self, http: httpx.Client) -> dict[str, str]:
        """Why services are not ready, by name."""
        services = (part for name, part in self.parts.items() if name not in STORES)
        asked = {part.name: reason_not_ready(http, part.port) for part in services}
        return {name: reason for name, reason in asked.items() if reason is not None}


@contextmanager
def supervised(home: Home, doors: Mapping[str, Mapping[str, int]], ports: Mapping[str, int]) -> Iterator[Platform]:
    """What `lenta up` has filled in `home`, from a copy of its stores; left once every service was ready.

    ports: of each part. doors: by caller, other ports for the parts that it calls.
    """
    told, passwords = environment.read(home), Passwords.of(home, Processes())
    folder = home.root / "accidents"
    with ExitStack() as stack:
        disks = {name: stack.enter_context(own_disk(_place(folder, name), DISK_BYTES[name])) for name in NAMES}
        parts = {
            "postgres": _postgres(home, disks["postgres"], ports["postgres"], passwords),
            "redis": _redis(home, disks["redis"], ports["redis"], passwords),
        }
        postgres_url = _at_port(told["LENTA_POSTGRES_URL"], ports["postgres"])
        redis_url = _at_port(told["LENTA_REDIS_URL"], ports["redis"])
        keys = [told[f"LENTA_{name}_KEY"] for name in ("API", "ADMIN", "INTERNAL")]
        for service in services(ports, postgres_url, redis_url, told["LENTA_MODEL_URI"], *keys):
            wired = _wired(service, ports, doors.get(service.name, {}))
            parts[service.name] = _service(wired, disks[service.name])
        for name in STORES:
            stack.enter_context(parts[name].supervised())
            _await(partial(_listens, ports[name]), name)
        for name in NAMES:
            if name not in STORES:
                stack.enter_context(parts[name].supervised())
        url = {name: f"http://{HOST}:{doors.get('client', {}).get(name, ports[name])}" for name in NAMES}
        platform = Platform(parts, url["gateway"], url["feature-service"], postgres_url, keys[0], keys[2])
        with httpx.Client() as http:
            _await(lambda: not platform.reasons(http), "the platform")
        yield platform


def free_ports() -> dict[str, int]:
    return {name: free_port() for name in (*STORES, *DEFAULTS)}


def _place(folder: Path, name: str) -> Path:
    """Where a part writes. Postgres says itself where its own user can reach it."""
    return Postgres(folder / name).data.parent if name == "postgres" else folder / name


def _postgres(home: Home, folder: Path, port: int, passwords: Passwords) -> Part:
    """folder: `_place`'s."""
    server = Postgres(home.root / "accidents" / "postgres")
    subprocess.run(["cp", "--archive", Postgres(home.postgres).data, folder], check=True)
    of_postgres = PostgresPasswords(passwords.owner, passwords.services)
    return Part("postgres", port, folder, lambda: server.start(port, of_postgres).pid)


def _redis(home: Home, folder: Path, port: int, passwords: Passwords) -> Part:
    shutil.copytree(home.redis, folder, dirs_exist_ok=True)
    return Part("redis", port, folder, lambda: start_redis(folder, port, passwords.redis).pid)


def _service(service: Service, folder: Path) -> Part:
    """With its log and its temporary files on its own disk."""
    log = folder / f"{service.name}.log"
    environ = {**service.logging_to(log), "TMPDIR": str(folder)}
    command = _under_gunicorn(service.port) if service.name == "gateway" else service.command
    out = folder.parent / f"{service.name}.out"
    return Part(
        service.name, service.port, folder, lambda: spawn(service.name, command, service.port, environ, out).pid
    )


def _under_gunicorn(port: int) -> Sequence[str]:
    """As in its container."""
    how = ("--config", "python:chassis.gunicorn", "--bind", f"{HOST}:{port}", "--chdir", os.sep)
    return (*PYTHON, "gunicorn", *how, "gateway.app:create()")


def _wired(service: Service, ports: Mapping[str, int], doors: Mapping[str, int]) -> Service:
    """Calling others by the doors."""
    settings = dict(service.settings)
    for name, door in doors.items():
        settings = {key: value.replace(f"{HOST}:{ports[name]}", f"{HOST}:{door}") for key, value in settings.items()}
    return replace(service, settings=settings)


def _at_port(url: str, port: int) -> str:
    before, _, after = url.rpartition(":")
    return f"{before}:{port}/{after.partition('/')[2]}"


def _await(holds: Callable[[], bool], name: str) -> None:
    until = time.monotonic() + READY_SECONDS
    while not holds():
        if time.monotonic() > until:
            raise SystemExit(f"{name} is not ready after {READY_SECONDS:.0f} s")
        time.sleep(0.1)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0
