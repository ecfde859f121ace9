"""`python -m console`: the console on its own, without a process manager."""

from __future__ import annotations

import uvicorn

from console.app import create
from console.settings import ConsoleSettings


def main() -> None:
    settings = ConsoleSettings.read_or_exit()
    uvicorn.run(create(settings), host=settings.host, port=settings.port, access_log=False, log_config=None)


if __name__ == "__main__":
    main()
