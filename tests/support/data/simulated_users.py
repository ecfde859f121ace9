"""Users of nasty worlds, summed as the report's SQL sums real ones, so that its own rules decide simulated experiments.

A user comes by a Poisson process of the user's own rate, likes at a rate of the user's own, and meets trouble that has
a user's factor and a day's, which both groups share. Users enter as they first come, and come back until the end.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal

import numpy as np
from contracts.experiments import Experiment, Plan, RampStep, Rules
from contracts.reports import Report
from experiments.planning import users_needed
from experiments.ratios import RatioSums
from feature_service.reports.aggregates import Aggregates, Sides, UserSums
from feature_service.reports.analysis import read
from numpy.typing import NDArray

START = datetime(2026, 3, 1, tzinfo=UTC)
GROUPS = ("control", "test")
Kind = Literal["light", "heavy", "zero-inflated", "pareto"]
Array = NDArray[np.float64]
PRODUCTS = (
    *("nn", "hh", "ll", "rr", "nh", "nl", "ff", "kk", "ss", "nf", "nk", "ns", "aa", "bb", "ab"),
    *("na", "ha", "la", "ra", "nb", "hb", "lb", "rb"),
)
LIMITS = {"failed": 0.02, "fallbacks": 0.05, "slow": 0.01}
"""Of the default plan's guardrails, by column."""


RULES = Rules()


@dataclass(frozen=True)
class World:
    """kind: `light` beta(2, 8) likers who come once a day; `heavy` beta(.5, 2.5) and Pareto 1.3, 60 a day at most;
    `zero-inflated` the same, of whom nine in ten never like; `pareto` Pareto 1.1, 300 a day at most, the busy like
    more.

    trouble: the share of answers in trouble, as a share of each guardrail's limit, clustered by user and day. lift:
    of test's like rates. drift: the like rate rises by this share from the first day to the last, for both.
    """

    name: str
    kind: Kind
    users: int
    test_share: float = 0.5
    ramp_to: float | None = None
    """On day 4 test's share becomes this."""
    lift: float = 0.0
    trouble: float = 0.1
    clustered: bool = False
    broken: float = 0.0
    """The share of test's answers whose ranker fails beside."""
    drift: float = 0.0
    past: bool = True
    """Whether they were there the week before."""
    looks_a_day: int = 1
    rules: Rules = RULES

    @property
    def looks(self) -> int:
        return self.rules.days * self.looks_a_day


@dataclass(frozen=True)
class Users:
    """One run: arrays of users x looks, counts up to each look."""

    bucket: Array
    """0 to 1, what the user's group is read from."""
    exposures: Array
    hits: Array
    likes: Array
    views_before: Array
    likes_before: Array
    trouble: dict[str, Array]


def drawn(world: World, rng: np.random.Generator) -> Users:
    n, looks = world.users, world.looks
    rate, a_day = _habits(world.kind, n, rng)
    bucket = rng.random(n)
    exposures = rng.poisson(a_day[:, None] / world.looks_a_day, (n, looks))
    drift = 1 + world.drift * (np.linspace(0, 1, looks) - 0.5)
    in_test = bucket[:, None] < _shares(world)
    better = 1 + world.lift * in_test
    hits = rng.binomial(exposures, np.minimum(rate[:, None] * drift * better, 1.0))
    likes = hits + rng.binomial(hits, 0.3)
    trouble = {column: _trouble(world, exposures, LIMITS[column], rng) for column in LIMITS}
    trouble["failed"] += rng.binomial(exposures, world.broken * in_test).cumsum(1) if world.broken else 0.0
    before = rng.poisson(a_day * 7 * world.past)
    return Users(
        bucket=bucket,
        exposures=exposures.cumsum(1).astype(float),
        hits=hits.cumsum(1).astype(float),
        likes=likes.cumsum(1).astype(float),
        views_before=before.astype(float),
        likes_before=rng.binomial(before, rate).astype(float),
        trouble=trouble,
    )


