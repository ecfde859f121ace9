"""A line to a server that breaks when the test says: the request arrives and is answered, the answer does not."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass
class Line:
    """cuts: so many answers to come are lost. lost: the first bytes of those that were."""

    url: str = ""
    cuts: int = 0
    lost: list[bytes] = field(default_factory=list)


@contextmanager
def line_to(url: str) -> Iterator[Line]:
    target = (urlsplit(url).hostname or "", urlsplit(url).port or 0)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        line = Line(f"http://127.0.0.1:{listener.getsockname()[1]}")
        threading.Thread(target=_accept, args=(listener, target, line), daemon=True).start()
        yield line


def _accept(listener: socket.socket, target: tuple[str, int], line: Line) -> None:
    with suppress(OSError):  # the test is over
        while True:
            near, _ = listener.accept()
            far = socket.create_connection(target)
            threading.Thread(target=_forward, args=(near, far), daemon=True).start()
            threading.Thread(target=_bring_back, args=(far, near, line), daemon=True).start()


def _forward(near: socket.socket, far: socket.socket) -> None:
    with suppress(OSError):
        while data := near.recv(65_536):
            far.sendall(data)
        far.shutdown(socket.SHUT_WR)


def _bring_back(far: socket.socket, near: socket.socket, line: Line) -> None:
    with near, far, suppress(OSError):
        while data := far.recv(65_536):
            if line.cuts > 0:
                line.cuts -= 1
                line.lost.append(data[:12])
                near.shutdown(socket.SHUT_RDWR)
                return
            near.sendall(data)
