"""What ingest tells of itself over HTTP: `/livez`, `/readyz` with what it waits for, and everything else is `/metrics`."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import make_wsgi_app


@dataclass
class Rounds:
    """How the last round over the shards went."""

    waits_for: str | None = "the first round"


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Ingest's log is for what ingest does."""


@contextmanager
def reported(rounds: Rounds, host: str, port: int) -> Iterator[int]:
    """Serves in a thread; yields the port (a free one for 0)."""
    metrics = make_wsgi_app()

    def answer(environ: dict[str, Any], start_response: Any) -> Any:
        path = environ["PATH_INFO"]
        if path not in ("/livez", "/readyz"):
            return metrics(environ, start_response)
        failing = path == "/readyz" and rounds.waits_for is not None
        start_response("503 Service Unavailable" if failing else "200 OK", [("Content-Type", "application/json")])
        reason = {"status": "not ready", "reasons": {"ingest": f"waits for {rounds.waits_for}"}}
        return [json.dumps(reason if failing else {"status": path.strip("/").removesuffix("z")}).encode()]

    with make_server(host, port, answer, _Server, _Quiet) as server:
        serving = threading.Thread(target=server.serve_forever, name="reporting", daemon=True)
        serving.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            serving.join()
