"""Where GrowthBook's gbstats computes the same, it gives the same; gbstats_figures.py wrote its figures down."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from experiments import cuped, ratios, sequential
from experiments.cuped import CupedSums
from experiments.effects import Effect
from experiments.ratios import RatioSums

FIGURES = json.loads(Path(__file__).with_name("gbstats_figures.json").read_text())
each_case = pytest.mark.parametrize("case", FIGURES["cases"])


def assert_same(result: Effect, theirs: dict[str, float]) -> None:
    interval = sequential.interval(result, FIGURES["planned_users"])
    ours = {
        "estimate": result.estimate,
        "variance": result.variance,
        "low": interval.low,
        "high": interval.high,
        "p": sequential.p_value(result, FIGURES["planned_users"]),
    }
    assert ours == pytest.approx(theirs, rel=1e-9, abs=1e-9)


@each_case
def test_a_ratio_and_its_sequential_interval_are_theirs(case: dict[str, Any]) -> None:
    names = ("users", "y", "x", "yy", "xx", "xy")
    control, test = (RatioSums(**{name: group[name] for name in names}) for group in case["groups"])
    assert_same(ratios.effect(control, test), case["ratio"]["absolute"])
    assert_same(ratios.relative_effect(control, test), case["ratio"]["relative"])


@each_case
def test_a_mean_adjusted_by_what_users_did_before_is_theirs(case: dict[str, Any]) -> None:
    control, test = (
        CupedSums(
            users=group["users"], y=group["y"], yy=group["yy"], b=group["z"], bb=group["zz"], yb=group["yz"],
            x=group["users"], xx=group["users"], xy=group["y"], xb=group["z"],
        )
        for group in case["groups"]
    )  # fmt: skip
    assert_same(cuped.effect(control, test).effect, case["adjusted mean"]["absolute"])
