"""Which port each service takes, whether it is free, and who holds it if not.

Each is settable by a variable: GATEWAY_PORT, FEATURE_SERVICE_PORT, RANKER_CONTROL_PORT, RANKER_TEST_PORT,
INGEST_PORT, CONSOLE_PORT.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping

import psutil

from pipeline.errors import LentaError
from pipeline.stack.servers import HOST

DEFAULTS = {
    "feature-service": 8001,
    "ingest": 8011,
    "ranker-control": 8002,
    "ranker-test": 8003,
    "gateway": 8000,
    "console": 8090,
}
HIGHEST = 65_535


def variable(service: str) -> str:
    return f"{service.upper().replace('-', '_')}_PORT"


def chosen_ports(environ: Mapping[str, str], running: Mapping[str, int]) -> dict[str, int]:
    """By service: what the environment says, else where it runs now, else the default.

    Raises LentaError for a malformed port, two services on one, or another port than the running service's.
    """
    ports = {name: _chosen(name, environ, running.get(name)) for name in DEFAULTS}
    by_port: dict[int, str] = {}
    for name, port in ports.items():
        if other := by_port.get(port):
            raise LentaError(f"{other} and {name} both want port {port}; set {variable(name)} to another")
        by_port[port] = name
    return ports


def refuse_taken(ports: Mapping[str, int]) -> None:
    """Raises LentaError that names every taken port, its service, and the holder where the system tells."""
    taken = [
        f"port {port} for {name} is taken{_holder(port)} (set {variable(name)})"
        for name, port in ports.items()
        if not is_free(port)
    ]
    if taken:
        raise LentaError(f"{'; '.join(taken)}. Nothing was started.")


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port in TIME_WAIT can be taken
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _chosen(name: str, environ: Mapping[str, str], running: int | None) -> int:
    given = environ.get(variable(name))
    if not given:
        return running or DEFAULTS[name]
    if not given.isascii() or not given.isdigit() or not 0 < int(given) <= HIGHEST:
        raise LentaError(f"{variable(name)}={given} is not a port (1 to {HIGHEST})")
    if running not in (None, int(given)):
        raise LentaError(f"{name} runs on port {running}; `make down` before moving it to {given}")
    return int(given)


def _holder(port: int) -> str:
    """` by nginx (pid 12)`, or nothing where we may not know."""
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.status != psutil.CONN_LISTEN or not connection.laddr or connection.pid is None:
                continue
            if connection.laddr.port == port:
                return f" by {psutil.Process(connection.pid).name()} (pid {connection.pid})"
    except psutil.Error:
        return ""
    return ""
