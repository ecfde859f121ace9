"""A server as a child process, with how long it took to answer."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

READY_SECONDS = 180.0
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


@dataclass(frozen=True, slots=True)
class Started:
    process: psutil.Process
    seconds: float
    """Until it was ready."""


@contextmanager
def started(
    command: Sequence[str | Path], ready: str, folder: Path, environment: Mapping[str, str] = ONE_THREAD
) -> Iterator[Started]:
    """In `folder`, to whose `log` it writes. ready: an address that answers 200 then.

    Raises SystemExit that names the log."""
    log, began = folder / "log", time.monotonic()
    with log.open("w") as output:
        told = {**os.environ, **ONE_THREAD, **environment}
        child = subprocess.Popen(command, cwd=folder, env=told, stdout=output, stderr=output)
    try:
        while not _answers(ready):
            if child.poll() is not None or time.monotonic() - began > READY_SECONDS:
                raise SystemExit(f"{command[0]} does not answer {ready}; its log: {log}")
            time.sleep(0.02)
        yield Started(psutil.Process(child.pid), time.monotonic() - began)
    finally:
        _end(child)


def _answers(address: str) -> bool:
    with suppress(httpx.TransportError):
        return httpx.get(address, timeout=5).status_code == httpx.codes.OK
    return False


def _end(child: subprocess.Popen[bytes]) -> None:
    """With whatever it has started itself."""
    with suppress(psutil.NoSuchProcess):
        family = [psutil.Process(child.pid), *psutil.Process(child.pid).children(recursive=True)]
        child.terminate()
        _, stubborn = psutil.wait_procs(family, timeout=10)
        for process in stubborn:
            process.kill()
    child.wait(timeout=20)
