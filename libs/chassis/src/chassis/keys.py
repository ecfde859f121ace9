"""Keys that open calls."""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from time import monotonic

import structlog

LOOK_SECONDS = 1.0
"""How often a file of keys is asked whether it has changed."""

log = structlog.get_logger()


class Keys:
    """Keeps hashes only, and compares in constant time. A file of keys may change while the service runs."""

    def __init__(self, keys: str, file: Path | None = None, clock: Callable[[], float] = monotonic) -> None:
        """keys: comma-separated; any of them opens. file: more of them, by commas or lines. clock: in seconds.

        Raises OSError for a file that cannot be read.
        """
        self._given, self._file, self._clock = _hashes(keys), file, clock
        self._of_file: list[bytes] = []
        self._stamp: tuple[int, int, int] | None = None
        self._looked_at = clock()
        if file is not None:
            self._read(file)

    def __bool__(self) -> bool:
        return bool(self._held())

    def __contains__(self, key: object) -> bool:
        given = sha256(str(key).encode(errors="surrogatepass")).digest()
        return sum(hmac.compare_digest(given, held) for held in self._held()) > 0  # all of them: no early exit

    def _held(self) -> list[bytes]:
        if self._file is not None and self._clock() - self._looked_at >= LOOK_SECONDS:
            self._looked_at = self._clock()
            try:
                self._read(self._file)
            except (OSError, UnicodeDecodeError) as error:
                log.warning("keys_not_read", file=str(self._file), reason=str(error), what="those from before stay")
        return self._given + self._of_file

    def _read(self, file: Path) -> None:
        """Where it is another than the last time: its place, size or time."""
        status = file.stat()
        stamp = (status.st_ino, status.st_size, status.st_mtime_ns)
        if stamp != self._stamp:
            self._of_file, self._stamp = _hashes(file.read_text()), stamp


def listed(keys: str) -> list[str]:
    return [key.strip() for key in re.split(r"[,\n]", keys) if key.strip()]


def _hashes(keys: str) -> list[bytes]:
    return [sha256(key.encode()).digest() for key in listed(keys)]
