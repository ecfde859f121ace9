"""The baseline that trees start from: a line over log-odds, learned before them."""

from __future__ import annotations

import numpy as np
import pytest
from pipeline.training.baseline import COUNTED, fit_baseline
from ranking.artefact import ArtefactError
from ranking.baseline import Baseline
from scipy.special import expit

from tests.support.data.toy_model import LengthEncoder

COLUMNS = [*COUNTED, "likeness"]
ROWS = 40_000


def views(post_rate: float, exposure: float, rows: int = ROWS) -> tuple[np.ndarray, np.ndarray]:
    """Liked with log-odds post_rate, exposure times the columns of these names, and nothing else."""
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(rows, len(COLUMNS))).astype(np.float32)
    odds = post_rate * matrix[:, 1] + exposure * matrix[:, 2] - 1.5
    return matrix, (rng.random(rows) < expit(odds)).astype(np.float64)


def test_what_the_encoder_says_already_is_left_as_it_is() -> None:
    weights = fit_baseline(LengthEncoder(), COLUMNS, *views(1.0, 0.0))
    assert weights == pytest.approx(dict.fromkeys(COLUMNS, 0.0) | {"post_rate": 1.0}, abs=0.05)


def test_a_rate_is_worth_less_where_exposure_tells_more() -> None:
    weights = fit_baseline(LengthEncoder(), COLUMNS, *views(0.2, 0.4))
    assert weights["post_rate"] == pytest.approx(0.2, abs=0.05)
    assert weights["post_exposure"] == pytest.approx(0.4, abs=0.05)


def test_a_few_views_hardly_move_it_and_equal_columns_do_no_harm() -> None:
    matrix, clicked = views(0.2, 0.4, rows=4)
    matrix[:] = 0.5
    weights = fit_baseline(LengthEncoder(), COLUMNS, matrix, clicked)
    assert all(abs(weights[name] - (name == "post_rate")) < 0.2 for name in COLUMNS)


def test_views_that_are_liked_far_more_often_than_the_encoder_says_do_not_throw_it_off() -> None:
    matrix = np.full((20, len(COLUMNS)), -3.0, np.float32)
    weights = fit_baseline(LengthEncoder(), COLUMNS, matrix, np.tile([0.0, 0.0, 1.0, 1.0, 1.0], 4))
    assert all(abs(weights[name] - (name == "post_rate")) < 0.2 for name in COLUMNS)


def test_a_baseline_is_the_weighted_sum_of_its_columns() -> None:
    matrix = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], np.float32)
    result = Baseline.of({"c": 2.0, "a": -1.0}, ["a", "b", "c"])
    assert result.log_odds(matrix).tolist() == [5.0, 8.0]


def test_a_baseline_over_a_column_that_is_none_is_refused() -> None:
    with pytest.raises(ArtefactError, match="starts from b, which it has no column for"):
        Baseline.of({"a": 1.0, "b": 1.0}, ["a"])
