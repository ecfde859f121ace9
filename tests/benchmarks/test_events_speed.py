"""Five thousand events a second in batches of a hundred, over HTTP, and how soon after a like the counts have changed.

Everything on this machine: Postgres, Redis, feature-service and ingest as processes of their own, and the senders. Here
with slack for a busy machine; on demand at full length, with the bars of a quiet one:

    .venv/bin/python -m tests.benchmarks.test_events_speed 30
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import numpy as np
from contracts.records import UserRow
from feature_service.database.engine import connect
from feature_service.database.schema import migrate
from feature_service.warm.build import warm
from pipeline.stack.servers import free_port
from sqlalchemy import Engine, text

from tests.support.servers import running_postgres, running_redis

USERS, POSTS, BATCH = 20_000, 7_000, 100
RATE = 5_000
PROBES_A_SECOND = 5
PATIENCE_SECONDS = 20.0

_FILL = (
    "INSERT INTO post_text_df SELECT i, 'text ' || i, (ARRAY['covid', 'movie', 'sport'])[1 + i % 3] "
    "FROM generate_series(1, :posts) i",
    "INSERT INTO user_data SELECT i, 30, 1, 'Russia', 'Moscow', 0, 'iOS', 'ads' FROM generate_series(1, :users) i",
)


@dataclass(frozen=True, slots=True)
class Measured:
    """Latencies in seconds: of a POST of a batch, and from a like's answer to the changed row. lost: not in time."""

    events: int
    seconds: float
    posts: list[float]
    seen: list[float]
    lost: int

    @property
    def rate(self) -> float:
        return self.events / self.seconds

    def __str__(self) -> str:
        post, seen = (np.percentile(values, [50, 99]) * 1000 for values in (self.posts, self.seen))
        return (
            f"{self.events:,} events in {self.seconds:.1f} s: {self.rate:,.0f} a second in batches of {BATCH} "
            f"(p50 {post[0]:.0f} ms, p99 {post[1]:.0f} ms); like to changed counts: p50 {seen[0]:.0f} ms, "
            f"p99 {seen[1]:.0f} ms over {len(self.seen)}, {self.lost} lost"
        )


@contextmanager
def _service(postgres_url: str, redis_url: str) -> Iterator[str]:
    """feature-service and ingest; yields the URL."""
    port, ingest_port = free_port(), free_port()
    environment = os.environ | {
        "FEATURES_POSTGRES_URL": postgres_url,
        "FEATURES_REDIS_URL": redis_url,
        "FEATURES_LOG_LEVEL": "WARNING",
        "FEATURES_INGEST_HOST": "127.0.0.1",
        "FEATURES_INGEST_PORT": str(ingest_port),
    }
    web = ("-m", "uvicorn", "--factory", "feature_service.serving.app:create", "--port", str(port), "--no-access-log")
    with ExitStack() as stack:
        for command in (web, ("-m", "feature_service.ingest")):
            process = stack.enter_context(subprocess.Popen([sys.executable, *command], env=environment))
            stack.callback(process.wait)
            stack.callback(process.terminate)
        for url in (f"http://127.0.0.1:{port}", f"http://127.0.0.1:{ingest_port}"):
            _await_ready(url)
        yield f"http://127.0.0.1:{port}"


def _await_ready(url: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{url}/readyz").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise RuntimeError(f"{url} did not become ready")


class _Load:
    def __init__(self, http: httpx.AsyncClient, seconds: float) -> None:
        self._http, self._seconds = http, seconds
        self._rng = np.random.default_rng(1)
        self.posts, self.seen, self.lost, self.events = list[float](), list[float](), 0, 0

    async def run(self) -> float:
        """Sends at RATE, whatever the answers take; how long it took until the last answer."""
        started = time.perf_counter()
        tasks = list[asyncio.Task[None]]()
        for number in range(round(self._seconds * RATE / BATCH)):
            await asyncio.sleep(max(0.0, started + number * BATCH / RATE - time.perf_counter()))
            tasks.append(asyncio.create_task(self._send(number)))
            if number % (RATE // BATCH // PROBES_A_SECOND) == 0:
                tasks.append(asyncio.create_task(self._probe(USERS + 1 + number)))
        sent = time.perf_counter() - started
        await asyncio.gather(*tasks)
        return max(sent, self._seconds)

    async def _send(self, number: int) -> None:
        users, posts = self._rng.integers(1, USERS, BATCH), self._rng.integers(1, POSTS, BATCH)
        events = [
            {
                "key": f"{number}-{place}",
                "user_id": int(user),
                "post_id": int(post),
                "action": "like" if place % 10 == 0 else "view",
            }
            for place, (user, post) in enumerate(zip(users, posts, strict=True))
        ]
        began = time.perf_counter()
        answer = await self._http.post("/events", json={"events": events})
        answer.raise_for_status()
        self.posts.append(time.perf_counter() - began)
        self.events += BATCH

    async def _probe(self, user: int) -> None:
        """A user that no other event is about likes one post."""
        like = {"key": "p", "user_id": user, "post_id": 1 + user % POSTS, "action": "like"}
        (await self._http.post("/events", json={"events": [like]})).raise_for_status()
        began = time.perf_counter()
        while time.perf_counter() - began < PATIENCE_SECONDS:
            row = await self._http.get(f"/users/{user}/row")
            if row.status_code == 200 and UserRow.unpack(row.content).counts.likes.sum() == 1:
                self.seen.append(time.perf_counter() - began)
                return
            await asyncio.sleep(0.05)
        self.lost += 1


async def _measured(url: str, seconds: float) -> Measured:
    async with httpx.AsyncClient(base_url=url, timeout=30) as http:
        load = _Load(http, seconds)
        took = await load.run()
    return Measured(load.events, took, load.posts, load.seen, load.lost)


def measure(postgres_url: str, redis_url: str, seconds: float) -> Measured:
    engine = connect(postgres_url)
    with engine.begin() as connection:
        for statement in _FILL:
            connection.execute(text(statement), {"users": USERS, "posts": POSTS})
    warm(redis_url, postgres_url)
    with _service(postgres_url, redis_url) as url:
        speed = asyncio.run(_measured(url, seconds))
        _await_ledger(engine, speed.events)
    engine.dispose()
    return speed


def _await_ledger(engine: Engine, events: int) -> None:
    """Every acknowledged event is in Postgres in the end."""
    deadline, held = time.monotonic() + 120, 0
    while time.monotonic() < deadline and held < events:
        time.sleep(0.5)
        with engine.connect() as connection:
            held = int(connection.execute(text("SELECT count(*) FROM event_ledger")).scalar_one())
    assert held >= events, f"{held} of {events} acknowledged events are in Postgres"


def test_five_thousand_events_a_second_are_taken_in_and_counted(postgres_url: str, redis_url: str) -> None:
    speed = measure(postgres_url, redis_url, seconds=8)
    print(f"\n{speed}")
    assert speed.lost == 0
    assert speed.rate > RATE / 5


def main(seconds: float) -> None:
    with TemporaryDirectory() as folder, ExitStack() as stack:
        postgres_url = stack.enter_context(running_postgres(Path(folder) / "postgres"))
        redis_url = stack.enter_context(running_redis(Path(folder) / "redis"))
        migrate(postgres_url)
        speed = measure(postgres_url, redis_url, seconds)
    print(speed)
    if speed.lost or np.percentile(speed.seen, 99) > 2:
        sys.exit("missed: counts change within 2 s at the 99th percentile")


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 30)
