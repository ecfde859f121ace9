"""Both models against most popular on five demo worlds; takes minutes.

On demand: `pytest tests/benchmarks/bench_models.py -s`.
"""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from contracts.assignment import GROUPS
from pipeline.evaluation.backtest import judge_fresh
from pipeline.evaluation.judgement import pooled
from pipeline.evaluation.ladder import POPULAR, Ladder
from pipeline.evaluation.report import as_table
from rich.console import Console

SEEDS = range(8, 13)
END = date(2026, 11, 24)


@pytest.fixture(scope="module")
def all_users() -> Ladder:
    ladder = pooled([judge_fresh("demo", seed, END) for seed in SEEDS]).ladder
    Console(width=140).print(as_table(ladder, f"demo worlds, seeds {SEEDS.start} to {SEEDS.stop - 1}"))
    return ladder


@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("name", GROUPS)
def test_a_model_beats_most_popular_by_an_interval_above_zero(all_users: Ladder, name: str) -> None:
    assert all_users.against(name, POPULAR, np.random.default_rng(0)).low > 0
