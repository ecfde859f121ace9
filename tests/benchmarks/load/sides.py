"""What is measured side by side: Lenta, another checkout of it, and the bare chain over the stores of the first."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
from pipeline.home import Home
from pipeline.stack.ports import DEFAULTS, variable
from pipeline.stack.processes import Processes
from pipeline.stack.servers import HOST, free_port
from pipeline.stack.services import PYTHON, Service

from pipeline import environment

ASKED = ("feature-service", "ranker-control", "ranker-test", "gateway")
"""What a recommendation passes."""
READY_SECONDS = 60.0
LENTA = Path(sys.executable).with_name("lenta")


@dataclass(frozen=True)
class Stores:
    """Of a platform that `lenta up` has filled."""

    postgres_url: str
    redis_url: str
    model_uri: str


@dataclass(frozen=True)
class Chain:
    """port: of its door. processes: that a recommendation passes, without the stores."""

    port: int
    processes: list[psutil.Process]

    @property
    def processor_seconds(self) -> float:
        """Since they were started."""
        return sum(sum(process.cpu_times()[:2]) for process in self.processes)


@contextmanager
def filled_platform(home: Path, world: str, checkout: Path | None = None) -> Iterator[tuple[Stores, Chain]]:
    """A simulated world, brought up in `home` and left there filled.

    checkout: of another Lenta, whose code it is instead, in this environment.
    """
    sources = (
        [str(source) for pattern in ("libs/*/src", "*/src") for source in checkout.glob(pattern)] if checkout else []
    )
    ports = {variable(name): str(free_port()) for name in DEFAULTS}
    path = {"PYTHONPATH": os.pathsep.join(sources)} if sources else {}
    environ = {**os.environ, **ports, **path, "LENTA_HOME": str(home)}
    try:
        subprocess.run([LENTA, "up", "--world", world], env=environ, check=True, stdout=sys.stderr)
        told = environment.read(Home(home))
        stores = Stores(told["LENTA_POSTGRES_URL"], told["LENTA_REDIS_URL"], told["LENTA_MODEL_URI"])
        port = int(told["LENTA_GATEWAY_URL"].rsplit(":", 1)[1])
        running = Processes.read(Home(home)).running
        yield stores, Chain(port, [psutil.Process(running[name].pid) for name in ASKED])
    finally:
        subprocess.run([LENTA, "down"], env=environ, check=True, stdout=sys.stderr)


@contextmanager
def bare_chain(stores: Stores) -> Iterator[Chain]:
    """`tests.benchmarks.load.bare`."""
    ports = {name: free_port() for name in ASKED}
    url = {name.replace("-", "_").upper(): f"http://{HOST}:{port}" for name, port in ports.items()}
    told = {**url, "REDIS_URL": stores.redis_url, "MODEL_URI": stores.model_uri, "PYTHONPATH": os.getcwd()}
    with ExitStack() as stack:
        pids = [stack.enter_context(running(_bare(name, port, told))) for name, port in ports.items()]
        yield Chain(ports["gateway"], [psutil.Process(pid) for pid in pids])


def _bare(name: str, port: int, told: Mapping[str, str]) -> Service:
    factory = f"tests.benchmarks.load.bare:{name.replace('-', '_')}"
    command = (*PYTHON, "uvicorn", factory, "--factory", "--host", HOST, "--port", str(port), "--no-access-log")
    return Service(name, port, command, told)


@contextmanager
def running(service: Service) -> Iterator[int]:
    """Until it is left; entered once the service is ready, with its process' id.

    In a session of its own, as a service of `lenta up`: Linux shares the processor out by sessions first, so that on a
    busy machine services within the client's session would be served at once, and Lenta's each in its turn.
    """
    process = subprocess.Popen(
        service.command, env=service.environment, stdout=subprocess.DEVNULL, start_new_session=True
    )
    try:
        _await_ready(service, process)
        yield process.pid
    finally:
        process.terminate()
        process.wait(timeout=20)


def _await_ready(service: Service, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not _is_ready(service):
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"{service.name} does not become ready on port {service.port}")
        time.sleep(0.1)


def _is_ready(service: Service) -> bool:
    try:
        return httpx.get(f"{service.url}/readyz", timeout=2).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False
