"""Brings the platform up and down. `up` is idempotent: it does what is missing and touches nothing else."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import psutil

from pipeline import environment
from pipeline.errors import LentaError
from pipeline.home import Home
from pipeline.stack.bootstrap import Filled, an_existing_user, fill
from pipeline.stack.embedded import POSTGRES, REDIS, Servers, remove_data, start_servers, stop_servers, without_password
from pipeline.stack.ports import chosen_ports, refuse_taken
from pipeline.stack.processes import Process, Processes, spawn
from pipeline.stack.readiness import wait_ready
from pipeline.stack.servers import HOST
from pipeline.stack.services import Service, services
from pipeline.tables.source import Source
from pipeline.terminal import Steps

READY_SECONDS = 90.0
GRACE_SECONDS = 20.0
KEYS = ("LENTA_API_KEY", "LENTA_ADMIN_KEY", "LENTA_INTERNAL_KEY")
"""The last is what the services say to each other."""


@dataclass(frozen=True, slots=True)
class Running:
    """What `lenta up` tells of the platform."""

    source: Source
    ports: dict[str, int]
    api_key: str
    admin_key: str
    user_id: int
    """Of somebody who exists."""

    def url(self, service: str) -> str:
        return f"http://{HOST}:{self.ports[service]}"


def up(home: Home, wanted: Source | None, default: Source, steps: Steps) -> Running:
    """wanted: what the caller asked for; None keeps what is loaded, or loads `default` into an empty platform.

    Raises LentaError when a port is taken, when other data are loaded and running, or when a step fails.
    """
    with home.alone():
        home.keep_private()
        processes = Processes.read(home)
        filled = _filled(home, processes, wanted, default, steps)
        ports = chosen_ports(os.environ, processes.ports_alive())
        refuse_taken({name: port for name, port in ports.items() if processes.alive(name) is None})
        with steps.step("Postgres and Redis"):
            servers = start_servers(home, processes)
        _refuse_other_servers(home, servers)
        keys = keys_of(home)
        environment.write(home, _environment(home, servers, ports, filled.source) | keys)
        filled = fill(home, filled, servers, steps)
        api_key, admin_key, _ = keys.values()
        wanted_services = services(ports, servers.postgres_url, servers.redis_url, str(home.models), *keys.values())
        _start(home, processes, wanted_services, steps)
        return Running(filled.source, ports, api_key, admin_key, an_existing_user(servers))


def down(home: Home, steps: Steps, *, clean: bool = False) -> list[str]:
    """Stops what `up` has started, and nothing else; returns the names. clean: removes the data too."""
    if not home.root.exists():
        return []
    with home.alone():
        processes = Processes.read(home)
        stopped = _stop_services(home, processes) + stop_servers(home, processes)
        processes.write(home)
        if clean:
            with steps.step(f"Removing {home.root}"):
                remove_data(home)
                shutil.rmtree(home.root)
        return stopped


def _filled(home: Home, processes: Processes, wanted: Source | None, default: Source, steps: Steps) -> Filled:
    """What is loaded already, or a fresh start."""
    filled = Filled.read(home)
    if filled is None:
        return Filled(source=wanted or default).write(home)
    if wanted is None or wanted == filled.source:
        return filled
    if processes.ports_alive():
        raise LentaError(
            f"the platform runs on {filled.source}; to load {wanted}, stop it first: "
            "`make down`, then the same `make up` again"
        )
    if not environment.read(home).get("LENTA_EMBEDDED"):
        raise LentaError(
            f"your own servers hold {filled.source}; empty them and run `make clean` before loading {wanted}"
        )
    steps.say(f"Replacing {filled.source} with {wanted}.")
    remove_data(home)
    return Filled(source=wanted).write(home)


def _refuse_other_servers(home: Home, servers: Servers) -> None:
    known = environment.read(home)
    for name, url in (("LENTA_POSTGRES_URL", servers.postgres_url), ("LENTA_REDIS_URL", servers.redis_url)):
        before = known.get(name)
        if (
            before is not None
            and without_password(before) != without_password(url)
            and not (servers.embedded and known.get("LENTA_EMBEDDED"))
        ):
            raise LentaError(
                f"{home.root} was filled with {name}={without_password(before)}; set that again, or `make clean`"
            )


def keys_of(home: Home) -> dict[str, str]:
    """Those of the existing platform, or new ones."""
    known = environment.read(home)
    return {name: known.get(name) or secrets.token_urlsafe(24) for name in KEYS}


def _environment(home: Home, servers: Servers, ports: dict[str, int], source: Source) -> dict[str, str]:
    values = {
        "LENTA_POSTGRES_URL": servers.postgres_url,
        "LENTA_REDIS_URL": servers.redis_url,
        "LENTA_MODEL_URI": str(home.models),
        "LENTA_GATEWAY_URL": f"http://{HOST}:{ports['gateway']}",
        "LENTA_CONSOLE_URL": f"http://{HOST}:{ports['console']}",
        **environment.of_data(source),
    }
    if servers.embedded:
        values["LENTA_EMBEDDED"] = "1"
    return values


def _start(home: Home, processes: Processes, wanted: Sequence[Service], steps: Steps) -> None:
    for service in wanted:
        if processes.alive(service.name) is None:
            log = home.log(service.name)
            processes.running[service.name] = spawn(
                service.name, service.command, service.port, service.logging_to(log), log
            )
            processes.write(home)
    with steps.step("Services ready") as on_progress:
        ready: list[str] = []

        def count(name: str) -> None:
            ready.append(name)
            on_progress(len(ready), len(wanted))

        wait_ready([processes.running[service.name] for service in wanted], READY_SECONDS, count)


def _stop_services(home: Home, processes: Processes) -> list[str]:
    """All are asked to stop at once; those that have not stopped in time are killed."""
    ours: dict[str, Process] = {
        name: process for name, process in processes.running.items() if name not in (POSTGRES, REDIS)
    }
    alive = {name: live for name, process in ours.items() if (live := process.live()) is not None}
    for process in alive.values():
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    _, stubborn = psutil.wait_procs(list(alive.values()), timeout=GRACE_SECONDS)
    for process in stubborn:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(stubborn, timeout=GRACE_SECONDS)
    for name in ours:
        del processes.running[name]
    processes.write(home)
    return list(alive)
