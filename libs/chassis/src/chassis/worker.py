"""The gunicorn worker: uvicorn's, over bounded connections; without readable settings the master ends too."""

from __future__ import annotations

import sys
from typing import Any, ClassVar

from gunicorn.arbiter import Arbiter  # type: ignore[import-untyped]
from uvicorn_worker import UvicornWorker  # type: ignore[import-untyped]

from chassis.connections import BoundedConnection
from chassis.listening import LOOP


class Worker(UvicornWorker):  # type: ignore[misc]
    CONFIG_KWARGS: ClassVar[dict[str, Any]] = {"loop": LOOP, "http": BoundedConnection}

    def load_wsgi(self) -> None:
        """gunicorn starts a worker again and again unless it ends with the status that means "cannot be loaded"."""
        try:
            super().load_wsgi()
        except SystemExit:
            sys.exit(Arbiter.APP_LOAD_ERROR)
