"""A small file system of one part's own, which can be filled without harm to others."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PIECE = bytes(2**16)
FILLER = "filler"


@contextmanager
def own_disk(folder: Path, most_bytes: int) -> Iterator[Path]:
    """An empty tmpfs at `folder`; a plain folder where we may not mount one (not root, or a container's root)."""
    _remove(folder)
    folder.mkdir(parents=True)
    how = ("-t", "tmpfs", "-o", f"size={most_bytes},mode=0755", "tmpfs", str(folder))
    if os.geteuid() == 0:
        subprocess.run(["mount", *how], check=False, capture_output=True)
    try:
        yield folder
    finally:
        _remove(folder)


def is_own(folder: Path) -> bool:
    return os.path.ismount(folder)


def fill(folder: Path) -> None:
    """Up to the last byte. Raises ValueError for a folder without a file system of its own."""
    if not is_own(folder):
        raise ValueError(f"{folder} is on a disk that others use too")
    with (folder / FILLER).open("ab", buffering=0) as file:
        try:
            while file.write(PIECE):
                pass
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise


def empty(folder: Path) -> None:
    """Of what `fill` wrote."""
    (folder / FILLER).unlink(missing_ok=True)


def _remove(folder: Path) -> None:
    """What a killed run has left, too."""
    if is_own(folder):
        subprocess.run(["umount", "--lazy", folder], check=True)
    shutil.rmtree(folder, ignore_errors=True)
