"""The processes that `lenta up` has started, remembered by pid and start time so that no other is ever touched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil
from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline.errors import LentaError
from pipeline.home import Home, write_private
from pipeline.stack.detached import start_detached
from pipeline.stack.servers import stop_process

CLOCK_TOLERANCE = 2.0
"""By how many seconds two readings of one start time may differ (the system derives it from its boot time)."""


class Process(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    pid: int
    started: float
    """Epoch seconds."""
    port: int
    log: Path

    @classmethod
    def seen(cls, name: str, pid: int, port: int, log: Path) -> Process:
        return cls(name=name, pid=pid, started=psutil.Process(pid).create_time(), port=port, log=log)

    def live(self) -> psutil.Process | None:
        """The process itself while it lives; None when it has ended or another has its pid."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started) < CLOCK_TOLERANCE
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.NoSuchProcess:
            return None

    def stop(self) -> bool:
        """Asks it to stop, then kills it. False when it had stopped already."""
        if self.live() is None:
            return False
        stop_process(self.pid)
        return True


class Processes(BaseModel):
    """All of them, by name; every change is written to the file."""

    model_config = ConfigDict(extra="forbid")

    running: dict[str, Process] = {}
    """Servers first, then the services in the order of their start. Some may have died since."""
    server_ports: dict[str, int] = {}
    """Of our Postgres and Redis: chosen once, kept over a `down`."""

    @classmethod
    def read(cls, home: Home) -> Processes:
        try:
            return cls.model_validate_json(home.stack.read_text())
        except FileNotFoundError:
            return cls()
        except ValidationError as error:
            raise LentaError(f"{home.stack} is broken; stop what runs by hand and remove it: {error}") from error

    def write(self, home: Home) -> None:
        write_private(home.stack, self.model_dump_json(indent=1))

    def alive(self, name: str) -> Process | None:
        process = self.running.get(name)
        return process if process is not None and process.live() is not None else None

    def ports_alive(self) -> dict[str, int]:
        return {name: process.port for name, process in self.running.items() if process.live() is not None}


def spawn(name: str, command: Sequence[str], port: int, environment: Mapping[str, str], log: Path) -> Process:
    """In the background, in a session of its own, its output appended to `log`."""
    pid = start_detached(command, environment, log)
    return Process.seen(name, pid, port, log)


def tail(log: Path, lines: int = 12) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else "(no log)"
