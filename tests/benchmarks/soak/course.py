"""One window of the soak after another: load, then what each process holds."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import uvloop
from lenta_client import Event, Lenta
from pipeline.home import Home
from pipeline.stack.memory import pss_bytes
from pipeline.stack.processes import Processes
from pipeline.stack.servers import HOST

from tests.benchmarks.load.generator import OWN, Target, open_loop
from tests.benchmarks.soak.flatness import FEWEST

LIKES = 0.02
"""Of the events. They stay hidden for good, which costs a user's row four bytes each."""


@dataclass(frozen=True, slots=True)
class Window:
    """minute: of the run, at its end. p50, p99: milliseconds. own: the share answered by the user's own model.
    megabytes: PSS with all children, by process."""

    minute: float
    p50: float
    p99: float
    own: float
    rate: float
    megabytes: Mapping[str, float]


def measured(target: Target, home: Home, rate: float, minutes: float, seconds: float, path: Path) -> Iterator[Window]:
    """At least as many as are judged. seconds: of one. Each is written to `path` as it ends."""
    started, made = time.monotonic(), 0
    with path.open("w") as file:
        while (time.monotonic() - started) / 60 < minutes or made < FEWEST:
            outcome = uvloop.run(open_loop(target, rate, seconds))
            window = Window(
                minute=round((time.monotonic() - started) / 60, 2),
                p50=round(outcome.quantile(0.5), 2),
                p99=round(outcome.quantile(0.99), 2),
                own=round(outcome.share(OWN), 4),
                rate=round(outcome.rate(OWN), 1),
                megabytes=_held(home),
            )
            file.write(json.dumps(asdict(window)) + "\n")
            file.flush()
            made += 1
            yield window


def read(path: Path) -> Sequence[Window]:
    return [Window(**json.loads(line)) for line in path.read_text().splitlines()]


@contextmanager
def events(url: str, key: str, users: range, posts: range, a_second: float) -> Iterator[None]:
    """Views and a few likes beside, from a thread, for as long as the block lasts."""
    over = threading.Event()
    with Lenta(url, key) as lenta:
        thread = threading.Thread(target=_tell, args=(lenta, users, posts, a_second, over))
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def _tell(lenta: Lenta, users: range, posts: range, a_second: float, over: threading.Event) -> None:
    rng = random.Random(1)
    while not over.wait(1 / a_second):
        user, post = rng.choice(users), rng.choice(posts)
        lenta.send(Event(user_id=user, post_id=post, action="like" if rng.random() < LIKES else "view"))


def target(port: int, users: range) -> Target:
    return Target(HOST, port, users, random.Random(port))


def _held(home: Home) -> dict[str, float]:
    running = {name: process.live() for name, process in Processes.read(home).running.items()}
    sizes = {name: pss_bytes(process) for name, process in running.items() if process is not None}
    return {name: round(size / 2**20, 2) for name, size in sizes.items() if size is not None}
