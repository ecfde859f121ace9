"""What is measured side by side, over the same stores and models: Lenta, a checkout of it, the bare chain."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from pipeline.home import Home
from pipeline.stack.ports import DEFAULTS, variable
from pipeline.stack.servers import HOST, free_port
from pipeline.stack.services import PYTHON, Service

from pipeline import environment

ASKED = ("feature-service", "ranker-control", "ranker-test", "gateway")
"""What a recommendation passes."""
READY_SECONDS = 60.0
SERVICES = """
import json, sys
from pipeline.stack.services import services
every = services(*json.loads(sys.argv[1]))
print(json.dumps([[one.name, one.port, one.command, dict(one.settings)] for one in every]))
"""
"""Said by a checkout: its services refuse settings that are not theirs."""
LENTA = Path(sys.executable).with_name("lenta")


@dataclass(frozen=True)
class Stores:
    """Of a platform that `lenta up` has filled."""

    postgres_url: str
    redis_url: str
    model_uri: str


@contextmanager
def filled_platform(home: Path, world: str) -> Iterator[tuple[Stores, int]]:
    """A simulated world, brought up in `home` and left there filled; and the gateway's port."""
    ports = {name: free_port() for name in DEFAULTS}
    environ = {**os.environ, **{variable(name): str(port) for name, port in ports.items()}, "LENTA_HOME": str(home)}
    subprocess.run([LENTA, "up", "--world", world], env=environ, check=True, stdout=sys.stderr)
    try:
        told = environment.read(Home(home))
        stores = Stores(told["LENTA_POSTGRES_URL"], told["LENTA_REDIS_URL"], told["LENTA_MODEL_URI"])
        yield stores, int(told["LENTA_GATEWAY_URL"].rsplit(":", 1)[1])
    finally:
        subprocess.run([LENTA, "down"], env=environ, check=True, stdout=sys.stderr)


@contextmanager
def lenta_of(checkout: Path, stores: Stores) -> Iterator[int]:
    """The services on a recommendation's way as that checkout runs them, in this environment; the gateway's port."""
    sources = [str(source) for pattern in ("libs/*/src", "*/src") for source in checkout.glob(pattern)]
    path = {"PYTHONPATH": os.pathsep.join(sources)}
    ports = {name: free_port() for name in DEFAULTS}
    told = json.dumps([ports, stores.postgres_url, stores.redis_url, stores.model_uri, "key", "admin"])
    asked = [sys.executable, "-P", "-c", SERVICES, told]
    said = subprocess.run(asked, env={**os.environ, **path}, check=True, capture_output=True, text=True).stdout
    with ExitStack() as stack:
        for name, port, command, settings in json.loads(said):
            if name in ASKED:
                stack.enter_context(running(Service(name, port, tuple(command), {**settings, **path})))
        yield ports["gateway"]


@contextmanager
def bare_chain(stores: Stores) -> Iterator[int]:
    """`tests.benchmarks.load.bare`; the port of its door."""
    ports = {name: free_port() for name in ASKED}
    url = {name.replace("-", "_").upper(): f"http://{HOST}:{port}" for name, port in ports.items()}
    told = {**url, "REDIS_URL": stores.redis_url, "MODEL_URI": stores.model_uri, "PYTHONPATH": os.getcwd()}
    with ExitStack() as stack:
        for name, port in ports.items():
            stack.enter_context(running(_bare(name, port, told)))
        yield ports["gateway"]


def _bare(name: str, port: int, told: Mapping[str, str]) -> Service:
    factory = f"tests.benchmarks.load.bare:{name.replace('-', '_')}"
    command = (*PYTHON, "uvicorn", factory, "--factory", "--host", HOST, "--port", str(port), "--no-access-log")
    return Service(name, port, command, told)


@contextmanager
def running(service: Service) -> Iterator[None]:
    """Until it is left; entered once the service is ready."""
    process = subprocess.Popen(service.command, env=service.environment, stdout=subprocess.DEVNULL)
    try:
        _await_ready(service, process)
        yield
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
