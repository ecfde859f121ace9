"""What four weeks of serving and nightly training come to, with and without exploration: `make weeks`.

Prints a table for docs/models.md: of each share of exploring answers, week by week, and what the last week gained.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
from pipeline.measures.accuracy import paired_bootstrap
from pipeline.world.simulation import simulate
from pipeline.world.spec import spec_of

from tests.benchmarks.weeks.play import Answer, Weeks, World, played

END = date(2026, 11, 24)
WEEK = 7


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--world", default="fresh")
    parser.add_argument("--model", default="control")
    parser.add_argument("--seed", type=int, default=8)
    parser.add_argument("--days", type=int, default=4 * WEEK)
    parser.add_argument("--shares", type=float, nargs="+", default=[0.0, 0.1])
    parser.add_argument("--at-once", type=int, default=2)
    options = parser.parse_args()
    weeks = [Weeks(options.model, share, options.days, options.seed) for share in options.shares]
    with TemporaryDirectory() as folder, ProcessPoolExecutor(options.at_once, get_context("spawn")) as pool:
        simulate(spec_of(options.world), options.seed, END, Path(folder))
        print(
            "| exploring | week | hit chance | captured lift | posts shown | share of the top 10 | views of posts younger than a week |"
        )
        print("|---|---|---|---|---|---|---|")
        arms = []
        for plan, answers in zip(weeks, pool.map(played, repeat(Path(folder)), weeks), strict=True):
            arms.append(answers)
            births = World(Path(folder), options.days)
            for week in range(-(-options.days // WEEK)):
                print(_line(plan, week, [one for one in answers if one.day // WEEK == week], births), flush=True)
    for plan, arm in zip(weeks[1:], arms[1:], strict=True):
        print(
            f"\nexploring {plan.share:.0%} less {weeks[0].share:.0%}, hit chance in the last week: {_gain(arms[0], arm)}"
        )


def _line(plan: Weeks, week: int, answers: Sequence[Answer], world: World) -> str:
    own, popular, best = np.array([(one.chance, *one.ceiling) for one in answers if one.ceiling is not None]).mean(
        axis=0
    )
    views = np.array([post for one in answers for post in one.posts])
    posts, counts = np.unique(views, return_counts=True)
    top = np.sort(counts)[-10:].sum() / len(views)
    age = world.age_days(views, np.repeat([one.day for one in answers], [len(one.posts) for one in answers]))
    chance = np.mean([one.chance for one in answers])
    return (
        f"| {plan.share:.0%} | {week + 1} | {chance:.3f} | {(own - popular) / (best - popular):.2f} | {len(posts)} | "
        f"{top:.0%} | {(age < WEEK).mean():.0%} |"
    )


def _gain(before: Sequence[Answer], after: Sequence[Answer]) -> str:
    """Of those who came in the last week of both."""
    one, other = _by_user(before), _by_user(after)
    both = ~np.isnan(one) & ~np.isnan(other)
    return f"{paired_bootstrap(other[both], one[both], np.random.default_rng(0))}, {both.sum()} users"


def _by_user(answers: Sequence[Answer]) -> npt.NDArray[np.float64]:
    """Mean hit chance in the last week, NaN for who did not come. Shape (highest user id + 1,)."""
    last = [one for one in answers if one.day // WEEK == answers[-1].day // WEEK]
    users = np.array([one.user for one in last])
    asked = np.bincount(users)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.bincount(users, [one.chance for one in last]) / asked)


if __name__ == "__main__":
    main()
