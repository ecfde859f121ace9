"""A call to another service, and what a failure of the connection is called."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from itertools import count

import pytest
from chassis.deadline import Deadline
from chassis.hops import Hop
from gateway.breaker import SILENT_SECONDS, Breaker
from gateway.upstream import Down, Upstream


def test_a_refused_connection_is_told_from_one_that_was_cut() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        assert asyncio.run(_reason(url)) == "refused"
        listener.listen()
        threading.Thread(target=_hang_up, args=(listener,), daemon=True).start()
        assert asyncio.run(_reason(url)) == "error"


def test_a_service_that_does_not_answer_is_given_up_in_time() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        assert asyncio.run(_reason(f"http://127.0.0.1:{listener.getsockname()[1]}")) == "timeout"


@pytest.mark.parametrize(("held_up", "opens"), [(0.0, True), (0.2, False)])
def test_a_timeout_that_rings_late_because_we_were_held_up_opens_no_breaker(held_up: float, opens: bool) -> None:
    """The service answers nobody, and every call comes two seconds after the last one."""
    breaker = Breaker(failures=1, clock=count(step=2 * SILENT_SECONDS).__next__)

    async def calls(url: str) -> None:
        async with Hop(url) as hop:
            for _ in range(2):
                asyncio.get_running_loop().call_later(0.01, time.sleep, held_up)
                with pytest.raises(Down):
                    await Upstream("service", hop, 0.05, breaker).call("GET", "/")

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        asyncio.run(calls(f"http://127.0.0.1:{listener.getsockname()[1]}"))
    assert breaker.is_open is opens


async def _reason(url: str) -> str:
    async with Hop(url) as hop:
        with pytest.raises(Down) as caught:
            await Upstream("service", hop, seconds=0.3).call("GET", "/", deadline=Deadline.after(1.0))
        return caught.value.word


def _hang_up(listener: socket.socket) -> None:
    listener.accept()[0].close()
