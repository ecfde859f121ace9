"""p-values of several metrics, adjusted: as in a table worked by hand, and as scipy's."""

from __future__ import annotations

import pytest
import scipy.stats
from experiments.corrections import benjamini_hochberg, bonferroni_confidence, holm
from hypothesis import given
from hypothesis import strategies as st

p_values = st.lists(st.floats(0, 1), max_size=12)


@pytest.mark.parametrize(
    ("result", "adjusted"),
    [
        ([], []),
        ([0.03], [0.03]),
        ([0.01, 0.02, 0.03], [0.03, 0.04, 0.04]),
        ([0.04, 0.01, 0.03, 0.005], [0.06, 0.03, 0.06, 0.02]),
        ([0.5, 0.9], [1.0, 1.0]),
    ],
)
def test_holm_is_as_worked_by_hand(result: list[float], adjusted: list[float]) -> None:
    assert holm(result) == pytest.approx(adjusted)


@given(p_values)
def test_benjamini_and_hochberg_is_scipys(result: list[float]) -> None:
    theirs = scipy.stats.false_discovery_control(result).tolist() if result else result
    assert benjamini_hochberg(result) == pytest.approx(theirs, rel=1e-9, abs=1e-12)


@given(p_values)
def test_adjusting_never_helps_and_holm_is_the_stricter(result: list[float]) -> None:
    for plain, mild, strict in zip(result, benjamini_hochberg(result), holm(result), strict=True):
        assert plain <= mild <= strict <= 1 or mild == pytest.approx(strict)


def test_five_intervals_of_99_percent_hold_at_once_with_95() -> None:
    assert bonferroni_confidence(0.95, 5) == pytest.approx(0.99)


def test_what_is_no_p_value_is_refused() -> None:
    for adjust in (holm, benjamini_hochberg):
        for wrong in (-0.1, 1.1, float("nan")):
            with pytest.raises(ValueError, match="between 0 and 1"):
                adjust([0.5, wrong])
    with pytest.raises(ValueError, match="one metric"):
        bonferroni_confidence(0.95, 0)


def test_one_interval_alone_needs_no_more_confidence() -> None:
    assert bonferroni_confidence(0.95, 1) == pytest.approx(0.95)
