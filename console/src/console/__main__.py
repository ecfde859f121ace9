"""`python -m console`: the console on its own, without a process manager."""

from __future__ import annotations

import uvicorn
from chassis.connections import BoundedConnection

from console.app import create
from console.settings import ConsoleSettings


def main() -> None:
    settings = ConsoleSettings.read_or_exit()
    app, http = create(settings), BoundedConnection
    uvicorn.run(app, host=settings.host, port=settings.port, http=http, access_log=False, log_config=None)


if __name__ == "__main__":
    main()
