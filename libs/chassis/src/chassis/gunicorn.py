"""What gunicorn is told in a container: `gunicorn --config python:chassis.gunicorn --bind ADDRESS gateway.app:create()`.

One worker each: more containers for more load. The master imports nothing but this.
"""

from __future__ import annotations

worker_class = "uvicorn_worker.UvicornWorker"
workers = 1
keepalive = 75
"""Seconds; longer than our clients keep an idle connection, so that none is closed under a request."""
timeout = 30
graceful_timeout = 10
worker_tmp_dir = "/dev/shm"
"""The worker's heartbeat is a file: in memory, since the root file system is read-only."""
control_socket_disable = True
loglevel = "warning"
