"""The platform's services as processes of this machine: what each runs and what it is told."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from chassis.connections import IMPLEMENTATION
from chassis.listening import LOOP

from pipeline.stack.ports import DEFAULTS, variable
from pipeline.stack.servers import HOST

PYTHON = (sys.executable, "-P", "-m")
"""Without the current folder on its path: a file there named like a service must not be run."""
HERE = f"{HOST},localhost"
"""The names of this machine for itself: a page whose own name was made to point here is turned away."""
WATCHED = ("gateway", "feature-service", "ingest", "ranker-control", "ranker-test")
"""By the console's system page, in the order in which it shows them."""


@dataclass(frozen=True, slots=True)
class Service:
    name: str
    port: int
    command: tuple[str, ...]
    settings: Mapping[str, str]
    prefix: str = ""
    """Of its settings' variables; '' where it has none of ours, and logs to stdout."""

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """Ours, without the port variables: a service refuses a variable with its prefix that it doesn't know.

        One thread for linear algebra: a request's matrices are small, and threads would wait for each other."""
        ports = {variable(name) for name in DEFAULTS}
        inherited = {name: value for name, value in os.environ.items() if name not in ports}
        return {
            **inherited,
            "PYTHONUNBUFFERED": "1",
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            **self.settings,
        }

    def logging_to(self, log: Path) -> dict[str, str]:
        """Its environment, with the file that it writes itself, and replaces when it is full."""
        return {f"{self.prefix}LOG_FILE": str(log), **self.environment} if self.prefix else self.environment


def services(
    ports: Mapping[str, int], postgres_url: str, redis_url: str, model_uri: str, api_key: str, admin_key: str,
    internal_key: str = "",
) -> list[Service]:  # fmt: skip
    """In the order of their start. internal_key: '' where only this machine calls them."""
    url = {name: f"http://{HOST}:{port}" for name, port in ports.items()}
    features = {
        "FEATURES_REDIS_URL": redis_url,
        "FEATURES_POSTGRES_URL": postgres_url,
        "FEATURES_INTERNAL_KEY": internal_key,
        "FEATURES_INGEST_HOST": HOST,
        "FEATURES_INGEST_PORT": str(ports["ingest"]),
    }
    ranker = {
        "RANKER_MODEL_URI": model_uri,
        "RANKER_FEATURES_URL": url["feature-service"],
        "RANKER_INTERNAL_KEY": internal_key,
    }
    gateway = {
        "GATEWAY_FEATURES_URL": url["feature-service"],
        "GATEWAY_CONTROL_URL": url["ranker-control"],
        "GATEWAY_TEST_URL": url["ranker-test"],
        "GATEWAY_INTERNAL_KEY": internal_key,
        "GATEWAY_HOSTS": HERE,
        "GATEWAY_LISTEN": HOST,
        "GATEWAY_API_KEYS": api_key,
        "GATEWAY_ADMIN_KEYS": admin_key,
    }
    console = {
        "CONSOLE_GATEWAY_URL": url["gateway"],
        "CONSOLE_HOSTS": HERE,
        "CONSOLE_LISTEN": HOST,
        "CONSOLE_API_KEY": api_key,
        "CONSOLE_SERVICES": ",".join(f"{name}={url[name]}" for name in WATCHED),
    }
    ingest = Service("ingest", ports["ingest"], (*PYTHON, "feature_service.ingest"), features, "FEATURES_")
    return [
        _web("feature-service", "feature_service.serving.app:create", ports, features, "FEATURES_"),
        ingest,
        _web("ranker-control", "ranker_control.app:create", ports, ranker, "RANKER_"),
        _web("ranker-test", "ranker_test.app:create", ports, ranker, "RANKER_"),
        _web("gateway", "gateway.app:create", ports, gateway, "GATEWAY_"),
        _web("console", "console.app:create", ports, console, "CONSOLE_"),
    ]


def _web(name: str, factory: str, ports: Mapping[str, int], settings: Mapping[str, str], prefix: str) -> Service:
    port = ports[name]
    command = (*PYTHON, "uvicorn", factory, "--factory", "--app-dir", os.sep, "--host", HOST, "--port", str(port))
    how = ("--http", IMPLEMENTATION, "--loop", LOOP, "--no-access-log", "--timeout-graceful-shutdown", "5")
    return Service(name, port, (*command, *how), settings, prefix)
