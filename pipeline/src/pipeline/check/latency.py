"""How long the gateway takes at one connection, as a client sees it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import httpx
import numpy as np
import numpy.typing as npt

from pipeline.errors import LentaError


def measure(
    gateway: httpx.Client, users: Sequence[int], on_progress: Callable[[int], None], warm_up: int = 20
) -> npt.NDArray[np.float64]:
    """Seconds of each request, shape (users,). The first `warm_up` users are asked twice."""
    seconds = np.empty(len(users))
    for user in users[:warm_up]:
        _timed(gateway, user)
    for number, user in enumerate(users):
        seconds[number] = _timed(gateway, user)
        on_progress(number + 1)
    return seconds


def _timed(gateway: httpx.Client, user: int) -> float:
    started = time.perf_counter()
    response = gateway.get("/post/recommendations/", params={"id": user})
    took = time.perf_counter() - started
    if response.status_code != httpx.codes.OK:
        raise LentaError(f"user {user}: the gateway answered {response.status_code}: {response.text[:200]}")
    return took
