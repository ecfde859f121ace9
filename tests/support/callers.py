"""Callers who behave badly, over real sockets."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit

HEAD = b"POST /events HTTP/1.1\r\nHost: lenta\r\nContent-Type: application/json\r\n"
UNFINISHED_BODY = HEAD + b"Content-Length: 1000\r\n"
BYTE_SECONDS = 0.3


def connected(url: str, seconds: float = 10.0) -> socket.socket:
    parts = urlsplit(url)
    return socket.create_connection((parts.hostname or "", parts.port or 80), timeout=seconds)


@contextmanager
def trickling(url: str, first: bytes, callers: int) -> Iterator[list[socket.socket]]:
    """So many connections that send `first`, and then a byte now and again for as long as the block lasts."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(connected(url)) for _ in range(callers)]
        for one in sockets:
            one.sendall(first)
        over = threading.Event()
        thread = threading.Thread(target=_trickle, args=(sockets, over))
        thread.start()
        try:
            yield sockets
        finally:
            over.set()
            thread.join()


def _trickle(sockets: list[socket.socket], over: threading.Event) -> None:
    left = list(sockets)
    while not over.wait(BYTE_SECONDS):
        left = [one for one in left if _sends(one)]


def _sends(one: socket.socket) -> bool:
    try:
        return one.send(b"a") == 1
    except OSError:  # the server has had enough
        return False


def answer(one: socket.socket) -> bytes:
    """What is said until the other side closes."""
    said = bytearray()
    try:
        while piece := one.recv(2**16):
            said += piece
    except ConnectionResetError:
        return bytes(said)
    return bytes(said)
