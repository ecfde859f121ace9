"""How often the rules of the decision err, and how often they find what was planned, over nasty worlds.

On demand, some minutes: `python -m tests.benchmarks.bench_verdicts [runs] [part of a world's name]`.
"""

from __future__ import annotations

import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from time import monotonic

import numpy as np
from contracts.experiments import Rules

from tests.support.data.simulated_users import World, ever, planned

CORES = 2
EARLY = Rules(min_users=50)
TINY = Rules(min_users=10, min_days=1)

SAME = [
    World("light, 2,000 users", "light", 2_000),
    World("heavy, 2,000 users", "heavy", 2_000),
    World("heavy, 2,000 users, 90:10", "heavy", 2_000, 0.1, rules=EARLY),
    World("heavy, 60 users, read from 10 on", "heavy", 60, rules=TINY),
    World("heavy, 2,000 users, drift", "heavy", 2_000, drift=0.8),
    World("heavy, 4,000 users, ramp 5 % to 50 %, drift", "heavy", 4_000, 0.05, ramp_to=0.5, drift=0.8, rules=EARLY),
    World("zero-inflated, 2,000 users", "zero-inflated", 2_000),
    World("zero-inflated, 600 users, 90:10, read from 50 on", "zero-inflated", 600, 0.1, rules=EARLY),
    World("zero-inflated, 10,000 users, 90:10", "zero-inflated", 10_000, 0.1),
    World("pareto, 2,000 users", "pareto", 2_000),
    World("pareto, 600 users, 90:10, read from 50 on", "pareto", 600, 0.1, rules=EARLY),
    World("pareto, 10,000 users, 90:10", "pareto", 10_000, 0.1),
    World("heavy, 2,000 users, trouble at half of the limits", "heavy", 2_000, trouble=0.5, clustered=True),
    World("heavy, 2,000 users, trouble at 80 % of the limits", "heavy", 2_000, trouble=0.8, clustered=True),
    World("zero-inflated, 90:10, trouble at half", "zero-inflated", 2_000, 0.1, trouble=0.5, clustered=True),
    World("zero-inflated, 2,000 users, looks every 2 hours", "zero-inflated", 2_000, looks_a_day=12),
    World("pareto, 2,000 users, looks every 2 hours", "pareto", 2_000, looks_a_day=12),
    World("zero-inflated, 2,000 new users", "zero-inflated", 2_000, past=False),
    World("heavy, 6,000 new users, 80:20", "heavy", 6_000, 0.2, past=False),
    World("zero-inflated, 20,000 new users", "zero-inflated", 20_000, past=False),
    World("pareto, 10,000 new users", "pareto", 10_000, past=False),
]
BETTER = [
    World("light, lift 8 %", "light", 0, lift=0.08, past=False),
    World("heavy, lift 15 %", "heavy", 0, lift=0.15, past=False),
    World("heavy, lift 20 %, 90:10", "heavy", 0, 0.1, lift=0.20, past=False),
    World("zero-inflated, lift 60 %", "zero-inflated", 0, lift=0.60, past=False),
    World("pareto, lift 25 %", "pareto", 0, lift=0.25, past=False),
    World("heavy, lift 15 %, known from before", "heavy", 0, lift=0.15),
]


def kinds(world: World, seeds: range) -> Counter[str]:
    return Counter(ever(world, np.random.default_rng([seed, len(world.name)])) for seed in seeds)


def measured(pool: ProcessPoolExecutor, world: World, runs: int) -> Counter[str]:
    edges = np.linspace(0, runs, 4 * CORES + 1).astype(int).tolist()
    parts = [range(a, b) for a, b in pairwise(edges)]
    return sum(pool.map(kinds, [world] * len(parts), parts), Counter())


def main(runs: int, part: str) -> None:
    print(f"| world ({runs} runs) | roll back | ship | do not decide |\n|---|---|---|---|", flush=True)
    with ProcessPoolExecutor(CORES) as pool:
        for world in SAME + [planned(world) for world in BETTER]:
            if part not in world.name:
                continue
            began, counted = monotonic(), measured(pool, world, runs)
            shares = " | ".join(f"{counted[kind] / runs:.3f}" for kind in ("roll_back", "ship", "split_failed"))
            size = f" ({world.users:,} users)" if world.lift else ""
            print(f"| {world.name}{size} | {shares} |", f"{monotonic() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 400, " ".join(sys.argv[2:]))
