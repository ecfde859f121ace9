"""Writes gbstats_figures.json: what GrowthBook's gbstats says of some invented users, for test_gbstats.py.

gbstats 0.8.0 (MIT) asks for numpy and pandas below 2, so it can't be in one environment with the platform; it works
with later ones all the same. Unpack its wheel anywhere, and with that folder as PYTHONPATH:

    python tests/experiments/unit/gbstats_figures.py > tests/experiments/unit/gbstats_figures.json
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from gbstats.frequentist.tests import FrequentistConfig, SequentialConfig, SequentialTwoSidedTTest, TwoSidedTTest
from gbstats.models.statistics import RatioStatistic, RegressionAdjustedStatistic, SampleMeanStatistic, compute_theta

PLANNED = 1_000
SIZES = [
    (300, 350, 0.0),
    (900, 400, 0.04),
    (2_000, 2_000, 0.05),
]  # control, test, how much higher test's like rates are
Column = np.ndarray[tuple[int], np.dtype[np.float64]]


def users(rng: np.random.Generator, size: int, better: float) -> tuple[Column, Column, Column]:
    """Likes, views, like rate before."""
    lean = rng.beta(2, 8, size)
    views = rng.poisson(6, size) + 1
    likes = rng.binomial(views, np.clip(lean + better, 0, 1))
    return likes.astype(float), views.astype(float), rng.binomial(20, lean) / 20


def mean(values: Column) -> Any:
    return SampleMeanStatistic(n=len(values), sum=float(values.sum()), sum_squares=float(values @ values))


def ratio(y: Column, x: Column, z: Column) -> Any:
    return RatioStatistic(n=len(y), m_statistic=mean(y), d_statistic=mean(x), m_d_sum_of_products=float(x @ y))


def adjusted(y: Column, x: Column, z: Column) -> Any:
    products = float(y @ z)
    return RegressionAdjustedStatistic(
        n=len(y), post_statistic=mean(y), pre_statistic=mean(z), post_pre_sum_of_products=products, theta=0.0
    )


def sums(y: Column, x: Column, z: Column) -> dict[str, float]:
    columns = {"y": y, "x": x, "z": z}
    products = {a + b: float(columns[a] @ columns[b]) for a, b in ("yy", "xx", "xy", "zz", "yz", "xz")}
    return {"users": len(y)} | {name: float(column.sum()) for name, column in columns.items()} | products


def figures(groups: list[Any], kind: str) -> dict[str, float]:
    fixed = TwoSidedTTest(*groups, FrequentistConfig(difference_type=kind))
    looked = SequentialTwoSidedTTest(
        *groups, SequentialConfig(difference_type=kind, sequential_tuning_parameter=PLANNED)
    )
    low, high = looked.confidence_interval
    result = {
        "estimate": fixed.point_estimate,
        "variance": fixed.variance,
        "low": low,
        "high": high,
        "p": looked.p_value,
    }
    return {name: float(value) for name, value in result.items()}


def case(rng: np.random.Generator, control: int, test: int, better: float) -> dict[str, Any]:
    columns = [users(rng, control, 0.0), users(rng, test, better)]
    ratios, adjusts = ([of(*group) for group in columns] for of in (ratio, adjusted))
    theta = float(compute_theta(*adjusts))
    for group in adjusts:
        group.theta = theta
    return {
        "groups": [sums(*group) for group in columns],
        "ratio": {kind: figures(ratios, kind) for kind in ("absolute", "relative")},
        "adjusted mean": {"absolute": figures(adjusts, "absolute"), "theta": theta},
    }


if __name__ == "__main__":
    rng = np.random.default_rng(7)
    print(json.dumps({"planned_users": PLANNED, "cases": [case(rng, *size) for size in SIZES]}, indent=1))
