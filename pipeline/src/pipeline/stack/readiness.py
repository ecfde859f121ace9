"""Whether a service is ready, and if not, why not."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import httpx

from pipeline.errors import LentaError
from pipeline.stack.processes import Process, tail
from pipeline.stack.servers import HOST

POLL_SECONDS = 0.1
ANSWER_SECONDS = 2.0


def reason_not_ready(client: httpx.Client, port: int) -> str | None:
    """None when ready; else what `/readyz` says, or that nobody answers there."""
    try:
        answer = client.get(f"http://{HOST}:{port}/readyz", timeout=ANSWER_SECONDS)
    except httpx.HTTPError as error:
        return f"does not answer ({type(error).__name__})"
    if answer.is_success:
        return None
    try:
        reasons = answer.json()["reasons"]
    except (ValueError, KeyError, TypeError):
        return f"answers {answer.status_code}"
    return "; ".join(f"{name}: {reason}" for name, reason in reasons.items())


def wait_ready(processes: Sequence[Process], seconds: float, on_ready: Callable[[str], None]) -> None:
    """Until all are. Raises LentaError naming the service, its reason and its log with the last lines."""
    deadline = time.monotonic() + seconds
    waiting = list(processes)
    with httpx.Client() as client:
        while waiting:
            process = waiting.pop(0)
            if process.live() is None:
                raise LentaError(f"{process.name} has ended; its log: {process.log}\n{tail(process.log)}")
            reason = reason_not_ready(client, process.port)
            if reason is None:
                on_ready(process.name)
                continue
            if time.monotonic() > deadline:
                raise LentaError(
                    f"{process.name} is not ready after {seconds:.0f} s: {reason}; its log: {process.log}\n"
                    f"{tail(process.log)}"
                )
            waiting.append(process)
            time.sleep(POLL_SECONDS)
