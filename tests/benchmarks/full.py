"""The offline side at the platform's full size: 163,205 users, 7,023 posts, 76 million rows. `make full`.

Each step is a process of its own, as a user would run it, timed and watched for its memory beside that of Postgres.
Prints a table for docs/benchmarks.md, and fails when a bar is broken. Killed, it resumes with the step it was at;
`--world tiny` tries out the script itself.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import redis
from feature_service.database.schema import migrate
from pipeline.stack.servers import Postgres, PostgresPasswords, free_port

from tests.support.servers import running_redis

LENTA = Path(sys.executable).with_name("lenta")
SEED, WITHHELD = 8, timedelta(days=15)
MOST_MEMORY, MOST_REDIS = 4_000, 200
"""MB."""


@dataclass(frozen=True)
class Step:
    name: str
    arguments: Sequence[str]
    seconds: float
    """At most."""


@dataclass(frozen=True)
class Done:
    seconds: float
    own_memory: float
    postgres_memory: float
    redis_memory: float
    """MB of everything in Redis when the step ended."""

    def holds(self, step: Step) -> bool:
        memory = max(self.own_memory, self.postgres_memory)
        return self.seconds <= step.seconds and memory <= MOST_MEMORY and self.redis_memory <= MOST_REDIS


class Ledger:
    """When the world ends, and what was measured of the steps that are whole: one file, moved into place."""

    def __init__(self, file: Path) -> None:
        self._file = file
        midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        said: dict[str, Any] = (
            json.loads(file.read_text()) if file.exists() else {"end": midnight.isoformat(), "done": {}}
        )
        self.end = datetime.fromisoformat(said["end"])
        self._done = {name: Done(**measured) for name, measured in said["done"].items()}

    def of(self, step: Step) -> Done | None:
        return self._done.get(step.name)

    def write(self, step: Step, done: Done) -> None:
        self._done[step.name] = done
        measured = {name: asdict(one) for name, one in self._done.items()}
        self._file.parent.mkdir(parents=True, exist_ok=True)
        beside = self._file.with_suffix(".new")
        beside.write_text(json.dumps({"end": self.end.isoformat(), "done": measured}))
        beside.rename(self._file)


def run(step: Step, environment: dict[str, str]) -> Done:
    print(f"{step.name} ...", flush=True)
    started, own, postgres = time.monotonic(), 0.0, 0.0
    process = subprocess.Popen([str(LENTA), *step.arguments], env=environment, stdout=subprocess.DEVNULL)
    try:
        while process.poll() is None:
            own = max(own, _memory([psutil.Process(process.pid)]))
            postgres = max(
                postgres, _memory(one for one in psutil.process_iter(["name"]) if one.info["name"] == "postgres")
            )
            time.sleep(0.5)
    finally:
        process.kill()
    if process.returncode:
        sys.exit(f"{step.name} failed: lenta {' '.join(step.arguments)}")
    took = time.monotonic() - started
    with redis.Redis.from_url(environment["LENTA_REDIS_URL"]) as client:
        return Done(took, own, postgres, client.info("memory")["used_memory"] / 1e6)


def _memory(processes: Iterable[psutil.Process]) -> float:
    """Proportional set size of all, MB; what ended meanwhile counts nothing."""
    total = 0.0
    for process in processes:
        try:
            total += process.memory_full_info().pss / 1e6
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
    return total


@contextmanager
def kept_postgres(folder: Path) -> Iterator[str]:
    """With what an earlier run left in it; a server that outlived a killed run is stopped first."""
    postgres = Postgres(folder)
    with suppress(subprocess.CalledProcessError):  # only its file is left
        postgres.stop()
    try:
        yield postgres.start(free_port(), PostgresPasswords("owner", "services")).url
    finally:
        postgres.stop()


def steps_of(world: str, home: Path, end: datetime) -> list[Step]:
    until = f"{end - WITHHELD:%Y-%m-%d}"
    simulated = (
        "--world",
        world,
        "--seed",
        str(SEED),
        "--end",
        f"{end:%Y-%m-%d}",
        "--out",
        str(home / "world"),
        "--force",
    )
    return [
        Step("simulate", ("simulate", *simulated), 120),
        Step("import, partitions and two indexes", ("import", str(home / "world"), "--until", until), 240),
        Step("features", ("features", "--until", until, "--out", str(home / "features.parquet")), 300),
        Step("train control", ("train", "control", "--until", until), 900),
        Step("train test", ("train", "test", "--until", until), 900),
        Step("warm", ("warm",), 120),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--world", default="full")
    world = parser.parse_args().world
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what runs is stopped
    home = Path(os.environ.get("LENTA_HOME", ".lenta")).resolve() / f"full-{world}"
    ledger = Ledger(home / "done.json")
    steps = steps_of(world, home, ledger.end)
    shutil.rmtree(home / "redis", ignore_errors=True)
    with kept_postgres(home / "postgres") as postgres_url, running_redis(home / "redis") as redis_url:
        migrate(postgres_url)
        environment = {
            **os.environ,
            "LENTA_POSTGRES_URL": postgres_url,
            "LENTA_REDIS_URL": redis_url,
            "LENTA_MODEL_URI": str(home / "models"),
            "FEATURES_POSTGRES_URL": postgres_url,
            "FEATURES_REDIS_URL": redis_url,
        }
        for step in steps:
            if ledger.of(step) is None:
                ledger.write(step, run(step, environment))
    done = [(step, one) for step in steps if (one := ledger.of(step)) is not None]
    print(table(done))
    Postgres(home / "postgres").delete()
    shutil.rmtree(home)
    if not all(one.holds(step) for step, one in done):
        sys.exit("a bar is broken")


def table(done: Sequence[tuple[Step, Done]]) -> str:
    lines = ["| step | time | at most | its own memory | Postgres, all processes |", "|---|---|---|---|---|"]
    lines += [
        f"| {step.name} | {one.seconds:.0f} s | {step.seconds:.0f} s | {one.own_memory:,.0f} MB "
        f"| {one.postgres_memory:,.0f} MB |"
        for step, one in done
    ]
    generation = max(one.redis_memory for _, one in done)
    held = f"Redis, one generation of all users with texts and catalogue: {generation:.0f} MB (at most {MOST_REDIS})."
    return "\n".join([*lines, "", held])


if __name__ == "__main__":
    main()
