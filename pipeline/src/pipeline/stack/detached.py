"""Processes that outlive the command that starts them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from pipeline.errors import LentaError


def start_detached(command: Sequence[str], environment: Mapping[str, str], log: Path) -> int:
    """In a session of its own, without input, its output appended to `log`; its pid.

    Raises LentaError when the program is not there.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    program = shutil.which(command[0])
    if program is None:
        raise LentaError(f"{command[0]} is not a program")
    append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    files = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), append, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    return os.posix_spawn(program, list(command), dict(environment), file_actions=files, setsid=True)


def lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