def _habits(kind: Kind, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Like rate a request, and requests a day."""
    if kind == "light":
        return rng.beta(2, 8, n), np.ones(n)
    if kind == "pareto":
        a_day = np.minimum(1 + rng.pareto(1.1, n), 300.0)
        return np.minimum(rng.beta(0.5, 4, n) * (1 + np.log(a_day) / 2), 0.75), a_day / 4
    a_day = np.minimum(1 + rng.pareto(1.3, n), 60.0) / 2
    rate = rng.beta(0.5, 2.5, n)
    return (rate if kind == "heavy" else rate * (rng.random(n) < 0.1)), a_day


def _trouble(world: World, exposures: NDArray[np.int64], limit: float, rng: np.random.Generator) -> Array:
    share = np.full(exposures.shape, world.trouble * limit)
    if world.clustered:  # a user's factor with a coefficient of variation of 3, a day's with 1, the platform's own
        days = rng.gamma(1, 1, world.rules.days).repeat(world.looks_a_day)
        share = share * rng.gamma(1 / 9, 9, (len(share), 1)) * days
    bad: Array = rng.binomial(exposures, np.minimum(share, 1.0)).cumsum(1).astype(float)
    return bad


def _shares(world: World) -> Array:
    """Test's share at each look."""
    shares = np.full(world.looks, world.test_share)
    if world.ramp_to is not None:
        shares[4 * world.looks_a_day :] = world.ramp_to
    return shares


def experiment_of(world: World) -> Experiment:
    weights = {"control": 1 - world.test_share, "test": world.test_share}
    plan: dict[str, object] = {"weights": weights, "rules": world.rules, "watched": []}
    if world.ramp_to is not None:
        step = RampStep(at=START + timedelta(days=4), weights={"control": 1 - world.ramp_to, "test": world.ramp_to})
        plan |= {"mode": "ramp", "ramp": [step]}
    return Experiment.started("simulated", Plan.model_validate(plan), START)


def reports(world: World, rng: np.random.Generator) -> Iterator[Report]:
    """What the report says at each look of one run."""
    experiment, users = experiment_of(world), drawn(world, rng)
    for look, sums in enumerate(summed(world, users)):
        yield read(experiment, sums, START + timedelta(days=(look + 1) / world.looks_a_day))


def ever(world: World, rng: np.random.Generator) -> str:
    """The first verdict of one run that ends it: `ship` or `roll_back`, or the last look's."""
    kind = "too_early"
    for report in reports(world, rng):
        kind = report.verdict.kind
        if kind in ("ship", "roll_back", "split_failed"):
            break
    return kind


def summed(world: World, users: Users) -> Iterator[Aggregates]:
    """The sums at each look, bounded as the SQL does it."""
    shares, last = _shares(world), users.exposures[:, -1]
    first = np.where(last > 0, (users.exposures > 0).argmax(1), world.looks)
    in_test = users.bucket < shares[np.minimum(first, world.looks - 1)]
    for look in range(world.looks):
        now = Look(world, users, look, first, in_test)
        yield now.aggregates(users.bucket < shares[look])


class Look:
    """All users who came so far."""

    def __init__(
        self, world: World, users: Users, look: int, first: NDArray[np.int64], in_test: NDArray[np.bool_]
    ) -> None:
        self.came = came = first <= look
        self.in_test = in_test[came]
        self.stratum = (world.ramp_to is not None) & (first[came] >= 4 * world.looks_a_day)
        kept = world.rules.winsorised
        n, h, likes = (part[came, look] for part in (users.exposures, users.hits, users.likes))
        weight = np.minimum(1.0, bound(n, kept) / n)
        trouble = {letter: users.trouble[column][came, look] for letter, column in zip("fks", LIMITS, strict=True)}
        weighed = {"n": n, "h": h, "l": likes, **trouble}
        self.columns = {letter: column * weight for letter, column in weighed.items()}
        for letter, column in (("r", likes), ("a", users.views_before[came]), ("b", users.likes_before[came])):
            self.columns[letter] = np.minimum(column, bound(column, kept))

    def aggregates(self, in_test_now: NDArray[np.bool_]) -> Aggregates:
        stays = self.in_test == in_test_now[self.came]
        places = [(stratum, group) for stratum in {0, int(self.stratum.any())} for group in GROUPS]
        mine = {place: (self.stratum == place[0]) & (self.in_test == (place[1] == "test")) for place in places}
        totals = {place: self._sums(mask & stays) for place, mask in mine.items()}
        return Aggregates(
            compared={"test": Sides(totals=totals, undegraded={}, days={})}, assigned={place: int(mask.sum()) for place, mask in mine.items()},
            groups=[], models=[], unattributed={}, votes=None, shadow=None,
        )  # fmt: skip

    def _sums(self, mask: NDArray[np.bool_]) -> UserSums:
        columns = {letter: column[mask] for letter, column in self.columns.items()}
        values = {letter: float(column.sum()) for letter, column in columns.items()}
        values |= {pair: float(columns[pair[0]] @ columns[pair[1]]) for pair in PRODUCTS}
        return UserSums(int(mask.sum()), values)


def bound(column: Array, winsorised: float) -> float:
    """The heaviest of each 1,000 users, and one at least, count no more than the next."""
    if winsorised == 1:
        return float(column.max(initial=1.0))
    place = len(column) - max(1, math.ceil((1 - winsorised) * len(column) - 1e-9)) - 1
    return float(np.partition(column, place)[place]) if place >= 0 else math.inf


def planned(world: World) -> World:
    """With as many users as find its lift with 80 % by daily looks, by what such users do without it."""
    past = drawn(replace(world, users=100_000, lift=0.0), np.random.default_rng(1))
    h, n = past.hits[:, -1], past.exposures[:, -1]
    h, n = h[n > 0], n[n > 0]
    weight = np.minimum(1.0, bound(n, world.rules.winsorised) / n)
    sums = RatioSums.of((h * weight).tolist(), (n * weight).tolist())
    needed = users_needed(sums, sums.ratio * world.lift, test_share=world.test_share, looks="daily")
    share = len(n) / 100_000
    rules = Rules(min_users=max(50, needed.test // 3), planned_users=needed.total)
    return replace(world, users=round(needed.total / share), rules=rules)
