"""The gunicorn worker: uvicorn's, except that a service that cannot read its settings ends the master too."""

from __future__ import annotations

import sys

from gunicorn.arbiter import Arbiter  # type: ignore[import-untyped]
from uvicorn_worker import UvicornWorker  # type: ignore[import-untyped]


class Worker(UvicornWorker):  # type: ignore[misc]
    def load_wsgi(self) -> None:
        """gunicorn starts a worker again and again unless it ends with the status that means "cannot be loaded"."""
        try:
            super().load_wsgi()
        except SystemExit:
            sys.exit(Arbiter.APP_LOAD_ERROR)
