"""The reference world is as hard as the platform's: on an easier one figures prove nothing. Reporting seeds."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from pipeline.evaluation.backtest import judge
from pipeline.evaluation.ladder import CEILING, WINDOW
from pipeline.world.simulation import simulate
from pipeline.world.spec import spec_of

END = date(2026, 11, 24)
CUT = datetime(END.year, END.month, END.day, tzinfo=UTC) - WINDOW
LADDER = {
    "random": (0.44, 0.44),
    "most popular": (0.50, 0.50),
    "user-topic x popular": (0.545, 0.545),
    "oracle": (0.69, 0.71),
}
TOLERANCE = 0.015


@pytest.mark.parametrize("seed", [8, 9])
def test_the_ladder_of_the_reference_world_is_the_platform_s(seed: int, tmp_path: Path) -> None:
    summary = simulate(spec_of("reference"), seed, END, tmp_path)
    ladder = judge(tmp_path, CUT, {}, seed).ladder
    assert summary.likes / summary.views == pytest.approx(0.11, abs=0.005)
    for rung, (low, high) in LADDER.items():
        assert low - TOLERANCE <= ladder.hits[rung].mean() <= high + TOLERANCE, rung
    assert ladder.captured(CEILING) == pytest.approx(0.75, abs=0.05)
