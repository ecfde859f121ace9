"""The offline side at the platform's full size: 163,205 users, 7,023 posts, 76 million rows. `make full`.

Each step is a process of its own, as a user would run it, timed and watched for its memory beside that of Postgres. Prints a
table for docs/benchmarks.md, and fails when a bar is broken.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import redis
from feature_service.schema import migrate
from pipeline.stack.servers import running_postgres, running_redis

LENTA = Path(sys.executable).with_name("lenta")
SEED, END = 8, datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
UNTIL = f"{END - timedelta(days=15):%Y-%m-%d}"
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
    step: Step
    seconds: float
    own_memory: float
    postgres_memory: float

    @property
    def holds(self) -> bool:
        return self.seconds <= self.step.seconds and max(self.own_memory, self.postgres_memory) <= MOST_MEMORY


def run(step: Step, environment: dict[str, str]) -> Done:
    print(f"{step.name} ...", flush=True)
    started, own, postgres = time.monotonic(), 0.0, 0.0
    process = subprocess.Popen([str(LENTA), *step.arguments], env=environment, stdout=subprocess.DEVNULL)
    while process.poll() is None:
        own = max(own, _memory([psutil.Process(process.pid)]))
        postgres = max(
            postgres, _memory(one for one in psutil.process_iter(["name"]) if one.info["name"] == "postgres")
        )
        time.sleep(0.5)
    if process.returncode:
        sys.exit(f"{step.name} failed: lenta {' '.join(step.arguments)}")
    return Done(step, time.monotonic() - started, own, postgres)


def _memory(processes: Iterable[psutil.Process]) -> float:
    """Proportional set size of all, MB; what ended meanwhile counts nothing."""
    total = 0.0
    for process in processes:
        try:
            total += process.memory_full_info().pss / 1e6
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
    return total


def main() -> None:
    home = Path(os.environ["LENTA_HOME"]) / "full"
    world = home / "world"
    with running_postgres(home / "postgres") as postgres_url, running_redis(home / "redis") as redis_url:
        migrate(postgres_url)
        environment = {
            **os.environ,
            "LENTA_POSTGRES_URL": postgres_url,
            "LENTA_REDIS_URL": redis_url,
            "LENTA_MODEL_URI": str(home / "models"),
            "FEATURES_POSTGRES_URL": postgres_url,
            "FEATURES_REDIS_URL": redis_url,
        }
        simulated = ("--world", "full", "--seed", str(SEED), "--end", f"{END:%Y-%m-%d}", "--out", str(world), "--force")
        steps = [
            Step("simulate", ("simulate", *simulated), 120),
            Step("import, partitions and two indexes", ("import", str(world), "--until", UNTIL), 240),
            Step("train control", ("train", "control", "--until", UNTIL), 900),
            Step("train test", ("train", "test", "--until", UNTIL), 900),
            Step("warm", ("warm",), 120),
        ]
        done = [run(step, environment) for step in steps]
        with redis.Redis.from_url(redis_url) as client:
            generation = client.info("memory")["used_memory"] / 1e6
    print(table(done, generation))
    if not all(one.holds for one in done) or generation > MOST_REDIS:
        sys.exit("a bar is broken")


def table(done: Sequence[Done], generation: float) -> str:
    lines = ["| step | time | at most | its own memory | Postgres, all processes |", "|---|---|---|---|---|"]
    lines += [
        f"| {one.step.name} | {one.seconds:.0f} s | {one.step.seconds:.0f} s | {one.own_memory:,.0f} MB | {one.postgres_memory:,.0f} MB |"
        for one in done
    ]
    return "\n".join(
        [
            *lines,
            "",
            f"Redis, one generation of all users with texts and catalogue: {generation:.0f} MB (at most {MOST_REDIS}).",
        ]
    )


if __name__ == "__main__":
    main()
