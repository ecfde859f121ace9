"""Twenty experiments whose truth is known: the split, the sums and the statistics together find it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import pytest
from contracts.assignment import Group
from contracts.experiments import Experiment, Plan
from experiments.ratios import Interval, RatioSums, difference
from small_world import Played, SmallWorld

SEEDS = range(8, 28)
REQUESTS = 20
NOW = datetime(2026, 11, 9, tzinfo=UTC)
ENOUGH = 17
"""Of twenty 95 % intervals. Fewer hold the truth in one run of 63, if the intervals are right."""

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Found:
    """In one world."""

    aa: Interval
    ab: Interval
    true_difference: float
    lifts: tuple[float, float]
    """Captured by control's ranker and by test's."""


@pytest.fixture(scope="module")
def found() -> list[Found]:
    return [_experiments(seed) for seed in SEEDS]


def _experiments(seed: int) -> Found:
    world, rng = SmallWorld(seed), np.random.default_rng([seed, 3])
    requests = world.requests(REQUESTS, rng)
    same: dict[Group, Group] = {"control": "control", "test": "control"}
    return Found(
        aa=_interval(Experiment.started(f"aa-{seed}", Plan(rankers=same), NOW), world, requests, rng),
        ab=_interval(Experiment.started(f"ab-{seed}", Plan(), NOW), world, requests, rng),
        true_difference=world.true_difference(requests, rng),
        lifts=(world.captured_lift("control"), world.captured_lift("test")),
    )


def _interval(experiment: Experiment, world: SmallWorld, requests: Ints, rng: np.random.Generator) -> Interval:
    """Everybody assigned as a gateway would, and served by the group's ranker."""
    assigned = np.array([experiment.assign(user, NOW).group for user in world.user_ids])
    rankers = experiment.plan.rankers
    played = {ranker: world.play(ranker, requests, rng) for ranker in set(rankers.values())}
    sums = {group: _sums(played[ranker], assigned == group) for group, ranker in rankers.items()}
    return difference(sums["control"], sums["test"])


def _sums(played: Played, users: npt.NDArray[np.bool_]) -> RatioSums:
    return RatioSums.of(played.hits[users].tolist(), played.requests[users].astype(float).tolist())


def test_the_rankers_are_as_good_as_the_trained_ones(found: list[Found]) -> None:
    control, test = np.mean([one.lifts for one in found], axis=0)
    assert 0.35 < control < 0.50
    assert 0.55 < test < 0.70


def test_an_interval_of_an_a_b_holds_the_true_difference(found: list[Found]) -> None:
    holding = [one.ab.low <= one.true_difference <= one.ab.high for one in found]
    assert sum(holding) >= ENOUGH
    assert all(one.true_difference > 0.02 for one in found)


def test_an_a_a_passes(found: list[Found]) -> None:
    assert sum(one.aa.low <= 0 <= one.aa.high for one in found) >= ENOUGH
