"""Twenty experiments whose truth is known: the split, the draft, the sums and the statistics together find it.

`-s` prints the figures that docs/experiments.md shows.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil
from statistics import NormalDist

import numpy as np
import numpy.typing as npt
import pytest
from contracts.assignment import GROUPS, Group
from contracts.experiments import Experiment, Plan
from experiments import interleaving
from experiments.checks import uniformity
from experiments.effects import Effect, Interval
from experiments.interleaving import Votes
from experiments.planning import users_needed
from experiments.ratios import RatioSums, difference, p_value

from tests.support.data.small_world import Played, SmallWorld

SEEDS = range(8, 28)
FEW, MANY = 20, 60
"""Requests per user."""
VOTERS = 250
"""Users per world who see interleaved lists."""
NOW = datetime(2026, 11, 9, tzinfo=UTC)
ENOUGH = 17
"""Of twenty 95 % intervals. Fewer hold the truth in one run of 63, if the intervals are right."""
REACH = NormalDist().inv_cdf(0.975) + NormalDist().inv_cdf(0.8)
"""Standard errors that a change must be away from 0 for 80 % power at alpha .05."""

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Outcome:
    """In one world. votes, sums, true_difference: by requests per user; sums are over both groups' users."""

    aa_p_value: float
    ab: Interval
    true_difference: dict[int, float]
    sums: dict[int, RatioSums]
    votes: dict[int, Votes]
    lifts: tuple[float, float]
    """Captured by control's ranker and by test's."""
    gains: npt.NDArray[np.float64]
    """Of test over control, by user."""


@pytest.fixture(scope="module")
def outcomes() -> list[Outcome]:
    return [_experiments(seed) for seed in SEEDS]


def _experiments(seed: int) -> Outcome:
    world, rng = SmallWorld(seed), np.random.default_rng([seed, 3])
    requests = {mean: world.requests(mean, rng) for mean in (FEW, MANY)}
    same: dict[Group, Group] = {"control": "control", "test": "control"}
    aa = Experiment.started(f"aa-{seed}", Plan(rankers=same), NOW)
    ab = Experiment.started(f"ab-{seed}", Plan(), NOW)
    played = {mean: _played(world, made, rng) for mean, made in requests.items()}
    other_course = _played(world, requests[FEW], rng)
    groups = {mean: _groups(ab, world, both) for mean, both in played.items()}
    halves = _groups(aa, world, played[FEW])
    return Outcome(
        aa_p_value=p_value(halves["control"], halves["test"]),
        ab=difference(groups[FEW]["control"], groups[FEW]["test"]),
        true_difference={FEW: _difference(other_course), MANY: _difference(played[MANY])},
        sums={mean: both["control"] + both["test"] for mean, both in groups.items()},
        votes=_votes(world, rng),
        lifts=(world.captured_lift("control"), world.captured_lift("test")),
        gains=world.gains(),
    )


def _played(world: SmallWorld, requests: Ints, rng: np.random.Generator) -> dict[Group, Played]:
    """Everybody with either ranker."""
    return {ranker: world.play(ranker, requests, rng) for ranker in GROUPS}


def _difference(played: dict[Group, Played]) -> float:
    """Of true hit rates, if everybody had test, and if everybody had control."""
    rates = {ranker: one.expected.sum() / one.requests.sum() for ranker, one in played.items()}
    return float(rates["test"] - rates["control"])


def _groups(experiment: Experiment, world: SmallWorld, played: dict[Group, Played]) -> dict[Group, RatioSums]:
    """Everybody assigned as a gateway would, and served by the group's ranker."""
    assigned = np.array([experiment.assign(user, NOW).group for user in world.user_ids])
    rankers = experiment.plan.rankers
    return {group: _sums(played[ranker], assigned == group) for group, ranker in rankers.items()}


def _sums(played: Played, users: npt.NDArray[np.bool_]) -> RatioSums:
    return RatioSums.of(played.hits[users].tolist(), played.requests[users].astype(float).tolist())


def _votes(world: SmallWorld, rng: np.random.Generator) -> dict[int, Votes]:
    likes = [world.interleave(user, MANY, f"interleaved-{world.seed}", rng) for user in range(VOTERS)]
    return {
        mean: Votes.of(*([float(one[side][:mean].sum()) for one in likes] for side in (0, 1))) for mean in (FEW, MANY)
    }


def test_the_rankers_are_as_good_as_the_docs_say(outcomes: list[Outcome]) -> None:
    control, test = np.mean([one.lifts for one in outcomes], axis=0)
    gains = np.concatenate([one.gains for one in outcomes])
    better, spread = (gains > 0).mean(), gains.std() / gains.mean()
    print(f"\ncaptured lift: control {control:.2f}, test {test:.2f}; {better:.0%} gain, spread {spread:.1f} means")
    assert control == pytest.approx(0.33, abs=0.04)
    assert test == pytest.approx(0.51, abs=0.04)
    assert better == pytest.approx(0.71, abs=0.04)
    assert spread == pytest.approx(2.0, abs=0.2)


def test_an_interval_of_an_a_b_holds_the_true_difference(outcomes: list[Outcome]) -> None:
    holding = sum(one.ab.holds(one.true_difference[FEW]) for one in outcomes)
    true = np.mean([one.true_difference[FEW] for one in outcomes])
    width = np.mean([one.ab.high - one.ab.low for one in outcomes])
    print(f"\nA/B: {holding} of {len(outcomes)} intervals hold the truth, {true:+.4f} on average; width {width:.4f}")
    assert holding >= ENOUGH
    assert all(one.true_difference[FEW] > 0.02 for one in outcomes)


def test_an_a_a_passes(outcomes: list[Outcome]) -> None:
    p_values = [one.aa_p_value for one in outcomes]
    uniform = uniformity(p_values)
    low = sum(p < 0.05 for p in p_values)
    print(f"\nA/A: {low} of {len(p_values)} p-values below .05; uniform (Kolmogorov-Smirnov): p = {uniform.p:.2f}")
    assert low <= len(p_values) - ENOUGH
    assert uniform.p > 0.01


@pytest.mark.parametrize(("requests", "share"), [(FEW, 1 / 3), (MANY, 1 / 6)])
def test_interleaving_needs_a_fraction_of_the_users(outcomes: list[Outcome], requests: int, share: float) -> None:
    """For 80 % power at alpha .05, over all worlds: from the variance of the votes, and of the ratio."""
    votes = sum((one.votes[requests] for one in outcomes), Votes())
    change = float(np.mean([one.true_difference[requests] for one in outcomes]))
    ab = users_needed(sum((one.sums[requests] for one in outcomes), RatioSums()), change).total
    interleaved = _users_needed(interleaving.effect(votes))
    print(
        f"\n{requests} requests per user: A/B {ab} users for {change:+.4f}; interleaving {interleaved}, "
        f"{interleaved / ab:.2f} of it; votes {votes.test} test, {votes.control} control, {votes.ties} ties"
    )
    assert interleaved <= share * ab


def _users_needed(effect: Effect) -> int:
    """As `experiments.planning`, of a mean over users."""
    return ceil(effect.variance * effect.users * (REACH / effect.estimate) ** 2)


def test_votes_are_for_the_better_ranker_in_every_world(outcomes: list[Outcome]) -> None:
    assert all(one.votes[MANY].test > one.votes[MANY].control for one in outcomes)
    assert sum(interleaving.p_value(one.votes[MANY]) < 0.05 for one in outcomes) >= ENOUGH
