"""What a process and its children hold of the machine's memory: PSS, so that shared pages count once in a sum."""

from __future__ import annotations

import psutil


def pss_bytes(process: psutil.Process) -> int | None:
    """None where the system does not let us look (another user's process)."""
    try:
        family = [process, *process.children(recursive=True)]
    except psutil.Error:
        return None
    sizes = [size for member in family if (size := _pss(member)) is not None]
    return sum(sizes) if sizes else None


def _pss(process: psutil.Process) -> int | None:
    try:
        size: int = process.memory_full_info().pss
    except psutil.Error:
        return None
    return size
