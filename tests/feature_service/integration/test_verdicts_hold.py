"""The rules as a whole: on users as they are in the wild they rarely err, and find what was planned.

A small part of `tests/benchmarks/bench_verdicts.py`, whose table is in docs/experiments.md.
"""

from __future__ import annotations

import numpy as np
import pytest
from contracts.experiments import Rules

from tests.support.data.simulated_users import World, ever, planned

RUNS = 60


def ended(world: World) -> list[str]:
    return [ever(world, np.random.default_rng(seed)) for seed in range(RUNS)]


@pytest.mark.parametrize(
    "world",
    [
        World("few ever like, one in ten in test", "zero-inflated", 600, 0.1, rules=Rules(min_users=50)),
        World(
            "the same, read without a least number of likers", "heavy", 600, rules=Rules(min_users=50, min_likers=10)
        ),
        World("trouble near the limits, by user and day", "heavy", 600, trouble=0.8, clustered=True),
    ],
    ids=lambda world: world.name,
)
def test_where_nothing_differs_hardly_any_run_ships_or_rolls_back(world: World) -> None:
    assert sum(kind in ("ship", "roll_back") for kind in ended(world)) <= 3


def test_the_planned_effect_ships_at_the_planned_size() -> None:
    world = planned(World("a fifth more likes", "light", 0, lift=0.2, past=False))
    assert 700 < world.users < 1_500
    assert ended(world).count("ship") >= 0.7 * RUNS, "0.8, less what 60 runs may miss by chance"


def test_harm_is_rolled_back_before_the_least_days() -> None:
    world = World("half the likes", "light", 1_200, lift=-0.5, rules=Rules(min_days=14))
    assert ended(world).count("roll_back") >= 0.95 * RUNS


def test_test_that_fails_often_is_rolled_back_whatever_its_likes() -> None:
    world = World("better and broken", "light", 1_200, lift=0.5, broken=0.1)
    assert ended(world).count("roll_back") >= 0.95 * RUNS
