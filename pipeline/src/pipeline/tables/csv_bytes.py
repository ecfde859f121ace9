"""What DuckDB takes silently, or at any price, in a CSV file: found by one pass over the bytes, in constant memory.

DuckDB drops, without an error, what follows a quote that is never closed; it reads a line of a gigabyte into memory
before it refuses it; and a NUL that it lets through is refused by Postgres, who does not know the line.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

import numpy as np
import numpy.typing as npt

from pipeline.errors import LentaError

CHUNK = 2**20
RECORD_MAX = 20_000_000
"""Bytes of one row."""
UNPACKED_MAX, SMALL = 200, 2**28
"""A compressed file may unpack to so many times its size, or to so many bytes: real tables unpack to some ten times."""

_QUOTE, _COMMA, _NEWLINE, _RETURN = b'",\n\r'
_BESIDE = np.array([_QUOTE, _COMMA, _NEWLINE, _RETURN], np.uint8)
"""What may stand before a quote that opens a value, and after one that closes it."""
_OPENS = re.compile(rb'(?:^|,) ?"')
"""To DuckDB one space may stand before a quote that opens a value, and two make it part of the value."""
_REST = re.compile(rb'(?:[^"]|"")*("?)')
Bytes = npt.NDArray[np.uint8]


def open_bytes(path: Path) -> IO[bytes]:
    """Unpacked, if it is compressed."""
    return cast(IO[bytes], gzip.open(path)) if path.suffix == ".gz" else path.open("rb")


def check_bytes(path: Path, chunk_bytes: int = CHUNK) -> None:
    """Raises LentaError naming the line of a NUL, of a row without end, of a quote that is never closed, of a file that
    breaks off, and of one that unpacks to far more than a table does."""
    scan = _Scan(path)
    for chunk in _chunks(path, chunk_bytes):
        scan.read(chunk)
    scan.end()


class _Scan:
    """Where in the file the pass is. `position` counts bytes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._unpacked_max = max(path.stat().st_size * UNPACKED_MAX, SMALL) if path.suffix == ".gz" else None
        self._position = self._row_start = 0
        self._before, self._quotes = b"\n", b""
        self._is_quoted, self._is_plain = False, True

    def read(self, chunk: bytes) -> None:
        """A run of quotes at the end waits for the byte behind it."""
        if (nul := chunk.find(b"\0")) >= 0:
            raise self._fault(self._position + len(self._quotes) + nul, "holds a NUL character")
        data = self._quotes + chunk
        self._quotes = data[len(data.rstrip(b'"')) :]
        if body := data.removesuffix(self._quotes):
            self._take(body)
        if self._position + len(self._quotes) - self._row_start > RECORD_MAX:
            raise self._fault(self._row_start, f"a row of more than {RECORD_MAX // 10**6} MB")
        if self._unpacked_max is not None and self._position > self._unpacked_max:
            raise self._fault(self._position, f"the file unpacks to more than {UNPACKED_MAX} times its size")

    def _take(self, body: bytes) -> None:
        if b'"' in body:
            self._take_quotes(np.frombuffer(self._before + body, np.uint8))
        elif not self._is_quoted and (last := body.rfind(b"\n")) >= 0:
            self._row_start = self._position + last + 1
        self._position += len(body)
        self._before = body[-1:]

    def _take_quotes(self, data: Bytes) -> None:
        """data: the byte before, and the next ones, of which the last is no quote."""
        quotes = np.flatnonzero(data == _QUOTE)
        opens = (np.arange(len(quotes)) % 2 == 0) ^ self._is_quoted
        beside = data[np.where(opens, quotes - 1, quotes + 1)]
        self._is_plain &= bool(np.isin(beside, _BESIDE).all())
        ends = np.flatnonzero(data == _NEWLINE)
        outside = (np.searchsorted(quotes, ends) % 2 == 0) ^ self._is_quoted
        if outside.any():
            self._row_start = self._position + int(ends[outside][-1])
        self._is_quoted ^= len(quotes) % 2 == 1

    def end(self) -> None:
        """Where quotes stand in the middle of values, their number says nothing: then the rows are read one by one."""
        last = (self._before + self._quotes)[-1:]
        if self._quotes:
            self._take(self._quotes + b"\n")
        if (self._is_quoted or not self._is_plain) and (line := _unclosed(self._path)) is not None:
            raise _refused(self._path, line, "a quote is opened and never closed")
        if last != b"\n":
            said = "the file breaks off in the middle of a line; if it is whole, end it with a line break"
            raise self._fault(self._position - len(self._quotes), said)

    def _fault(self, position: int, said: str) -> LentaError:
        return _refused(self._path, 1 + _lines_before(self._path, position), said)


def _chunks(path: Path, chunk_bytes: int) -> Iterator[bytes]:
    read = 0
    try:
        with open_bytes(path) as file:
            while chunk := file.read(chunk_bytes):
                yield chunk
                read += len(chunk)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise _refused(path, 1 + _lines_before(path, read), f"the file breaks off ({error})") from error


def _lines_before(path: Path, position: int) -> int:
    lines = 0
    with open_bytes(path) as file:
        while position > 0 and (chunk := file.read(min(CHUNK, position))):
            lines, position = lines + chunk.count(b"\n"), position - len(chunk)
    return lines


def _unclosed(path: Path) -> int | None:
    """The line of the quote that is open at the end; as DuckDB reads: a quote opens a value at its beginning only."""
    opened: int | None = None
    with open_bytes(path) as file:
        for number, line in enumerate(iter(lambda: file.readline(RECORD_MAX), b""), 1):
            opened = _open_after(line, number, opened)
    return opened


def _open_after(line: bytes, number: int, opened: int | None) -> int | None:
    """The line of the quote that is open after `line`. opened: of the one that is open before it."""
    at = 0
    while True:
        if opened is None:
            if (start := _OPENS.search(line, at)) is None:
                return None
            opened, at = number, start.end()
        rest = _REST.match(line, at)
        if rest is None or not rest[1]:
            return opened
        opened, at = None, rest.end()


def _refused(path: Path, line: int, said: str) -> LentaError:
    return LentaError(f"{path}, line {line}: {said}")
