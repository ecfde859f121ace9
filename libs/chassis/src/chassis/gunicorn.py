"""gunicorn's settings in a container: `gunicorn --config python:chassis.gunicorn gateway.app:create()`.

HOST and PORT say where it listens unless `--bind` does. One worker each: more containers for more load. Without a
readable setting the master ends with status 4, after the one line that names the variable.
"""

from __future__ import annotations

import json
import logging
import os
from datetime import UTC, datetime
from typing import Any

bind = f"{os.environ.get('HOST', '127.0.0.1')}:{os.environ.get('PORT', '8000')}"
worker_class = "chassis.worker.Worker"
workers = 1
keepalive = 75
"""Seconds; longer than our clients keep an idle connection, so that none is closed under a request."""
timeout = 30
graceful_timeout = 10
worker_tmp_dir = "/dev/shm"
"""The worker's heartbeat is a file: in memory, since the root file system is read-only."""
control_socket_disable = True


class JsonLines(logging.Formatter):
    """The master's few words in the shape of `chassis.logs`, without importing what that needs."""

    def format(self, record: logging.LogRecord) -> str:
        event: dict[str, Any] = {
            "service": "gunicorn",
            "event": record.getMessage(),
            "level": record.levelname.lower(),
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat().replace("+00:00", "Z"),
        }
        if record.exc_info:
            event["exception"] = self.formatException(record.exc_info)
        return json.dumps(event)


logconfig_dict: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": JsonLines}},
    "handlers": {"stdout": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stdout"}},
    "root": {"handlers": [], "level": "WARNING"},
    "loggers": {"gunicorn.error": {"handlers": ["stdout"], "level": "WARNING", "propagate": False}},
}
