"""The ladder of every kind of world: both models beside plain ones and the oracle, in one table for docs/models.md.

    python -m tests.benchmarks.worlds --worlds trends drift --seed 8      # some minutes a world; killed, it goes on
    python -m tests.benchmarks.worlds --seed 8 --only control             # a step alone: a model, or a plain one
    python -m tests.benchmarks.worlds --seed 8 --table                    # of what is there
    python -m tests.benchmarks.worlds --seed 3 --size 1000x500            # smaller worlds, users x posts: a minute each

Seeds up to 7 are for tuning, 8 and 9 for reporting. Everything is kept in .lenta/worlds (--home: elsewhere).
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from tests.benchmarks.worlds.ladder import STEPS, World
from tests.benchmarks.worlds.printed import table
from tests.support.checkout import ROOT

KINDS = ("communities", "momentum", "trends", "cohorts", "drift", "news", "creators", "positions", "reposts")


def size(text: str) -> tuple[int, int]:
    users, posts = text.split("x")
    return int(users), int(posts)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--worlds", nargs="*", default=list(KINDS))
    parser.add_argument("--seed", type=int, default=8)
    parser.add_argument("--size", type=size, help="users x posts, such as 1000x500; as each world is, if not given")
    parser.add_argument("--only", choices=STEPS)
    parser.add_argument("--table", action="store_true", help="train nothing")
    home = Path(os.environ.get("LENTA_HOME", ROOT / ".lenta")) / "worlds"
    parser.add_argument("--home", type=Path, default=home)
    arguments = parser.parse_args()
    worlds = [World.of(name, arguments.seed, arguments.home, arguments.size) for name in arguments.worlds]
    for world in worlds if not arguments.table else []:
        for step in [arguments.only] if arguments.only else STEPS:
            world.take(step)
    print(table(worlds))


if __name__ == "__main__":
    main()
